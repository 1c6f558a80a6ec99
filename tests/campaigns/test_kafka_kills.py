"""A job from Kafka to Kafka, killed and stopped in all ways: nothing lost, little done again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from operator import lt

import pytest

from tests.campaigns.driving import Budget, chance_of
from tests.campaigns.kafka_driving import Mapping
from tests.campaigns.launching import KILLED
from tests.campaigns.points import ROOT, points_in, sources
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = [pytest.mark.campaign, pytest.mark.service]

MAPPING = ROOT / "tests" / "campaigns" / "jobs" / "mapping.py"

Record = Callable[[str, object], None]
Make = Callable[..., Mapping]

OUT_OF_REACH = {
    "commit.in_transaction": "no transaction",
    "commit.staged": "no output in two phases",
    "commit.finishing": "no output in two phases",
    "restore.wiped": "no store",
    "restore.batch": "no store",
}
"""Points of the engine that a job from topic to topic does not come to."""

ELSEWHERE = ("connectors/files", "connectors/local")


def points_over_kafka() -> list[str]:
    """Where such a job can be killed, found in the source: a new point is here by itself."""
    files = [path for path in sources() if not any(name in str(path) for name in ELSEWHERE)]
    found = {point for path in [*files, MAPPING] for point in points_in(path)}
    assert found >= OUT_OF_REACH.keys()
    return sorted(found - OUT_OF_REACH.keys())


async def begun(mapping: Make, brokers: Brokers, count: int, **settings: str) -> Mapping:
    """A job with something to do."""
    settings = {f"CAMPAIGN_{name.upper()}": value for name, value in settings.items()}
    campaign = mapping(brokers, settings=settings)
    await campaign.make_topics()
    await campaign.write(count)
    return campaign


@pytest.mark.parametrize("variant", ["serial", "concurrent"])
async def test_killed_at_random_nothing_is_lost_and_only_the_uncommitted_done_again(
    mapping: Make,
    kafka: Brokers,
    variant: str,
    seconds: float,
    seed: int,
    record_property: Record,
) -> None:
    chance = chance_of(seed, "kafka", variant)
    concurrency = "16" if variant == "concurrent" else "1"
    campaign = await begun(mapping, kafka, 20_000, concurrency=concurrency, pause_s="0.02")
    budget = Budget(seconds)
    while budget.another():
        process = campaign.start()
        await asyncio.sleep(chance.uniform(0.7, 3.0))
        await campaign.kill(process)
        if not budget.over():
            await campaign.write(2_000)
    await campaign.finish()
    report = await campaign.check()
    record_property("kills", campaign.starts - 1)
    record_property("doubled", report["doubled"])


@pytest.mark.parametrize("point", points_over_kafka())
async def test_killed_at_a_point_nothing_is_lost(
    mapping: Make, kafka: Brokers, point: str, seed: int
) -> None:
    chance = chance_of(seed, "kafka", point)
    campaign = await begun(mapping, kafka, 4_000, pause_s="0.02")
    for hit in (1, chance.randint(2, 4)):
        before = await campaign.outcome.look()
        once = point.startswith(("start.", "stop."))
        process = campaign.start(f"{point}:{1 if once else hit}")
        if point.startswith("stop."):
            await campaign.until(partial(lt, before), process)
            process.send_signal(signal.SIGTERM)
        code = await campaign.ended(process, f"{point}:{hit}")
        assert code == KILLED, campaign.story()
        await campaign.write(500)
    await campaign.finish()
    await campaign.check()


async def test_a_stop_loses_nothing_and_repeats_nothing(mapping: Make, kafka: Brokers) -> None:
    campaign = await begun(mapping, kafka, 20_000, pause_s="0.02")
    for _ in range(3):
        process = campaign.start()
        await campaign.until(lambda done: done >= 2_000 * campaign.starts, process)
        await campaign.stop(process)
    await campaign.finish()
    assert campaign.allowed == 0
    assert (await campaign.check())["doubled"] == 0


async def test_a_process_that_was_paused_goes_on(mapping: Make, kafka: Brokers) -> None:
    campaign = await begun(mapping, kafka, 20_000, pause_s="0.02")
    process = campaign.start()
    await campaign.until(lambda done: done >= 2_000, process)
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(12)  # longer than a request may take
    process.send_signal(signal.SIGCONT)
    await campaign.until(lambda done: done >= campaign.written, process)
    await campaign.stop(process)
    await campaign.check()


async def test_what_was_done_beyond_a_slow_message_is_not_done_again(
    mapping: Make, kafka: Brokers
) -> None:
    campaign = await begun(
        mapping, kafka, 4_000, concurrency="64", order="none", slow_at="1-100", slow_s="60"
    )
    process = campaign.start()
    await campaign.until(lambda done: done >= campaign.written - 1, process)
    async with asyncio.timeout(20):
        while await campaign.uncommitted():  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await campaign.kill(process)
    assert campaign.allowed == 0
    campaign.settings["CAMPAIGN_SLOW_S"] = "0"
    await campaign.finish()
    report = await campaign.check("--lanes=0")
    assert report["doubled"] == 0
