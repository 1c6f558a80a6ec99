"""Coordinators that need no service: one container alone, or a fixed number of them."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass

from samza_py.assignment import share
from samza_py.checkpoint import Grant
from samza_py.coordination import Coordination, Coordinator, Event, Granted
from samza_py.errors import ConfigError
from samza_py.runtime.wakeup import Wakeup


class FixedCoordinator(Coordinator):
    """Grants a fixed share of the tasks, each once, and never takes one back.

    Args:
        tasks: the names of all.
        index: of the container, from 0.
        count: of all containers.
    """

    def __init__(self, tasks: Sequence[str], index: int = 0, count: int = 1) -> None:
        self._index = index
        self._count = count
        self._tasks = self._share(tasks)
        self._closed = False
        self._changed = Wakeup()

    async def events(self) -> AsyncIterator[Event]:
        """One grant of everything, then of what comes later."""
        granted: set[str] = set()
        while not self._closed:
            new = [task for task in self._tasks if task not in granted]
            granted.update(new)
            yield Granted(tuple(Grant(task) for task in new))
            await self._changed.wait()

    async def aclose(self) -> None:
        """End the events."""
        self._closed = True
        self._changed.wake()

    async def name_tasks(self, tasks: Sequence[str]) -> None:
        """The share of the new ones is granted, too."""
        self._tasks = self._share(tasks)
        self._changed.wake()

    async def release(self, tasks: Collection[str]) -> None:
        """Nobody waits for them."""

    async def owns(self, task: str) -> bool:
        """As ever."""
        return task in self._tasks

    def _share(self, tasks: Sequence[str]) -> list[str]:
        return share(tasks, self._count)[self._index]


@dataclass(frozen=True, slots=True)
class Embedded(Coordination):
    """This one container runs every task. The default."""

    def coordinator(self, job: str, tasks: Sequence[str]) -> Coordinator:
        """All tasks."""
        return FixedCoordinator(tasks)

    def __str__(self) -> str:
        return "embedded: this process runs every task"


@dataclass(frozen=True, slots=True)
class Static(Coordination):
    """A fixed number of containers, each told which one it is.

    For a StatefulSet, an indexed Job, or processes started by hand. Every container must be given
    the same count; changing it moves tasks, so stop all of them first.

    Args:
        index: of this container, from 0.
        count: of all.
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError("coordinator.count", "must be at least 1", self.count)
        if not 0 <= self.index < self.count:
            raise ConfigError(
                "coordinator.index", f"must be from 0 to {self.count - 1}", self.index
            )

    @property
    def several(self) -> bool:  # type: ignore[override]  # derived from the count
        """Whether there is more than one container."""
        return self.count > 1

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Static:
        """The index and count of this container from its environment.

        ``SAMZA_CONTAINER_INDEX`` and ``SAMZA_CONTAINER_COUNT``; the index also from
        ``JOB_COMPLETION_INDEX`` (a Kubernetes indexed Job) or the number at the end of
        ``HOSTNAME`` (a StatefulSet's pod).

        Raises:
            ConfigError: one of them is missing or no number; names the variable.
        """
        env = os.environ if environment is None else environment
        index = env.get("SAMZA_CONTAINER_INDEX") or env.get("JOB_COMPLETION_INDEX")
        if index is None:
            ordinal = re.search(r"-(\d+)$", env.get("HOSTNAME", ""))
            index = ordinal[1] if ordinal else None
        count = env.get("SAMZA_CONTAINER_COUNT")
        return cls(_number("SAMZA_CONTAINER_INDEX", index), _number("SAMZA_CONTAINER_COUNT", count))

    def coordinator(self, job: str, tasks: Sequence[str]) -> Coordinator:
        """This container's share of the tasks."""
        return FixedCoordinator(tasks, self.index, self.count)

    def __str__(self) -> str:
        return f"static: container {self.index} of {self.count}"


def _number(variable: str, text: str | None) -> int:
    if text is None:
        raise ConfigError(variable, "is not set, and a static coordinator needs it")
    try:
        return int(text)
    except ValueError:
        raise ConfigError(variable, "must be a whole number", text) from None
