"""Killed with SIGKILL at every named point, a job loses nothing and does nothing twice."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.driving import VARIANTS, Budget, Counting, chance_of
from tests.campaigns.launching import KILLED
from tests.campaigns.points import JOB, OUT_OF_REACH, named_points, points_in, sources

pytestmark = pytest.mark.campaign

AGAIN = (
    "local.cut",
    "start.claimed",
    "restore.wiped",
    "restore.batch",
    "files.recover.finished",
    "files.recover.before_remove",
    "start.recovered",
    "start.assigned",
    "user.called",
    "commit.prepared",
)
"""Where a start that has to recover is killed once more."""

STATELESS = {"restore", "user.stored", "user.timer", "user.end"}
"""Points that the variant without a store does not come to."""

UNTIMED = {"user.timer", "user.end"}
"""Points of task objects alone."""


def variants_for(point: str) -> list[str]:
    """The variants that come to a point."""
    if point in UNTIMED:
        return ["serial", "concurrent"]
    if point in STATELESS or point.partition(".")[0] in STATELESS:
        return [variant for variant in VARIANTS if variant != "spread"]
    return list(VARIANTS)


def kill_at_a_first_start(campaign: Counting, point: str, hit: int, chance: random.Random) -> bool:
    """Kill the first start there; where it is reached less often, kill another job at its last."""
    if campaign.run(f"{point}:{hit}") == KILLED:
        return True
    reached = campaign.hits.get(point, 0)
    if not reached:
        return False
    campaign.begin_again()
    return campaign.run(f"{point}:{chance.randint(1, reached)}") == KILLED


def kill_at_a_later_start(campaign: Counting, point: str) -> bool:
    """Kill the start that has state to restore, staged parts to remove and a torn write to cut."""
    campaign.begin_again()
    assert campaign.run("commit.finishing:2") == KILLED, campaign.story()
    # Not at "commit.staged", which a commit without output passes too.
    assert campaign.run("files.stage.synced") == KILLED, campaign.story()
    campaign.tear_checkpoints()
    return campaign.run(point) == KILLED


def one_round(
    make: Callable[[], Counting], point: str, chance: random.Random, number: int
) -> Counting:
    """Kill at the point, kill the starts behind it now and then, finish, check."""
    campaign = make()
    hit = number + 1 if number < 2 else chance.randint(1, 12)
    killed = kill_at_a_first_start(campaign, point, hit, chance)
    killed = killed or kill_at_a_later_start(campaign, point)
    assert killed, f"{point} was never reached: {campaign.story()}"
    for _ in range(chance.choice((0, 0, 1, 2))):
        if chance.random() < 0.3:
            campaign.tear_checkpoints()
        campaign.run(chance.choice((*AGAIN, point)))
    campaign.finish(twice=chance.random() < 0.3)
    return campaign


@pytest.mark.parametrize("point", named_points())
def test_killed_at_a_named_point_nothing_is_lost_or_done_twice(
    tmp_path: Path,
    point: str,
    seconds: float,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Every point by itself is a test: a new one in the source is a new one here."""
    chance = chance_of(seed, point)
    budget = Budget(seconds / len(named_points()) * 2)
    kills = 0
    while budget.another():
        number = budget.rounds - 1
        variant = chance.choice(variants_for(point))
        folder = tmp_path / f"round-{number}"

        def make(folder: Path = folder, variant: str = variant) -> Counting:
            # A compaction takes many commits.
            lasting_s = 2.0 if point.startswith("local.compact") else 0.4
            return Counting(folder, variant, chance.randrange(1 << 30), lasting_s=lasting_s)

        campaign = one_round(make, point, chance, number)
        campaign.check()
        kills += campaign.kills
        campaign.tidy()
    record_property("rounds", budget.rounds - 1)
    record_property("kills", kills)


def test_every_point_says_its_name_in_the_source() -> None:
    """What a regular expression cannot find would be missing here in silence."""
    found = {point for path in [*sources(), JOB] for point in points_in(path)}
    assert len(found) > 30
    assert found >= OUT_OF_REACH.keys(), "a point that is excused is gone"
    assert {point.partition(".")[0] for point in found} >= {
        "start",
        "restore",
        "commit",
        "stop",
        "files",
        "local",
        "user",
    }
