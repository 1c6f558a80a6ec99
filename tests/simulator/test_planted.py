"""The simulator bites: each of these mistakes in the runtime is found within a few seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.simulator.generating import scenario_of
from tests.simulator.planted import Bug, known_bugs, planted
from tests.simulator.simulation import run_seed, run_seeds

BUGS = known_bugs()
WITHIN = 400
"""So many seeds must find each of them. The one that found it before is tried first."""


WITHOUT = 100
"""So many seeds do not find one that needs trouble which they do not have."""


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


@pytest.mark.campaign
@pytest.mark.parametrize("name", [name for name, bug in BUGS.items() if bug.only])
def test_what_one_kind_of_trouble_alone_shows_is_not_found_without_it(name: str) -> None:
    bug = BUGS[name]
    assert bug.only is not None
    with planted(name):
        for seed in (bug.seed, *range(1, WITHOUT + 1)):
            scenario = scenario_of(seed)
            without: dict[str, Any] = {bug.only: 0}
            calm = replace(scenario.trouble, **without)
            assert not run_seed(seed, replace(scenario, trouble=calm)).violations
