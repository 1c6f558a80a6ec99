"""The broker and the coordination of a simulation: the real ones, with somebody looking on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from samza_py.checkpoint import Changes
from samza_py.connectors.memory import Broker, Memory, Script
from samza_py.connectors.memory.broker import Owner
from samza_py.connectors.memory.kept import Kept
from samza_py.coordination import Coordination, Coordinator, Event, Granted, Lost
from samza_py.errors import FencedError
from tests.simulator.calls import Calls
from tests.simulator.world import JOB, Incarnation, World

Checkpointed: TypeAlias = Callable[[str, bytes, Kept], None]
"""Told of a checkpoint that has taken effect: its task, its bytes, and what is kept."""


class WatchedKept(Kept):
    """Tells of every checkpoint that takes effect.

    Attributes:
        told: what to tell.
    """

    told: Checkpointed | None = None

    def apply(
        self, task: str, checkpoint: bytes, markers: Mapping[str, str], changes: Changes
    ) -> None:
        """Let it take effect, then tell."""
        super().apply(task, checkpoint, markers, changes)
        if self.told is not None:
            self.told(task, checkpoint, self)


class WatchedBroker(Broker):
    """Notes who claims what, and which claims are refused as too old.

    Args:
        world: the simulation.
        calls: told of refused claims.
    """

    def __init__(self, world: World, calls: Calls) -> None:
        super().__init__()
        self.kept = WatchedKept()
        self.jobs[JOB] = self.kept
        self._world = world
        self._calls = calls

    def fence(self, owner: Owner, epoch: int) -> None:
        """Note whose the task is now."""
        super().fence(owner, epoch)
        here = self._world.here()
        if here is not None:
            here.claims[owner[1]] = epoch
            self._world.note(here, f"claims {owner[1]}, epoch {epoch}")

    def check(self, owner: Owner, epoch: int) -> None:
        """Note whose claim is too old."""
        try:
            super().check(owner, epoch)
        except FencedError:
            self._world.note(self._world.here(), f"fenced: {owner[1]}, epoch {epoch}")
            self._calls.fenced.setdefault((owner[1], epoch), self._world.now)
            raise


class WatchedCoordination(Coordination):
    """A container's part in a script; notes when it has heard that a task is not its own.

    Args:
        script: who owns what.
        link: the container's connection.
        incarnation: the container.
        world: the simulation.
    """

    several = True
    fenced = True

    def __init__(
        self, script: Script, link: Memory, incarnation: Incarnation, world: World
    ) -> None:
        self._inner = script.container(link)
        self._incarnation = incarnation
        self._world = world

    def coordinator(self, job: str, tasks: Sequence[str]) -> Coordinator:
        """The line of one container."""
        inner = self._inner.coordinator(job, tasks)
        return _WatchedCoordinator(inner, self._incarnation, self._world)

    def __str__(self) -> str:
        return str(self._inner)


class _WatchedCoordinator(Coordinator):
    def __init__(self, inner: Coordinator, incarnation: Incarnation, world: World) -> None:
        self._inner = inner
        self._incarnation = incarnation
        self._world = world

    async def aopen(self) -> None:
        await self._inner.aopen()

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def events(self) -> AsyncIterator[Event]:
        async for event in self._inner.events():
            self._world.note(self._incarnation, f"hears {event}")
            if isinstance(event, Granted):
                until = {grant.task: grant.valid_until for grant in event.grants}
                self._incarnation.valid_until.update(until)
            yield event
            if isinstance(event, Lost):  # and whoever listens has done what that asks for
                self._not_its_own(event.tasks, self._incarnation.claims)

    async def name_tasks(self, tasks: Sequence[str]) -> None:
        await self._inner.name_tasks(tasks)

    async def release(self, tasks: Collection[str]) -> None:
        claims = dict(self._incarnation.claims)  # there may be newer ones when it returns
        await self._inner.release(tasks)
        self._not_its_own(tasks, claims)

    async def owns(self, task: str) -> bool:
        return await self._inner.owns(task)

    def _not_its_own(self, tasks: Collection[str], claims: Mapping[str, int]) -> None:
        told, now = self._incarnation.told_lost, self._world.now
        for task in tasks:
            if task in claims:
                told.setdefault((task, claims[task]), now)
