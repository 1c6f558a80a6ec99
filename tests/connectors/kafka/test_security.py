"""Each secured way into a broker is taken with the settings of a job, and a refusal says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from samza_py import Secret
from samza_py.connectors.kafka import Kafka, Sasl, Tls
from samza_py.consumer import Consumer
from samza_py.errors import ConnectorError, SamzaError, UnavailableError
from tests.connectors.kafka.reading import START, key_of, read_at, reading, values
from tests.services.certificates import Authority
from tests.services.kafka_clients import new_topic, write
from tests.services.kafka_listeners import (
    MUTUAL_TLS,
    PASSWORD,
    SECURED,
    TLS,
    USER,
    Certificates,
    Listener,
)
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = pytest.mark.service


def named(listener: Listener) -> str:
    return listener.name


def secured(
    brokers: Brokers,
    listener: Listener,
    *,
    password: str = PASSWORD,
    certificates: Certificates | None = None,
    shows: bool = True,
) -> Kafka:
    """The system, by one way in."""
    tls, sasl = None, None
    if listener.encrypted:
        known = certificates or brokers.certificates
        assert known is not None
        own: dict[str, Any] = {}
        if listener.asks_certificate and shows:
            own = {
                "certificate_file": str(known.client.chain),
                "key_file": str(known.client.key),
            }
        tls = Tls(ca_file=str(known.authority), **own)
    if listener.mechanism:
        mechanism: Any = listener.mechanism
        sasl = Sasl(USER, Secret(password), mechanism, allow_unencrypted=True)
    return Kafka(brokers.bootstrap(listener), tls=tls, sasl=sasl, request_timeout="5s")


async def refused(system: Kafka) -> SamzaError:
    """What refuses a consumer."""
    consumer: Consumer = system.consumer({})
    with pytest.raises(ConnectorError) as caught:
        async with consumer:
            pass
    assert PASSWORD not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("listener", SECURED, ids=named)
async def test_a_topic_is_read(secured_kafka: Brokers, listener: Listener) -> None:
    topic = await new_topic(secured_kafka)
    await write(secured_kafka, topic, [b"1", b"2"])
    async with reading(secured(secured_kafka, listener), topic, {key_of(): START}) as consumer:
        assert values(await read_at(consumer, key_of())) == [b"1", b"2"]


@pytest.mark.parametrize("listener", [one for one in SECURED if one.mechanism], ids=named)
async def test_a_wrong_password_is_said_and_not_tried_again(
    secured_kafka: Brokers, listener: Listener
) -> None:
    error = await refused(secured(secured_kafka, listener, password="wrong"))
    assert not isinstance(error, UnavailableError)
    assert f"at {secured_kafka.bootstrap(listener)} is refused: wrong user or password" in str(
        error
    )


@pytest.mark.parametrize("listener", [one for one in SECURED if one.encrypted], ids=named)
async def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(
    secured_kafka: Brokers, listener: Listener, tmp_path: Path
) -> None:
    strange = Certificates.make(tmp_path)
    error = await refused(secured(secured_kafka, listener, certificates=strange))
    assert not isinstance(error, UnavailableError)
    assert ": its certificate is not trusted: " in str(error)


async def test_a_client_without_a_certificate_is_refused(secured_kafka: Brokers) -> None:
    await refused(secured(secured_kafka, MUTUAL_TLS, shows=False))


async def test_a_certificate_of_another_authority_is_refused(
    secured_kafka: Brokers, tmp_path: Path
) -> None:
    ours = secured_kafka.certificates
    assert ours is not None
    mixed = Certificates(ours.authority, ours.broker, Authority(tmp_path).issue("client"))
    await refused(secured(secured_kafka, MUTUAL_TLS, certificates=mixed))


async def test_plain_text_to_an_encrypted_port_is_refused(secured_kafka: Brokers) -> None:
    await refused(Kafka(secured_kafka.bootstrap(TLS), request_timeout="3s"))
