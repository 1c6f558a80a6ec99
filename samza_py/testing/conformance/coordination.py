"""What ``Coordinator`` promises: every task is granted once, and goes on by release."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from samza_py.coordination import Event, Granted
from samza_py.testing.conformance.check import Checklist, expect, within
from samza_py.testing.conformance.harness import CoordinationHarness

CHECKS = Checklist("Coordinator", CoordinationHarness)

JOB = "conformance"
TASKS = ("price/0", "price/1", "price/2")
GROWN = (*TASKS, "price/3")


async def _granted(
    harness: CoordinationHarness, events: AsyncIterator[Event], tasks: Sequence[str] = TASKS
) -> list[str]:
    """Listen until every task was granted."""
    granted: list[str] = []
    async with within(harness.patience_s, "granting all tasks to the only container"):
        while not set(granted) >= set(tasks):
            event = await anext(events)
            if isinstance(event, Granted):
                granted += [grant.task for grant in event.grants]
    return granted


@CHECKS.check()
async def the_only_container_is_granted_every_task(harness: CoordinationHarness) -> None:
    """The only container is granted every task."""
    async with harness.coordination.coordinator(JOB, TASKS) as coordinator:
        granted = await _granted(harness, coordinator.events())
        expect(sorted(granted) == list(TASKS), f"of {TASKS}, {granted} were granted")


@CHECKS.check()
async def a_granted_task_is_owned(harness: CoordinationHarness) -> None:
    """Owns is true for what is granted and for nothing else."""
    async with harness.coordination.coordinator(JOB, TASKS) as coordinator:
        await _granted(harness, coordinator.events())
        for task in TASKS:
            expect(await coordinator.owns(task), f"{task} is granted, but not owned")
        expect(not await coordinator.owns("price/77"), "a task of no job is owned")


@CHECKS.check()
async def tasks_that_come_later_are_granted(harness: CoordinationHarness) -> None:
    """A task that is named while the container runs is granted, and owned, too."""
    async with harness.coordination.coordinator(JOB, TASKS) as coordinator:
        events = coordinator.events()
        await _granted(harness, events)
        await coordinator.name_tasks(GROWN)
        await harness.grant_new()
        await _granted(harness, events, GROWN[len(TASKS) :])
        expect(await coordinator.owns(GROWN[-1]), f"{GROWN[-1]} is granted, but not owned")


@CHECKS.check()
async def events_end_with_the_coordinator(harness: CoordinationHarness) -> None:
    """Events end when the coordinator is closed."""
    async with harness.coordination.coordinator(JOB, TASKS) as coordinator:
        events = coordinator.events()
        await _granted(harness, events)

        async def listen() -> None:
            async for _ in events:
                pass

        listener = asyncio.ensure_future(listen())
        await harness.let_work(5)
    async with within(harness.patience_s, "ending the events of a closed coordinator"):
        await listener
