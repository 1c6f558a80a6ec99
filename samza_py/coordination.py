"""Who runs which task: the words between a coordinator and the containers.

A container's set of tasks may change while it runs, from the first day: the runtime starts tasks
when they are granted and stops them when they are revoked or lost, under every coordinator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from samza_py.checkpoint import Grant
from samza_py.resource import AsyncResource


@dataclass(frozen=True, slots=True)
class Granted:
    """Start these tasks. A task granted twice is left running."""

    grants: tuple[Grant, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """Give these tasks up in good order: stop taking, commit, ``release``.

    Attributes:
        tasks: their names.
        deadline: loop time in seconds; what is not released by then is dropped as if lost.
    """

    tasks: tuple[str, ...]
    deadline: float


@dataclass(frozen=True, slots=True)
class Lost:
    """Drop these tasks at once and write nothing for them: somebody else may own them already."""

    tasks: tuple[str, ...]


Event: TypeAlias = Granted | Revoked | Lost


class Coordinator(AsyncResource):
    """One container's line to whatever decides who runs what. Opened before anything is granted."""

    @abstractmethod
    def events(self) -> AsyncIterator[Event]:
        """What changes, in order, until the coordinator is closed. Iterated by one child only."""

    @abstractmethod
    async def name_tasks(self, tasks: Sequence[str]) -> None:
        """Hear the names of all tasks anew: partitions have come while the container runs.

        Those of the new tasks that are this container's come as a further ``Granted``. What is
        granted already is not moved by it. Every container says so by itself, in no order.

        Args:
            tasks: all tasks of the job, in a fixed order; none that was named before is missing.

        Raises:
            UnavailableError: the outcome is not known; try again.
        """

    @abstractmethod
    async def release(self, tasks: Collection[str]) -> None:
        """Say that these revoked tasks are committed and closed here; a successor may start.

        Passes over what is not revoked: a call that is repeated because its outcome was unknown
        may come when the task has been granted anew.

        Raises:
            UnavailableError: the outcome is not known; try again.
        """

    @abstractmethod
    async def owns(self, task: str) -> bool:
        """Ask, at the source, whether the task is still ours: after a fenced write."""


class Coordination(ABC):
    """How a job's tasks are shared out: a value in the job file. Opens nothing.

    Attributes:
        several: more than one container may take part, so checkpoints must be shared.
        fenced: two containers may for a while both believe to own a task (a paused one wakes up);
            the checkpoint store must fence claims.
    """

    several: bool = False
    fenced: bool = False

    @abstractmethod
    def coordinator(self, job: str, tasks: Sequence[str]) -> Coordinator:
        """A new, unopened coordinator for one container.

        Args:
            job: the job's name.
            tasks: the names of all its tasks, in a fixed order.
        """

    @abstractmethod
    def __str__(self) -> str:
        """What it is, for people."""
