"""A job from Kafka to Kafka over a network that is cut, held up or slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.campaigns.kafka_driving import Mapping
from tests.services.kafka import Cluster
from tests.services.kafka_listeners import PLAINTEXT, Kafka
from tests.services.ports import LOOPBACK
from tests.services.proxy import Proxy

pytestmark = [pytest.mark.campaign, pytest.mark.service]

Make = Callable[..., Mapping]


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[tuple[Proxy, Kafka]]:
    """A broker that can only be reached through a proxy, which it names as its own address."""
    async with Proxy() as proxy:
        advertised = {"advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{proxy.port}"}
        cluster = Cluster(tmp_path / "kafka", settings=advertised)
        proxy.target = cluster.node(1).plan.ports[PLAINTEXT]
        try:
            await asyncio.to_thread(cluster.start)
            yield proxy, Kafka({PLAINTEXT.name: f"{LOOPBACK}:{proxy.port}"})
        finally:
            await asyncio.to_thread(cluster.close)


async def test_connections_that_are_cut_lose_and_repeat_nothing(
    mapping: Make, network: tuple[Proxy, Kafka]
) -> None:
    proxy, brokers = network
    campaign = mapping(brokers, settings={"CAMPAIGN_PAUSE_S": "0.02"})
    await campaign.make_topics()
    await campaign.write(20_000)
    process = campaign.start()
    await campaign.until(lambda done: done >= 1_000, process)
    for _ in range(10):
        proxy.cut()
        await asyncio.sleep(0.5)
    await campaign.write(2_000)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    assert (await campaign.check())["doubled"] == 0


async def test_connections_that_are_half_open_are_noticed_and_nothing_is_lost(
    mapping: Make, network: tuple[Proxy, Kafka]
) -> None:
    proxy, brokers = network
    campaign = mapping(brokers, settings={"CAMPAIGN_PAUSE_S": "0.02"})
    await campaign.make_topics()
    await campaign.write(20_000)
    process = campaign.start()
    await campaign.until(lambda done: done >= 1_000, process)
    proxy.hold()
    await asyncio.sleep(20)  # a request may take 5 s
    proxy.go_on()
    await campaign.write(2_000)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    await campaign.check()
    said = [line for line in campaign.log().splitlines() if line[9:17].strip() == "warning"]
    assert 1 <= len(said) <= 3, said  # of reading, and of a commit that was under way


async def test_a_slow_network_makes_it_slower_and_never_wrong(
    mapping: Make, network: tuple[Proxy, Kafka]
) -> None:
    proxy, brokers = network
    campaign = mapping(brokers)
    await campaign.make_topics()
    await campaign.write(4_000)
    proxy.delay_s, proxy.bytes_per_s = 0.25, 200_000
    process = campaign.start()
    await asyncio.sleep(8)
    proxy.delay_s = proxy.bytes_per_s = 0
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    assert (await campaign.check())["doubled"] == 0
