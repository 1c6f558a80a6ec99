"""The simulator bites: each of these mistakes in the runtime is found within a few seeds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.planted import Bug, known_bugs, planted
from tests.simulator.simulation import run_seeds

BUGS = known_bugs()


def test_there_are_many_planted_bugs() -> None:
    assert len(BUGS) >= 30


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "bug"), BUGS.items(), ids=BUGS)
def test_a_planted_bug_is_found(
    name: str, bug: Bug, record_property: Callable[[str, object], None]
) -> None:
    with planted(name):
        for outcome in run_seeds(range(1, bug.within + 1)):
            if outcome.violations:
                record_property("found_at_seed", outcome.seed)
                print(f"{bug.what}: found at seed {outcome.seed}: {outcome.violations[0][:200]}")
                return
    pytest.fail(f"{bug.what}: not found in {bug.within} seeds", pytrace=False)
