"""Killed at any moment, again and again, a job loses nothing and does nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.driving import VARIANTS, Budget, Counting, chance_of
from tests.campaigns.launching import KILLED
from tests.campaigns.numbered import Load

pytestmark = pytest.mark.campaign

Record = Callable[[str, object], None]


@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_at_random_times_nothing_is_lost_or_done_twice(
    tmp_path: Path, variant: str, seconds: float, seed: int, record_property: Record
) -> None:
    """Kills from the start of the process on, so that start, work, commit and end are all met."""
    chance = chance_of(seed, "random", variant)
    budget = Budget(seconds)
    kills = 0
    while budget.another():
        folder = tmp_path / f"round-{budget.rounds}"
        campaign = Counting(folder, variant, chance.randrange(1 << 30), Load(records=300), 1.5)
        while not (campaign.kills and budget.over()):
            if campaign.kill_after(chance.uniform(0.4, 2.5)) == 0:
                break
            if chance.random() < 0.1:
                campaign.tear_checkpoints()
        campaign.finish(twice=chance.random() < 0.3)
        campaign.check()
        kills += campaign.kills
        campaign.tidy()
    record_property("rounds", budget.rounds - 1)
    record_property("kills", kills)


def test_a_burst_of_kills_leaves_a_job_that_still_comes_to_its_end(
    tmp_path: Path, seconds: float, seed: int, record_property: Record
) -> None:
    """What an out-of-memory killer does: thirty of them, a tenth of a second to a second apart."""
    chance = chance_of(seed, "burst")
    campaign = Counting(tmp_path, chance.choice(VARIANTS), seed, Load(records=400), 2.0)
    burst = 30 if seconds >= 30 else 12
    while campaign.starts < burst:
        code = campaign.kill_after(chance.uniform(0.1, 1.0))
        assert code in (0, KILLED), campaign.log()
    campaign.finish()
    campaign.check()
    record_property("kills", campaign.kills)


@pytest.mark.parametrize("order", ["none", "partition"])
def test_handlers_that_finish_out_of_order_are_never_passed_by_the_checkpoint(
    tmp_path: Path, order: str, seconds: float, seed: int, record_property: Record
) -> None:
    """Sixty-four calls at once that take one to two hundred milliseconds, some of which fail."""
    chance = chance_of(seed, "out of order", order)
    settings = {"CAMPAIGN_CONCURRENCY": "64", "CAMPAIGN_ORDER": order, "CAMPAIGN_JITTER_S": "0.2"}
    budget = Budget(seconds / 2)
    kills = 0
    while budget.another():
        folder = tmp_path / f"round-{budget.rounds}"
        # One lane a partition is four calls at once: sixteen times as long for the same load.
        load = Load(records=150 if order == "none" else 10, poison=23)
        campaign = Counting(
            folder, "concurrent", chance.randrange(1 << 30), load, settings=dict(settings)
        )
        campaign.ordered = order == "partition"
        for _ in range(chance.randint(2, 4)):
            campaign.kill_after(chance.uniform(0.8, 2.5))
        campaign.finish(twice=False)
        campaign.check()
        kills += campaign.kills
        campaign.tidy()
    record_property("rounds", budget.rounds - 1)
    record_property("kills", kills)
