"""The tasks of a job as they are known now, and the partitions that come while it runs.

Systems do not tell that a stream has grown or a shard was split: they are asked again, every so
often and before a task is taken to have ended. A split shard is finished; that its children are
there can be seen by then, so that no job ends with them unread.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from samza_py.admin import Admin, PartitionInfo
from samza_py.assignment import PlannedTask, planned_tasks
from samza_py.checkpoint import Checkpoint, CheckpointStore
from samza_py.errors import PositionLostError, UnavailableError
from samza_py.message import END, Partition
from samza_py.resolved import ResolvedJob
from samza_py.runtime.backoff import retried
from samza_py.runtime.wakeup import Wakeup
from samza_py.system import Input

logger = logging.getLogger(__name__)

#: So soon after a task has read all it had the systems are asked: others may end with it.
PROMPT_S = 1.0

ALL_ENDED_LOOK_S = 1.0


class TaskPlan:
    """What there is to run, in all containers together. It only ever grows.

    Args:
        resolved: the job.
        admins: by system name, opened.

    Attributes:
        tasks: by name, in a fixed order.
        partitions: of every input, by ``system.stream``; those that are gone meanwhile included.
        late: partitions that were found while this container ran.
        complete: the systems were asked since a task has last come to its end.
    """

    def __init__(self, resolved: ResolvedJob, admins: Mapping[str, Admin]) -> None:
        self.tasks: dict[str, PlannedTask] = {}
        self.partitions: dict[str, dict[Partition, PartitionInfo]] = {}
        self.late: set[Partition] = set()
        self.complete = True
        self._resolved = resolved
        self._admins = admins
        self._growing = [
            (system, stream)
            for system in admins
            for stream in resolved.inputs_of(system).values()
            if not stream.fixed_partitions
        ]
        self._wanted = Wakeup()
        self._waiters: list[asyncio.Future[None]] = []
        self._soon: asyncio.TimerHandle | None = None
        self._ended_meanwhile = False

    async def find_inputs(self) -> None:
        """Read the partitions of the inputs that the job does not write itself.

        Before anything is made or moved: where a root is mistyped, its outputs would be made below
        it, and the checkpoints set aside for nothing.

        Raises:
            ConnectorError: a stream does not exist.
            UnavailableError: a system was still away after ``startup_timeout_s``.
        """
        for system in self._admins:
            written = self._resolved.outputs_of(system)
            for name, stream in self._resolved.inputs_of(system).items():
                if name not in written:
                    await self._read(system, stream)

    async def read(self) -> None:
        """Read the partitions of every other input, and plan.

        Raises:
            ConfigError: an input has no partition.
            ConnectorError: a stream does not exist.
            UnavailableError: a system was still away after ``startup_timeout_s``.
        """
        for system in self._admins:
            for stream in self._resolved.inputs_of(system).values():
                if str(stream) not in self.partitions:
                    await self._read(system, stream)
        tasks = planned_tasks(self._resolved.job.tasks, self.partitions)
        self.tasks = {task.name: task for task in tasks}

    async def _read(self, system: str, stream: Input[Any, Any]) -> None:
        timeout_s = self._resolved.options.startup_timeout_s
        self.partitions[str(stream)] = await self._ask(system, stream, timeout_s)

    async def watch(self, on_growth: Callable[[Sequence[PlannedTask]], Awaitable[None]]) -> None:
        """Ask again, every so often and when it is wanted, until cancelled.

        Args:
            on_growth: called with the tasks that are new or have more partitions than before.

        Raises:
            ConnectorError: a stream does not exist any more.
            PositionLostError: one was deleted and made again.
        """
        if not self._growing:
            return
        loop = asyncio.get_running_loop()
        interval_s = self._resolved.options.partition_check_interval_s
        while True:
            timer = loop.call_later(interval_s, self._wanted.wake)
            try:
                await self._wanted.wait()
            finally:
                timer.cancel()
                if self._soon is not None:
                    self._soon.cancel()
                    self._soon = None
            waiters, self._waiters = self._waiters, []
            self._ended_meanwhile = False
            changed = await self._read_again()
            if changed:
                await on_growth(changed)
            # Not before the systems have answered, which may take long: the job would end by it.
            self.complete = not self._ended_meanwhile
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def look(self) -> asyncio.Future[None]:
        """Ask again now. Done once what has come up to here is known and acted upon."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._growing:
            self._waiters.append(waiter)
            self._wanted.wake()
        else:
            waiter.set_result(None)
        return waiter

    def look_soon(self) -> None:
        """Ask again before long, once for all who want it by then."""
        if self._growing and self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(PROMPT_S, self._wanted.wake)

    def at_end(self) -> None:
        """Hear that a task has read all it has: more may have come, in its place or for itself."""
        if self._growing:
            self.complete = False
            self._ended_meanwhile = True
            self.look_soon()

    async def all_ended(self, store: CheckpointStore, idle: Callable[[], bool]) -> None:
        """Return once all tasks have ended, whichever container ran them.

        With several containers nobody sees all of them end: the checkpoints tell, now and then.

        Args:
            store: where they are.
            idle: whether this container runs nothing; what does run has not ended.
        """
        while True:
            await asyncio.sleep(ALL_ENDED_LOOK_S)
            if idle():
                names = tuple(self.tasks)
                what = "looking whether all tasks have ended"
                found = await retried(what, partial(store.read, names))
                if self._are_over(found):
                    await self.look()  # what has come since is in no checkpoint
                    if self._are_over(found) and idle():
                        return

    def _are_over(self, found: Mapping[str, Checkpoint]) -> bool:
        return all(name in found and _is_over(t, found[name]) for name, t in self.tasks.items())

    async def _read_again(self) -> list[PlannedTask]:
        for system, stream in self._growing:
            known = self.partitions[str(stream)]
            for partition, info in (await self._ask(system, stream, None)).items():
                if partition not in known:
                    logger.info("%s has come while the job runs", partition)
                    self.late.add(partition)
                    known[partition] = info
                _refuse_another(stream, partition, known[partition].lineage, info.lineage)
        changed: list[PlannedTask] = []
        tasks: dict[str, PlannedTask] = {}
        for task in planned_tasks(self._resolved.job.tasks, self.partitions):
            before = self.tasks.get(task.name)
            if before is None or before.inputs.keys() != task.inputs.keys():
                changed.append(task)
                before = task
            tasks[task.name] = before
        self.tasks = tasks
        return changed

    async def _ask(
        self, system: str, stream: Input[Any, Any], timeout_s: float | None
    ) -> dict[Partition, PartitionInfo]:
        what = f"reading the partitions of {stream}"
        ask = partial(self._admins[system].partitions, stream.name)
        try:
            return dict(await retried(what, ask, timeout_s=timeout_s))
        except UnavailableError as error:
            raise UnavailableError(f"{stream}: {error}") from error


def _refuse_another(stream: Input[Any, Any], partition: Partition, known: str, now: str) -> None:
    """A stream made anew under a reader has other messages behind the same offsets."""
    changed = stream.changed(known, now) if known and now and known != now else ""
    if changed:
        raise PositionLostError(
            f"{partition}: {changed}, while the job was reading it; to read the new one from its "
            "start, run with --ignore-checkpoint"
        )


def _is_over(task: PlannedTask, kept: Checkpoint) -> bool:
    # What is staged and not known to be finished is somebody's work still.
    if not kept.control.get("ended") or any(kept.outputs.values()):
        return False
    # It may have ended before the last of its partitions came.
    return all(p in kept.inputs and kept.inputs[p].after is END for p in task.inputs)
