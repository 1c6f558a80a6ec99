"""Who may not write is told so, by an error that says that asking again is no use."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from samza_py.connectors.kafka import Sasl
from samza_py.errors import ConnectorError, UnavailableError
from samza_py.values import Secret
from tests.connectors.kafka.producing import message, producing, put, values
from tests.services.kafka import Cluster
from tests.services.kafka_clients import ADMIN, client_settings, new_topic, started
from tests.services.kafka_listeners import PASSWORD, SASL_PLAIN, USER, Kafka

pytestmark = pytest.mark.service

PROTOCOL: Any = import_module("aiokafka.protocol.admin")
TOPIC, LITERAL, ALLOW = 2, 3, 3
WRITE, DESCRIBE = 4, 8


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cluster]:
    """A broker where nobody may do anything by itself, besides who comes by the open listener."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with Cluster(tmp_path / "kafka", listeners=(SASL_PLAIN,), settings=settings) as cluster:
        yield cluster


async def grant(kafka: Kafka, topic: str, operation: int) -> None:
    """Allow an operation with a topic to the user of the tests."""
    asked = PROTOCOL.CreateAclsRequest(TOPIC, topic, LITERAL, f"User:{USER}", "*", operation, ALLOW)
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
        await admin._send_request(asked)


def as_user(kafka: Kafka) -> dict[str, Any]:
    return {
        "bootstrap_servers": kafka.bootstrap(SASL_PLAIN),
        "sasl": Sasl(USER, Secret(PASSWORD), "PLAIN", allow_unencrypted=True),
    }


def expect_final(error: ConnectorError) -> None:
    assert not isinstance(error, UnavailableError)
    assert "(an ACL of the broker)" in str(error)


async def test_who_may_write_nowhere_is_told_when_it_opens(guarded: Cluster) -> None:
    kafka = guarded.address
    topic = await new_topic(kafka)
    with pytest.raises(ConnectorError, match="may not") as told:
        async with producing(kafka, topic, **as_user(kafka)):
            pass
    expect_final(told.value)


async def test_who_may_not_write_to_a_topic_is_told_which(guarded: Cluster) -> None:
    kafka = guarded.address
    topic = await new_topic(kafka)
    await grant(kafka, await new_topic(kafka), WRITE)
    async with producing(kafka, topic, **as_user(kafka)) as producer:
        with pytest.raises(ConnectorError, match=f"{topic} .*may not use the topic") as told:
            await producer.write([message(b"1")])
        expect_final(told.value)
        await grant(kafka, topic, DESCRIBE)
        await asyncio.sleep(0.5)  # the broker hears of it from its controller
        receipt = await producer.write([message(b"1")])
        with pytest.raises(ConnectorError, match=rf"{topic}\[0\] .*may not use the topic") as told:
            await receipt
        expect_final(told.value)
        await grant(kafka, topic, WRITE)
        await asyncio.sleep(0.5)
        assert not await put(producer, [message(b"1")])
    assert await values(kafka, topic) == [b"1"]
