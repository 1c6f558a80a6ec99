"""The reading side of one task: where its partitions start, and which must wait for parents."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from samza_py.admin import AtOffset, AtTime, Newest, Oldest, StartAt
from samza_py.assignment import PlannedTask, natural_order
from samza_py.checkpoint import Checkpoint, InputProgress
from samza_py.errors import PositionLostError
from samza_py.message import END, Partition, Position, TaskPartition
from samza_py.runtime.backoff import retried
from samza_py.runtime.buffer import CHUNK_MESSAGES, PartitionBuffer
from samza_py.runtime.progress import Progress
from samza_py.runtime.services import Services
from samza_py.system import Input

logger = logging.getLogger(__name__)

MOST_PLACES = 8
"""A task that goes on in more partitions than these does not log each of them."""


@dataclass(slots=True)
class Opened:
    """The partitions of a task, before it reads.

    Attributes:
        buffers: one a partition, standing where the checkpoint says or where the input starts.
        starts_new: a start or a lineage that no checkpoint has yet.
        known: by ``system.stream``, the partitions that were there when its starts were resolved.
    """

    buffers: list[PartitionBuffer]
    starts_new: bool
    known: dict[str, Any]


async def opened_buffers(
    planned: PlannedTask, checkpoint: Checkpoint | None, services: Services
) -> Opened:
    """Stand at the checkpoint in every partition, and where there is none at a resolved start.

    Raises:
        PositionLostError: a stream was made anew since the checkpoint.
    """
    starts = Starts(planned, checkpoint, services)
    spec = planned.spec
    buffers: list[PartitionBuffer] = []
    starts_new = False
    for partition in sorted(planned.inputs, key=natural_order):
        source = planned.inputs[partition]
        known = None if checkpoint is None else checkpoint.inputs.get(partition)
        lineage = planned.infos[partition].lineage
        if known is None:
            known = InputProgress(await starts.resolve(partition, source), lineage)
            starts_new = True
        elif known.lineage and lineage and known.lineage != lineage:
            _refuse_changed(planned, partition, known.lineage)
            known = replace(known, lineage=lineage)
            starts_new = True
        buffers.append(
            PartitionBuffer(
                TaskPartition(planned.name, partition),
                source,
                Progress(known),
                services.admins[partition.system].compare,
                room=services.rooms.buffered,
                partitions=len(planned.inputs),
                priority=spec.priorities.get(str(source), 0),
                chunk_messages=spec.batch_messages if spec.kind == "batch" else CHUNK_MESSAGES,
            )
        )
    if checkpoint is not None:
        _say_where_it_goes_on(planned, checkpoint)
    return Opened(buffers, starts_new, starts.known)


def _refuse_changed(planned: PlannedTask, partition: Partition, before: str) -> None:
    """Only where two lineages are the same in the words of two versions may a task go on."""
    changed = planned.inputs[partition].changed(before, planned.infos[partition].lineage)
    if changed:
        raise PositionLostError(
            f"{partition} has changed since the checkpoint of task {planned.name}: {changed}. What "
            "is left cannot be told from what was done; --ignore-checkpoint processes everything "
            "again"
        )


def _say_where_it_goes_on(planned: PlannedTask, checkpoint: Checkpoint) -> None:
    """One line a task: of many partitions the first stands for all."""
    places: list[str] = []
    for partition in sorted(planned.inputs.keys() & checkpoint.inputs.keys(), key=natural_order):
        after = checkpoint.inputs[partition].after
        places.append(f"{partition} {'at its end' if after is END else f'after {after}'}")
    if not places:
        return
    shown = ", ".join(places)
    if len(places) > MOST_PLACES:
        shown = f"{len(places)} partitions, the first {places[0]}"
    if all(checkpoint.inputs[p].after is END for p in planned.inputs if p in checkpoint.inputs):
        shown += "; --ignore-checkpoint begins again"
    told = {"task": planned.name}
    logger.info("task %s goes on from its checkpoint: %s", planned.name, shown, extra=told)


class Starts:
    """Where the partitions of a task begin that no checkpoint knows.

    A partition that has come since the handler first ran begins at its oldest message, wherever
    the input was told to start: what was written to it meanwhile must not be passed over. Which
    were there is noted in the checkpoints of all tasks of the handler, since a new partition is
    most often a new task: it was not there yet where any of them did not know it. Those that came
    while this container runs it knows by itself.

    Args:
        planned: the task.
        checkpoint: its own.
        services: of the container.
    """

    def __init__(
        self, planned: PlannedTask, checkpoint: Checkpoint | None, services: Services
    ) -> None:
        own = {} if checkpoint is None else checkpoint.control.get("known", {})
        self.known: dict[str, Any] = dict(own)
        self._planned = planned
        self._services = services
        self._noted: dict[str, list[Any]] | None = None

    async def resolve(self, partition: Partition, source: Input[Any, Any]) -> Position:
        """The position after which to read."""
        start = source.start
        name = str(source)
        if not isinstance(start, Oldest):
            plan = self._services.plan
            if self._noted is None:
                self._noted = await self._read_noted()
            noted = self._noted.get(name, ())
            self.known[name] = _compact(p.id for p in plan.partitions[name])
            if partition in plan.late or not all(_holds(ids, partition.id) for ids in noted):
                start = Oldest()
        admin = self._services.admins[partition.system]
        position = await retried(
            f"finding the start of {partition}", lambda: admin.start_position(partition, start)
        )
        logger.info(
            "task %s has no checkpoint for %s: it starts at %s (position %s)",
            self._planned.name,
            partition,
            _shown(start, partition),
            "END" if position is END else position,
            extra={"task": self._planned.name, "partition": str(partition)},
        )
        return position

    async def _read_noted(self) -> dict[str, list[Any]]:
        """What the tasks of this handler have noted, by ``system.stream``."""
        noted: dict[str, list[Any]] = {}
        if self._services.resolved.ignore_checkpoint:
            return noted
        found = await retried("reading what other tasks know", self._services.store.read)
        for task, kept in found.items():
            if task.partition("/")[0] == self._planned.spec.name:
                for name, ids in kept.control.get("known", {}).items():
                    noted.setdefault(name, []).append(ids)
        return noted


def _compact(ids: Iterable[str]) -> int | list[str]:
    """Partition ids for a checkpoint: their number where they count from 0, as Kafka's do."""
    listed = sorted(ids)
    count = len(listed)
    return count if set(listed) == {str(at) for at in range(count)} else listed


def _holds(ids: Any, wanted: str) -> bool:
    if isinstance(ids, int):
        return wanted.isdecimal() and int(wanted) < ids
    return wanted in ids


def _shown(start: StartAt, partition: Partition) -> str:
    match start:
        case Oldest():
            return "the oldest message"
        case Newest():
            return "the newest message"
        case AtTime(timestamp_ms):
            return f"the first message from {timestamp_ms} ms on"
        case AtOffset(after) if partition.id in after:
            return "the configured offset"
        case AtOffset():
            return "the oldest message, since AtOffset does not name it"


class Parents:
    """Which partitions of a task may start: those whose parents the checkpoints have passed.

    A parent that its system has forgotten, and that was never read, cannot be waited for.

    Args:
        planned: the task.
        services: of the container.
    """

    def __init__(self, planned: PlannedTask, services: Services) -> None:
        self._planned = planned
        self._services = services
        self._warned: set[Partition] = set()

    async def ready(
        self, waiting: Mapping[Partition, PartitionBuffer]
    ) -> dict[Partition, PartitionBuffer]:
        """Those that need not wait any longer."""
        if not any(self._planned.infos[partition].parents for partition in waiting):
            return dict(waiting)
        found = await retried("reading the checkpoints of parents", self._services.store.read)
        handler = f"{self._planned.spec.name}/"
        passed: dict[Partition, Position] = {
            partition: progress.after
            for task, checkpoint in found.items()
            if task.startswith(handler)
            for partition, progress in checkpoint.inputs.items()
        }
        return {
            partition: buffer
            for partition, buffer in waiting.items()
            if all(
                self._passed(passed.get(parent), parent, until)
                for parent, until in self._planned.infos[partition].parents.items()
            )
        }

    def _passed(self, at: Position | None, parent: Partition, until: Position) -> bool:
        known = self._services.plan.partitions.get(f"{parent.system}.{parent.stream}", {})
        gone = parent not in known
        if at is None:
            if gone:
                self._warn_once(
                    parent, f"does not wait for {parent}: it is gone, and was never read"
                )
            return gone
        if at is END or (
            until is not END and self._services.admins[parent.system].compare(at, until) >= 0
        ):
            return True
        if gone:
            self._warn_once(parent, f"waits for {parent}, which is gone and was read to {at} only")
        return False

    def _warn_once(self, parent: Partition, what: str) -> None:
        if parent not in self._warned:
            self._warned.add(parent)
            task = self._planned.name
            extra = {"task": task, "partition": str(parent)}
            logger.warning("task %s %s", task, what, extra=extra)
