"""What a job over Kafka tells of itself while its broker does not answer, and after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.jobs.running import resolved
from samza_py import Job, Message
from samza_py.connectors.kafka import Kafka
from samza_py.monitoring.health import causes
from samza_py.runtime.container import Container
from tests.services.ports import LOOPBACK
from tests.services.proxy import kafka_behind_proxy

pytestmark = pytest.mark.service


async def until(wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not wanted():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_it_is_not_ready_while_the_broker_is_away_and_says_so(tmp_path: Path) -> None:
    async with kafka_behind_proxy(tmp_path / "kafka") as (network, _):
        kafka = Kafka(f"{LOOPBACK}:{network.port}", request_timeout="1s")
        orders = kafka.topic("orders", key=bytes, value=bytes, partitions=2)
        priced = kafka.topic("priced", key=bytes, value=bytes, partitions=1)
        job: Job[None] = Job("watched", commit_interval="100ms")

        @job.task(orders, to=priced)
        async def price(order: Message[bytes, bytes]) -> bytes:
            return order.value

        container = Container(resolved(job, kafka.checkpoints()))
        running = asyncio.ensure_future(container.run())
        assert causes(container.statistics()) == ["the job is starting"]
        await until(lambda: not causes(container.statistics()))
        network.hold()
        network.cut()
        await until(lambda: bool(causes(container.statistics())))
        told = causes(container.statistics())
        assert any("kafka" in cause and "fails since" in cause for cause in told), told
        network.go_on()
        await until(lambda: not causes(container.statistics()))
        container.request_stop()
        assert causes(container.statistics())[0] == "the job is stopping"
        await running
