"""The real runtime keeps every promise in thousands of small worlds in which things go wrong."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

import pytest

from samza_py.producer import Promise, Requests
from tests.simulator.__main__ import COMMAND
from tests.simulator.generating import scenario_of
from tests.simulator.scenario import Scenario
from tests.simulator.simulation import run_seeds

CHUNK = 25
#: How far the seeds of two campaigns lie apart.
APART = 1_000_000
#: What five hundred seeds may take on two cores, so that people play them after each change.
LONGEST_S = 90.0
CORES = 2


def play(seeds: Iterable[int]) -> int:
    """Play seeds; fails at the first that finds something."""
    played = 0
    for outcome in run_seeds(seeds):
        played += 1
        if outcome.violations:
            pytest.fail(outcome.report(COMMAND), pytrace=False)
    return played


@pytest.mark.parametrize("first", range(1, 51, CHUNK))
def test_no_invariant_breaks_in_the_first_fifty_seeds(first: int) -> None:
    play(range(first, first + CHUNK))


@pytest.mark.campaign
@pytest.mark.parametrize("first", range(51, 501, CHUNK))
def test_no_invariant_breaks_in_the_seeds_up_to_five_hundred(first: int) -> None:
    play(range(first, first + CHUNK))


@pytest.mark.campaign
def test_no_invariant_breaks_in_seeds_that_nobody_has_seen(seconds: float, seed: int) -> None:
    until = time.monotonic() + seconds
    first = seed * APART
    in_time = itertools.takewhile(lambda _: time.monotonic() < until, itertools.count(first))
    print(f"{play(in_time)} seeds from {first} on")


@pytest.mark.campaign
def test_five_hundred_seeds_take_less_than_ninety_seconds_on_two_cores() -> None:
    """Told from the processor's time for every tenth: what else runs here does not count."""
    seeds = range(1, 501, 10)
    began = time.process_time()
    play(seeds)
    of_all_s = (time.process_time() - began) * 500 / len(seeds)
    print(f"500 seeds take {of_all_s:.1f} s of one core")
    assert of_all_s / CORES < LONGEST_S


@pytest.fixture(scope="module")
def scenarios() -> list[Scenario]:
    """The scenarios that every `make test` plays."""
    return [scenario_of(seed) for seed in range(1, 501)]


def test_the_seeds_of_a_test_run_cover_every_promise_under_every_guarantee(
    scenarios: list[Scenario],
) -> None:
    seen = {(s.guarantee, s.promise(output)) for s in scenarios for output in "ABD"}
    assert seen == {
        (guarantee, promise)
        for guarantee in ("at_least_once", "exactly_once")
        for promise in Promise
        if (guarantee, promise) != ("exactly_once", Promise.AT_LEAST_ONCE)
    }


def test_the_seeds_of_a_test_run_cover_every_kind_of_task_order_and_request(
    scenarios: list[Scenario],
) -> None:
    plans = [plan for scenario in scenarios for plan in scenario.handlers]
    shapes = {plan.shape for plan in plans}
    assert shapes == {"plain", "async", "yield", "batch", "object", "blocking"}
    assert {(plan.order, plan.concurrency > 1) for plan in plans} == {
        (order, many) for order in ("key", "partition", "none") for many in (False, True)
    }
    assert {plan.policy.last for plan in plans} == {"fail", "skip", "dead"}
    assert {plan.store for plan in plans} == {"none", "own", "shared"}
    assert {scenario.requests for scenario in scenarios} == set(Requests)
    assert {scenario.containers for scenario in scenarios} == {1, 2, 3}
    assert any(plan.timers for plan in plans)
    assert any(scenario.splits for scenario in scenarios)


def test_runs_are_cancelled_and_fetches_broken_off_in_worlds_of_every_kind(
    scenarios: list[Scenario],
) -> None:
    """What else a seed draws does not keep them away."""
    for struck in (
        [s for s in scenarios if s.trouble.cancels],
        [s for s in scenarios if s.trouble.broken_off],
    ):
        assert {s.containers for s in struck} == {1, 2, 3}
        assert {s.guarantee for s in struck} == {"at_least_once", "exactly_once"}
        assert {s.main for s in struck} == set(Promise)
        assert {s.trouble.before for s in struck} == {s.trouble.before for s in scenarios}
    told = {
        what.partition("] ")[2] or what
        for outcome in run_seeds(range(1, 13), keep=1 << 20)
        for _, _, what in outcome.trace
    }
    assert {"ABORT cancel", "ABORT expire", "fails behind what was fetched"} <= told
