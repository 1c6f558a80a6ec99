"""A job from Kafka to Kafka while brokers die, are away, or cannot be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.campaigns.kafka_driving import Mapping
from tests.campaigns.kafka_load import PARTITIONS
from tests.services.kafka import Cluster
from tests.services.kafka_clients import leader_of

Make = Callable[..., Mapping]

LONGEST_AWAY_S = 20
"""Less than a batch may be under way (`delivery_timeout`): later, a record may be there twice."""

pytestmark = [pytest.mark.campaign, pytest.mark.service]


async def test_a_broker_is_killed_and_comes_back_under_load(
    mapping: Make, own_kafka: Cluster
) -> None:
    campaign = mapping(own_kafka.address, settings={"CAMPAIGN_PAUSE_S": "0.02"})
    await campaign.make_topics()
    await campaign.write(20_000)
    process = campaign.start()
    await campaign.until(lambda done: done >= 2_000, process)
    for _ in range(2):
        await asyncio.to_thread(own_kafka.node(1).kill)
        await asyncio.sleep(3)
        await asyncio.to_thread(own_kafka.node(1).restart)
        await campaign.write(2_000)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    assert (await campaign.check())["doubled"] == 0


async def test_half_a_minute_without_a_broker_is_one_outage(
    mapping: Make, own_kafka: Cluster
) -> None:
    campaign = mapping(own_kafka.address, settings={"CAMPAIGN_PAUSE_S": "0.02"})
    await campaign.make_topics()
    await campaign.write(8_000)
    process = campaign.start()
    await campaign.until(lambda done: done >= 2_000, process)
    await asyncio.to_thread(own_kafka.node(1).kill)
    await asyncio.sleep(30)
    await asyncio.to_thread(own_kafka.node(1).restart)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    assert (await campaign.check())["doubled"] == 0
    said = campaign.warnings()
    assert len([line for line in said if "reading" in line and "fails" in line]) == 1, said
    assert len([line for line in said if "committing" in line and "fails" in line]) <= 1, said
    assert len([line for line in said if "fails" not in line and "works again" not in line]) == 0


async def test_a_broker_that_is_away_at_the_start_is_waited_for(
    mapping: Make, own_kafka: Cluster
) -> None:
    campaign = mapping(own_kafka.address)
    await campaign.make_topics()
    await campaign.write(1_000)
    await asyncio.to_thread(own_kafka.node(1).kill)
    process = campaign.start()
    await asyncio.sleep(5)
    assert process.poll() is None, campaign.story()
    said = campaign.warnings()
    assert len(said) == 1, said  # one an outage, whatever has to be opened
    assert "127.0.0.1" in said[0]
    await asyncio.to_thread(own_kafka.node(1).restart)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    await campaign.check()


async def test_the_leader_of_three_is_killed_again_and_again(
    mapping: Make, three_brokers: Cluster, seconds: float
) -> None:
    campaign = mapping(three_brokers.address, settings={"CAMPAIGN_PAUSE_S": "0.05"}, replicas=3)
    await campaign.make_topics()
    await campaign.write(20_000)
    process = campaign.start()
    await campaign.until(lambda done: done >= 1_000, process)
    for _ in range(max(2, int(seconds / 10))):
        leader = await leader_of(three_brokers.address, f"{campaign.topic}.mapped")
        await asyncio.to_thread(three_brokers.node(leader).kill)
        await asyncio.sleep(5)
        await asyncio.to_thread(three_brokers.node(leader).restart)
        await campaign.write(1_000)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    await campaign.check()


@pytest.mark.parametrize(
    ("min_in_sync", "killed"), [(2, 2), (3, 1)], ids=["two killed", "not enough replicas"]
)
async def test_too_few_replicas_are_waited_for_under_load(
    mapping: Make, three_brokers: Cluster, min_in_sync: int, killed: int, seconds: float
) -> None:
    campaign = mapping(three_brokers.address, replicas=3, min_in_sync=min_in_sync)
    await campaign.make_topics()
    process = campaign.start()
    nodes = three_brokers.nodes[:killed]
    async with campaign.loaded(1_000):
        await campaign.until(lambda done: done >= 2_000, process)
        for node in nodes:
            await asyncio.to_thread(node.kill)
        await asyncio.sleep(max(8, min(seconds, LONGEST_AWAY_S)))
        assert process.poll() is None, campaign.story()
        for node in nodes:  # none of two is ready without the other
            await asyncio.to_thread(node.start)
        for node in nodes:
            await asyncio.to_thread(node.wait_ready)
        await asyncio.sleep(3)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    await campaign.check()
    # One for all commits that fail at once. Some may get through while the cluster comes and goes,
    # and what fails behind that is said again; within seconds the client waits without a word. A
    # partition that cannot be read is named, each for itself.
    said = [one for one in campaign.warnings() if "works again" not in one]
    of_reading = [one for one in said if "reading kafka.records[" in one]
    assert len(said) - len(of_reading) <= 2, campaign.story()
    assert len(of_reading) <= PARTITIONS, campaign.story()
