"""The reading side of one task: where its partitions start, and which must wait for parents."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from samza_py.admin import AtOffset, AtTime, Newest, Oldest, StartAt
from samza_py.assignment import PlannedTask, natural_order
from samza_py.checkpoint import Checkpoint, InputProgress
from samza_py.errors import PositionLostError
from samza_py.message import END, Partition, Position, TaskPartition
from samza_py.runtime.backoff import retried
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.progress import Progress
from samza_py.runtime.services import Services

logger = logging.getLogger(__name__)


async def opened_buffers(
    planned: PlannedTask, checkpoint: Checkpoint | None, services: Services
) -> tuple[list[PartitionBuffer], bool]:
    """One buffer a partition, standing where the checkpoint says or where the input starts.

    Returns:
        The buffers, and whether a start was resolved that no checkpoint has yet.

    Raises:
        PositionLostError: a stream was made anew since the checkpoint.
    """
    options = services.resolved.options
    share = max(1, len(planned.inputs))
    buffers: list[PartitionBuffer] = []
    resolved_any = False
    for partition in sorted(planned.inputs, key=natural_order):
        source = planned.inputs[partition]
        known = None if checkpoint is None else checkpoint.inputs.get(partition)
        lineage = planned.infos[partition].lineage
        if known is None:
            known = InputProgress(await _start(partition, source.start, services, planned), lineage)
            resolved_any = True
        elif known.lineage and lineage and known.lineage != lineage:
            raise PositionLostError(
                f"{partition} was made anew since the checkpoint of task {planned.name} (it had lineage "
                f"{known.lineage}, now it is {lineage}); start over with --ignore-checkpoint"
            )
        buffers.append(
            PartitionBuffer(
                TaskPartition(planned.name, partition),
                source,
                Progress(known),
                services.admins[partition.system].compare,
                max_messages=max(1, options.max_buffered_messages // share),
                max_bytes=max(1, options.max_buffered_bytes // share),
                priority=planned.spec.priorities.get(str(source), 0),
            )
        )
    return buffers, resolved_any


async def _start(
    partition: Partition, start: StartAt, services: Services, planned: PlannedTask
) -> Position:
    admin = services.admins[partition.system]
    position = await retried(
        f"finding the start of {partition}", lambda: admin.start_position(partition, start)
    )
    logger.info(
        "task %s has no checkpoint for %s: it starts at %s (position %s)",
        planned.name,
        partition,
        _shown(start),
        "END" if position is END else position,
        extra={"task": planned.name, "partition": str(partition)},
    )
    return position


def _shown(start: StartAt) -> str:
    match start:
        case Oldest():
            return "the oldest message"
        case Newest():
            return "the newest message"
        case AtTime(timestamp_ms):
            return f"the first message from {timestamp_ms} ms on"
        case AtOffset():
            return "the configured offset"


class Parents:
    """Which partitions of a task may start: those whose parents the checkpoints have passed.

    Args:
        planned: the task.
        services: of the container.
    """

    def __init__(self, planned: PlannedTask, services: Services) -> None:
        self._planned = planned
        self._services = services

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
        if at is END:
            return True
        if at is None or until is END:
            return False
        admin = self._services.admins[parent.system]
        return admin.compare(at, until) >= 0
