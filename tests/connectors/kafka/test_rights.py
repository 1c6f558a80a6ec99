"""The rights that docs/kafka.md lists are enough for a whole job, and each of them is needed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samza_py import Job, Message, Secret
from samza_py.connectors.kafka import Kafka, KafkaCheckpoints, Sasl
from samza_py.errors import ConnectorError
from samza_py.resolving import resolve
from samza_py.runtime.container import Container
from tests.connectors.kafka.test_producer_permissions import ALLOW, LITERAL, PROTOCOL, grant
from tests.services.kafka import Cluster
from tests.services.kafka_clients import ADMIN, client_settings, new_topic, producer, started
from tests.services.kafka_listeners import PASSWORD, SASL_PLAIN, USER
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = pytest.mark.service

PAGE = Path(__file__).parents[3] / "docs" / "kafka.md"
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Alter": 7, "DescribeConfigs": 10}
GROUP = 3
PARTITIONS = 9
"""More than the checkpoint topic has at first: it has to grow."""
HEARD_S = 0.5
"""How long the broker may take to hear of a right from its controller."""


def listed(what: str) -> list[str]:
    """The rights in a row of the page's table."""
    found = re.search(rf"^\| {what} \|(.*)\|$", PAGE.read_text(), re.M)
    assert found is not None
    return re.findall(r"`(\w+)`", found[1])


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cluster]:
    """A broker where nobody may do anything by itself, besides who comes by the open listener."""
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with Cluster(tmp_path / "kafka", listeners=(SASL_PLAIN,), settings=settings) as cluster:
        yield cluster


async def allow(brokers: Brokers, topic: str, *operations: str) -> None:
    """Give the user of the tests these rights to a topic."""
    for operation in operations:
        await grant(brokers, topic, OPERATIONS[operation])


async def allow_group(brokers: Brokers, group: str) -> None:
    """Let the user of the tests read a consumer group."""
    asked = PROTOCOL.CreateAclsRequest(
        GROUP, group, LITERAL, f"User:{USER}", "*", OPERATIONS["Read"], ALLOW
    )
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(brokers))) as admin:
        await admin._send_request(asked)
    await asyncio.sleep(HEARD_S)


async def put(brokers: Brokers, topic: str, value: bytes) -> None:
    async with started(producer(brokers)) as writer:
        await writer.send_and_wait(topic, value, partition=0)


async def ran(brokers: Brokers, source: str) -> list[bytes]:
    """What a job of that user reads of a topic with one message; raises what ends it."""
    sasl = Sasl(USER, Secret(PASSWORD), "PLAIN", allow_unencrypted=True)
    system = Kafka(brokers.bootstrap(SASL_PLAIN), sasl=sasl, request_timeout="5s")
    job: Job[None] = Job("guarded", checkpoints=KafkaCheckpoints(system, "guarded-checkpoints"))
    orders = system.topic("orders", physical=source)
    copies = system.topic("copies", partitions=1, config={"retention.ms": "86400000"})
    seen: list[bytes] = []

    @job.task(orders, to=copies)
    async def copy(order: Message[bytes, bytes]) -> bytes:
        seen.append(order.value)
        container.request_stop()
        return order.value

    container = Container(resolve(job).resolved)
    await asyncio.wait_for(container.run(), 40)
    return seen


async def test_the_rights_of_the_page_are_enough_and_needed(
    guarded: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    brokers = guarded.address
    source = await new_topic(brokers, partitions=PARTITIONS)
    await put(brokers, source, b"1")
    rights: dict[str, list[str]] = {
        source: listed("an input"),
        "copies": [
            *listed("an output"),
            *listed("a topic that the start makes"),
            *listed("a topic with `config=`"),
        ],
        "guarded-checkpoints": listed("the checkpoint topic"),
    }
    for topic, operations in rights.items():
        for operation in operations:
            if (topic, operation) == ("copies", "DescribeConfigs"):
                with pytest.raises(ConnectorError, match="guarded-checkpoints"):
                    await ran(brokers, source)  # makes the topic, whose settings are compared then
            with pytest.raises(ConnectorError, match=topic) as refused:
                await ran(brokers, source)
            assert "(an ACL of the broker)" in str(refused.value)
            await allow(brokers, topic, operation)
            await asyncio.sleep(HEARD_S)
    assert await ran(brokers, source) == [b"1"]
    assert caplog.text.count("lag monitors do not see how far the job has come") == 1
    caplog.clear()
    await allow_group(brokers, "guarded")
    await put(brokers, source, b"2")
    assert await ran(brokers, source) == [b"2"]
    assert "lag monitors" not in caplog.text


def test_every_right_of_the_page_is_one() -> None:
    rows: list[Any] = re.findall(r"^\| [^|]+ \| ((?:`\w+`(?:, )?)+) \|$", PAGE.read_text(), re.M)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == OPERATIONS.keys()
