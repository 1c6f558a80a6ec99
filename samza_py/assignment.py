"""From partitions to tasks: pure planning, the same in every container.

A task is one handler and one group of partitions, named ``HANDLER/GROUP``. The name must not
depend on the order in which systems answer, as checkpoints and coordinators use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from samza_py.admin import PartitionInfo
from samza_py.errors import ConfigError
from samza_py.message import Partition
from samza_py.specification import TaskSpec
from samza_py.system import Input


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task of the job: its name, its handler, and the partitions it owns.

    Attributes:
        name: ``HANDLER/GROUP``.
        spec: the handler's declaration.
        inputs: the input that each of its partitions belongs to.
        infos: lineage and parents of each of its partitions.
    """

    name: str
    spec: TaskSpec
    inputs: Mapping[Partition, Input[Any, Any]]
    infos: Mapping[Partition, PartitionInfo]

    @property
    def may_get_more(self) -> bool:
        """Whether partitions that come while it runs may be this task's, and not a new one's."""
        grouping, inputs = self.spec.grouping, self.spec.inputs
        if all(stream.fixed_partitions for stream in inputs):
            return False
        return grouping == "all" or (grouping == "partition_id" and len(inputs) > 1)


def planned_tasks(
    specs: Sequence[TaskSpec], partitions: Mapping[str, Mapping[Partition, PartitionInfo]]
) -> list[PlannedTask]:
    """All tasks of a job, in a fixed order.

    Args:
        specs: the declared handlers.
        partitions: what the admins say, by ``system.stream``.

    Raises:
        ConfigError: an input has no partition.
    """
    tasks: list[PlannedTask] = []
    for spec in specs:
        groups: dict[str, list[tuple[Input[Any, Any], Partition]]] = {}
        for stream in spec.inputs:
            found = partitions[str(stream)]
            if not found:
                raise ConfigError(f"stream {stream}", "has no partitions to read")
            for partition in sorted(found, key=natural_order):
                groups.setdefault(_group(spec, stream, partition), []).append((stream, partition))
        for group, members in sorted(groups.items(), key=lambda item: _natural(item[0])):
            inputs = {partition: stream for stream, partition in members}
            infos = {p: partitions[str(stream)][p] for stream, p in members}
            tasks.append(PlannedTask(f"{spec.name}/{group}", spec, inputs, infos))
    return tasks


def natural_order(partition: Partition) -> tuple[str, str, tuple[int, int, str]]:
    """Sorts partitions as people do: 2 before 10."""
    return (partition.system, partition.stream, _natural(partition.id))


def _natural(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def _group(spec: TaskSpec, stream: Input[Any, Any], partition: Partition) -> str:
    if spec.grouping == "all":
        return "all"
    if spec.grouping == "partition" and len(spec.inputs) > 1:
        return f"{stream.name}:{partition.id}"
    return partition.id


def share(tasks: Sequence[str], count: int) -> list[list[str]]:
    """Spread the tasks of a job over a number of containers.

    Partitions that are numbered in a row go round, each handler beginning one container further.
    Where a task goes follows from its name and the job's handlers alone: containers hear of new
    partitions at different times, and those that come must not move the others.
    """
    shares: list[list[str]] = [[] for _ in range(count)]
    handlers = list(dict.fromkeys(task.partition("/")[0] for task in tasks))
    for task in tasks:
        handler, _, group = task.partition("/")
        shares[(handlers.index(handler) + _number(group)) % count].append(task)
    return shares


def _number(group: str) -> int:
    """``7`` is 7, and ``shard-7`` is seven behind wherever ``shard-`` begins."""
    stem = group.rstrip("0123456789")
    return crc32(stem.encode()) + int(group[len(stem) :] or "0")
