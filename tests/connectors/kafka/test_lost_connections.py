"""A connection that is dead without a word, as a router leaves it, is not used for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from samza_py.checkpoint import Checkpoint, Grant
from samza_py.connectors.kafka import Kafka
from samza_py.connectors.kafka.checkpoints import KafkaCheckpoints
from samza_py.errors import UnavailableError
from tests.services.ports import LOOPBACK
from tests.services.proxy import Proxy, kafka_behind_proxy

pytestmark = pytest.mark.service


@pytest.fixture
async def network(tmp_path: Path) -> AsyncGenerator[Proxy]:
    """A broker that can only be reached through a proxy, which it names as its own address."""
    async with kafka_behind_proxy(tmp_path / "kafka") as (proxy, _):
        yield proxy


async def test_checkpoints_go_on_by_another_connection(network: Proxy) -> None:
    kafka = Kafka(f"{LOOPBACK}:{network.port}", request_timeout="1s")
    async with KafkaCheckpoints(kafka).store("job") as store:
        claim, _ = await store.open(Grant("price/0"))
        await store.write(claim, Checkpoint(claim.epoch, 1))
        network.lose()
        async with asyncio.timeout(10):
            with pytest.raises(UnavailableError):
                await store.write(claim, Checkpoint(claim.epoch, 2))
            while True:
                try:
                    await store.write(claim, Checkpoint(claim.epoch, 2))
                except UnavailableError:
                    continue
                break
        assert (await store.read())["price/0"].number == 2
