"""What makes a container ready, and the causes that are told where it is not."""

import asyncio
import gc

import pytest

from samza_py.errors import UnavailableError
from samza_py.monitoring.health import MOST_CAUSES, causes
from samza_py.runtime.backoff import Backoff, watch_outages
from samza_py.runtime.statistics import (
    ContainerStatistics,
    State,
    TaskCounters,
    TaskState,
    TaskStatistics,
)


def task(name: str, state: TaskState = "running", stalled: str | None = None) -> TaskStatistics:
    return TaskStatistics(name, TaskCounters(), (), 0, state, stalled)


def container(
    *tasks: TaskStatistics, state: State = "running", outages: tuple[str, ...] = ()
) -> ContainerStatistics:
    return ContainerStatistics("pricing", 1.0, tasks, TaskCounters(), outages, state)


def test_it_is_ready_while_its_tasks_run_or_have_ended_or_are_others() -> None:
    assert causes(container(task("a/0"), task("a/1", "ended"))) == []
    assert causes(container()) == []


def test_each_cause_is_told() -> None:
    now = container(
        task("a/0", "starting"), task("a/1", stalled="waits"), state="stopping", outages=("away",)
    )
    told = ["the job is stopping", "away", "task a/0 is starting", "task a/1: waits"]
    assert causes(now) == told


def test_many_causes_are_cut() -> None:
    told = causes(container(*[task(f"a/{n}", "starting") for n in range(MOST_CAUSES + 7)]))
    assert len(told) == MOST_CAUSES + 1
    assert told[-1] == "and 7 more"


async def test_an_outage_lasts_until_it_works_or_is_given_up() -> None:
    failing = watch_outages()
    one, other, counted = (
        Backoff("reading from kafka"),
        Backoff("writing"),
        Backoff("a", outage=False),
    )
    for backoff in (one, other, counted):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(backoff.wait(UnavailableError("no route")), 0.01)
    assert sorted(map(str, failing)) == [
        "reading from kafka fails since 0 s: no route",
        "writing fails since 0 s: no route",
    ]
    one.worked()
    assert list(failing) == [other]
    del other, backoff
    gc.collect()
    assert list(failing) == []
