"""The simulator bites: each of these mistakes in the runtime is found within a few seeds."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.planted import Bug, known_bugs, planted
from tests.simulator.simulation import run_seeds

BUGS = known_bugs()
WITHIN = 400
"""So many seeds must find each of them. The one that found it before is tried first."""


def test_there_are_many_planted_bugs() -> None:
    assert len(BUGS) >= 30


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "bug"), BUGS.items(), ids=BUGS)
def test_a_planted_bug_is_found(
    name: str, bug: Bug, record_property: Callable[[str, object], None]
) -> None:
    with planted(name):
        for outcome in run_seeds([bug.seed, *range(1, WITHIN + 1)]):
            if outcome.violations:
                record_property("found_at_seed", outcome.seed)
                print(f"{bug.what}: found at seed {outcome.seed}: {outcome.violations[0][:200]}")
                return
    pytest.fail(f"{bug.what}: not found in {WITHIN} seeds", pytrace=False)
