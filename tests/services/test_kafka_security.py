"""Every secured way into a broker lets in who may come, and refuses who may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.services.certificates import Authority
from tests.services.kafka_clients import CLIENTS, client_settings, new_topic, read, started, write
from tests.services.kafka_listeners import (
    MUTUAL_TLS,
    PASSWORD,
    SECURED,
    TLS,
    Certificates,
    Kafka,
    Listener,
)

pytestmark = pytest.mark.service

PASSWORDS = [listener for listener in SECURED if listener.mechanism]
ENCRYPTED = [listener for listener in SECURED if listener.encrypted]


def named(listener: Listener) -> str:
    return listener.name


async def refused(settings: dict[str, Any]) -> str:
    """Come in with these settings; what refused it."""
    client = CLIENTS.AIOKafkaProducer(**settings, request_timeout_ms=5_000)
    with pytest.raises(CLIENTS.errors.KafkaConnectionError) as caught:
        async with started(client):
            pass
    return str(caught.value)


@pytest.mark.parametrize("listener", SECURED, ids=named)
async def test_what_is_written_is_read(secured_kafka: Kafka, listener: Listener) -> None:
    topic = await new_topic(secured_kafka)
    await write(secured_kafka, topic, [b"1", b"2"], listener)
    assert await read(secured_kafka, topic, 2, listener) == [b"1", b"2"]


@pytest.mark.parametrize("listener", PASSWORDS, ids=named)
async def test_a_wrong_password_is_refused(secured_kafka: Kafka, listener: Listener) -> None:
    settings = client_settings(secured_kafka, listener, password="wrong")
    assert PASSWORD not in await refused(settings)


async def test_a_client_without_a_certificate_is_refused(secured_kafka: Kafka) -> None:
    await refused(client_settings(secured_kafka, MUTUAL_TLS, certificate=False))


async def test_a_certificate_of_another_authority_is_refused(
    secured_kafka: Kafka, tmp_path: Path
) -> None:
    assert secured_kafka.certificates is not None
    stranger = Authority(tmp_path).issue("client")
    ours = secured_kafka.certificates
    mixed = Certificates(ours.authority, ours.broker, stranger)
    await refused(client_settings(Kafka(secured_kafka.addresses, mixed), MUTUAL_TLS))


@pytest.mark.parametrize("listener", ENCRYPTED, ids=named)
async def test_a_client_that_trusts_another_authority_does_not_come_in(
    secured_kafka: Kafka, listener: Listener, tmp_path: Path
) -> None:
    other = Kafka(secured_kafka.addresses, Certificates.make(tmp_path))
    await refused(client_settings(other, listener))


async def test_a_client_that_speaks_plain_text_to_tls_is_refused(secured_kafka: Kafka) -> None:
    await refused({"bootstrap_servers": secured_kafka.bootstrap(TLS)})
