"""Topics are made and checkpoints kept by whoever has to prove who he is, encrypted."""

from __future__ import annotations

import uuid

import pytest

from samza_py.checkpoint import Checkpoint, Grant
from samza_py.connectors.kafka.checkpoints import KafkaCheckpoints
from samza_py.connectors.kafka.security import Sasl, Tls
from samza_py.connectors.kafka.system import Kafka
from samza_py.errors import SamzaError
from samza_py.values import Secret
from tests.services.kafka_listeners import MUTUAL_TLS, PASSWORD, TLS_SCRAM_512, USER
from tests.services.kafka_listeners import Kafka as Address


def tls(kafka: Address, *, certificate: bool = False) -> Tls:
    assert kafka.certificates is not None
    authority = str(kafka.certificates.authority)
    mine = kafka.certificates.client.both if certificate else None
    return Tls(authority, str(mine) if mine else None)


@pytest.mark.service
async def test_checkpoints_are_kept_over_tls_with_a_password(secured_kafka: Address) -> None:
    sasl = Sasl(USER, Secret(PASSWORD))
    address = secured_kafka.bootstrap(TLS_SCRAM_512)
    await keeps(Kafka(address, tls=tls(secured_kafka), sasl=sasl))


@pytest.mark.service
async def test_checkpoints_are_kept_over_tls_with_a_certificate(secured_kafka: Address) -> None:
    address = secured_kafka.bootstrap(MUTUAL_TLS)
    await keeps(Kafka(address, tls=tls(secured_kafka, certificate=True)))


@pytest.mark.service
async def test_a_wrong_password_is_an_error_that_does_not_show_it(secured_kafka: Address) -> None:
    sasl = Sasl(USER, Secret("a wrong password"))
    address = secured_kafka.bootstrap(TLS_SCRAM_512)
    with pytest.raises(SamzaError) as raised:
        await keeps(Kafka(address, tls=tls(secured_kafka), sasl=sasl, request_timeout="5s"))
    assert "a wrong password" not in str(raised.value)


async def keeps(kafka: Kafka) -> None:
    """A checkpoint is there for the next store."""
    where, claims = KafkaCheckpoints(kafka, f"checkpoints-{uuid.uuid4().hex}"), list[int]()
    for number in (1, 2):
        async with where.store("job") as store:
            claim, found = await store.open(Grant("price/0"))
            assert (0 if found is None else found.number) == number - 1
            await store.write(claim, Checkpoint(claim.epoch, number))
            claims.append(claim.epoch)
    assert claims == sorted(set(claims))
