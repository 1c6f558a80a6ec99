"""Numbers about a running container: counted per batch, read about once a second."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

State = Literal["starting", "running", "stopping"]
"""What a container does."""

TaskState = Literal["starting", "running", "stopping", "ended"]
"""The same of a task; ``ended`` when it has read its inputs to the end."""


@dataclass(slots=True)
class TaskCounters:
    """What one task has done since it started in this container. The runner adds to it.

    Attributes:
        received: messages taken from the inputs.
        handled: calls that succeeded, counted in messages.
        sent: messages handed to the outputs, dead letters included.
        skipped: messages passed over by ``Skip()``.
        dead: messages sent to a dead letter output.
        retries: calls made again.
        commits: checkpoints written.
        commit_s: how long that took, in seconds.
    """

    received: int = 0
    handled: int = 0
    sent: int = 0
    skipped: int = 0
    dead: int = 0
    retries: int = 0
    commits: int = 0
    commit_s: float = 0.0

    def add(self, others: TaskCounters) -> None:
        """Count in what others have counted."""
        for name in TaskCounters.__slots__:
            setattr(self, name, getattr(self, name) + getattr(others, name))


@dataclass(frozen=True, slots=True)
class PartitionStatistics:
    """One partition of a task now.

    Attributes:
        name: ``system.stream[id]``.
        remaining: what the system says is left to read, plus what is buffered where the unit is
            messages; None where it does not tell.
        unit: ``messages`` or ``bytes``.
        buffered: messages read ahead and not taken.
        finished: read to its end.
    """

    name: str
    remaining: int | None
    unit: str
    buffered: int
    finished: bool


@dataclass(frozen=True, slots=True)
class TaskStatistics:
    """One task now: its counters, its partitions, and what it waits for.

    Attributes:
        state: whether it runs; ``starting`` while it is opened from its checkpoint.
        stalled: the stated cause when a message is in work for too long or the task waits for
            room, such as ``partition 3 waits 41 s in `price`, key 'A17'``; else None.
    """

    name: str
    counters: TaskCounters
    partitions: tuple[PartitionStatistics, ...]
    unsettled: int
    state: TaskState = "starting"
    stalled: str | None = None


@dataclass(frozen=True, slots=True)
class ContainerStatistics:
    """A container now.

    Attributes:
        tasks: those that run here, and those that have read their inputs to the end.
        left: what the tasks that have left the container did in it, all in one.
        outages: what fails just now and is tried again, each with why and since when.
        state: ``starting`` until everything is open that all tasks share.
    """

    job: str
    running_s: float
    tasks: tuple[TaskStatistics, ...] = field(default_factory=tuple[TaskStatistics, ...])
    left: TaskCounters = field(default_factory=TaskCounters)
    outages: tuple[str, ...] = ()
    state: State = "running"

    def total(self) -> TaskCounters:
        """The counters of all tasks, those that have left included."""
        total = TaskCounters()
        total.add(self.left)
        for task in self.tasks:
            total.add(task.counters)
        return total
