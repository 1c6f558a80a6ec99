"""Coordinators that break one promise each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence

from samza_py.checkpoint import Grant
from samza_py.coordination import Coordination, Coordinator, Event, Granted
from samza_py.testing import CoordinationHarness
from tests.conformance.saboteurs.around import breaks


class Alone(Coordinator):
    """Grants everything to the only container."""

    def __init__(self, tasks: Sequence[str]) -> None:
        self.tasks = list(tasks)
        self.closed = False
        self.changed = asyncio.Event()

    async def aclose(self) -> None:
        self.closed = True
        self.changed.set()

    async def events(self) -> AsyncIterator[Event]:
        while not self.closed:
            self.changed.clear()
            yield Granted(tuple(Grant(task) for task in self.tasks))
            await self.changed.wait()

    async def name_tasks(self, tasks: Sequence[str]) -> None:
        self.tasks = list(tasks)
        self.changed.set()

    async def release(self, tasks: Collection[str]) -> None:
        pass

    async def owns(self, task: str) -> bool:
        return task in self.tasks


class AloneHarness(CoordinationHarness, Coordination):
    """Both the harness and the coordination: what is sabotaged is what it makes."""

    patience_s = 0.3
    kind = Alone

    @property
    def coordination(self) -> Coordination:
        return self

    def coordinator(self, job: str, tasks: Sequence[str]) -> Coordinator:
        return self.kind(tasks)

    def __str__(self) -> str:
        return "alone"


@breaks(
    "the_only_container_is_granted_every_task",
    also={
        "a_granted_task_is_owned": "it waits for the grant of every task first",
        "tasks_that_come_later_are_granted": "it waits for the grant of every task first",
        "events_end_with_the_coordinator": "it waits for the grant of every task first",
    },
)
class ForgetsATask(AloneHarness):
    class kind(Alone):  # noqa: N801  (a class that is an attribute)
        """Leaves the last task to nobody."""

        def __init__(self, tasks: Sequence[str]) -> None:
            super().__init__(tasks[:-1])


@breaks("a_granted_task_is_owned")
class OwnsEverything(AloneHarness):
    class kind(Alone):  # noqa: N801
        """Owns what is not even a task."""

        async def owns(self, task: str) -> bool:
            return True


@breaks("events_end_with_the_coordinator")
class ListensForEver(AloneHarness):
    class kind(Alone):  # noqa: N801
        """Does not end its events when it is closed."""

        async def aclose(self) -> None:
            pass


@breaks("tasks_that_come_later_are_granted")
class KnowsOnlyTheFirst(AloneHarness):
    class kind(Alone):  # noqa: N801
        """Takes no notice of tasks that come while it runs."""

        async def name_tasks(self, tasks: Sequence[str]) -> None:
            pass
