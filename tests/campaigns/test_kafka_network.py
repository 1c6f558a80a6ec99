"""A job from Kafka to Kafka over a network that is cut, held up or slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from subprocess import Popen

import pytest

from tests.campaigns.driving import Budget, chance_of
from tests.campaigns.kafka_driving import Mapping
from tests.services.kafka_listeners import Kafka
from tests.services.proxy import Proxy, kafka_behind_proxy

pytestmark = [pytest.mark.campaign, pytest.mark.service]

Make = Callable[..., Mapping]


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[tuple[Proxy, Kafka]]:
    """A broker that can only be reached through a proxy, which it names as its own address."""
    async with kafka_behind_proxy(tmp_path / "kafka") as found:
        yield found


async def under_load(mapping: Make, brokers: Kafka) -> tuple[Mapping, Popen[bytes]]:
    """A job that has begun to work off what is there."""
    campaign = mapping(brokers, settings={"CAMPAIGN_PAUSE_S": "0.02"})
    await campaign.make_topics()
    await campaign.write(20_000)
    process = campaign.start()
    await campaign.until(lambda done: done >= 1_000, process)
    return campaign, process


async def test_connections_that_are_cut_lose_and_repeat_nothing(
    mapping: Make, network: tuple[Proxy, Kafka]
) -> None:
    proxy, brokers = network
    campaign, process = await under_load(mapping, brokers)
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
    campaign, process = await under_load(mapping, brokers)
    proxy.hold()
    await asyncio.sleep(20)  # a request may take 5 s
    proxy.go_on()
    await campaign.write(2_000)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    await campaign.check()
    said = campaign.warnings()
    assert 1 <= len(said) <= 3, said  # of reading, and of a commit that was under way


async def test_a_slow_and_lossy_network_makes_it_slower_and_never_wrong(
    mapping: Make, network: tuple[Proxy, Kafka], seconds: float, seed: int
) -> None:
    proxy, brokers = network
    chance = chance_of(seed, "network")
    campaign = mapping(brokers)
    await campaign.make_topics()
    process = campaign.start()
    async with campaign.loaded(200):
        await campaign.until(lambda done: done >= 400, process)
        # Half a second there and back, a megabit a second. What gets lost is sent again by the
        # system: at both ends it looks as if the line stood still for a moment.
        proxy.delay_s, proxy.bytes_per_s = 0.25, 125_000
        before, budget = await campaign.outcome.look(), Budget(max(10, seconds))
        while budget.another():
            await asyncio.sleep(chance.uniform(0.5, 3))
            proxy.hold()
            await asyncio.sleep(chance.uniform(0.2, 2))
            proxy.go_on()
        assert await campaign.outcome.look() > before + 200, campaign.story()
        proxy.delay_s = proxy.bytes_per_s = 0
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    assert "fenced" not in campaign.log()
    assert (await campaign.check())["doubled"] == 0
