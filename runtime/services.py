"""What a container opens once and all its tasks share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from samza_py.admin import Admin
from samza_py.checkpoint import CheckpointStore
from samza_py.message import Offset, Partition
from samza_py.resolved import ResolvedJob
from samza_py.runtime.backoff import Failing, outages
from samza_py.runtime.intake import Intake
from samza_py.runtime.outbox import Outbox
from samza_py.runtime.producing import ProducerHost
from samza_py.runtime.rooms import Rooms
from samza_py.runtime.task_plan import TaskPlan
from samza_py.runtime.wakeup import Wakeup
from samza_py.task import Limit

LINGER_S = {"default": 0.005, "low_latency": 0.0}


@dataclass(slots=True)
class Services:
    """Shared by the tasks of one container.

    Attributes:
        resolved: the job.
        resources: what its lifespan yielded.
        store: the checkpoints.
        admins: by system name.
        plan: the tasks and partitions that there are.
        intakes: by system name, for systems that are read.
        hosts: container-wide producers, by system name.
        outboxes: of those producers, by output name.
        rooms: what its tasks may hold.
        threads: for handlers that block.
        on_stop: asks the container to stop.
        waiting: woken by every checkpoint written here, for partitions that wait on parents.
        failing_commits: of its tasks, for one warning an outage.
        outages: what fails in it just now and is tried again.
        started_over: tasks whose old checkpoint was ignored here, as they were told to.
    """

    resolved: ResolvedJob
    resources: Any
    store: CheckpointStore
    admins: dict[str, Admin]
    plan: TaskPlan
    rooms: Rooms
    threads: Executor
    on_stop: Callable[[], None]
    intakes: dict[str, Intake] = field(default_factory=dict[str, Intake])
    hosts: dict[str, ProducerHost] = field(default_factory=dict[str, ProducerHost])
    outboxes: dict[str, Outbox] = field(default_factory=dict[str, Outbox])
    limits: dict[Limit, asyncio.Semaphore] = field(default_factory=dict[Limit, asyncio.Semaphore])
    waiting: set[Wakeup] = field(default_factory=set[Wakeup])
    failing_commits: set[str] = field(default_factory=set[str])
    outages: Failing = field(default_factory=outages)
    started_over: set[str] = field(default_factory=set[str])

    async def place_of(self, partition: Partition, offset: Offset) -> str | None:
        """Where a person finds a message, where its system knows it better than by the offset."""
        return await self.admins[partition.system].place_of(partition, offset)

    def starts_over(self, task: str) -> bool:
        """Whether a task is to ignore its checkpoint: only at its first start in this container."""
        if not self.resolved.ignore_checkpoint or task in self.started_over:
            return False
        self.started_over.add(task)
        return True

    @property
    def linger_s(self) -> float:
        """How long a batch waits for more, by the job's profile."""
        return LINGER_S[self.resolved.options.profile]

    def limit(self, limit: Limit | None) -> asyncio.Semaphore | None:
        """The one semaphore of a shared limit in this container."""
        if limit is None:
            return None
        return self.limits.setdefault(limit, asyncio.Semaphore(limit.calls))

    def committed(self) -> None:
        """A checkpoint was written: whoever waits on parents looks again."""
        for wakeup in self.waiting:
            wakeup.wake()
