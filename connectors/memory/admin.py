"""What the runtime asks a memory system about its streams."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from samza_py.admin import (
    Admin,
    AtOffset,
    AtTime,
    Bounds,
    Newest,
    PartitionInfo,
    StartAt,
)
from samza_py.connectors.memory.broker import Link
from samza_py.connectors.memory.log import Log, parsed
from samza_py.connectors.memory.streams import MemoryStream
from samza_py.connectors.memory.topic import Topic
from samza_py.errors import CorruptCheckpointError, PositionLostError
from samza_py.message import END, Offset, Partition, Position
from samza_py.system import AnyStream


class MemoryAdmin(Admin):
    """Answers from the broker itself, so never from the past.

    Args:
        link: the line to the broker.
        system: the system's name in the job.
        streams: the declared streams, by logical name.
    """

    def __init__(self, link: Link, system: str, streams: Mapping[str, AnyStream]) -> None:
        self._link = link
        self._system = system
        self._streams = streams

    async def aopen(self) -> None:
        """Reach the broker."""
        await self._link.before("open")

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        """All partitions of a stream, closed ones included."""
        await self._link.before("partitions")
        topic = self._topic(stream)
        return {
            Partition(self._system, stream, name): PartitionInfo(
                topic.lineage,
                {Partition(self._system, stream, p): END for p in topic.parents.get(name, ())},
            )
            for name in topic.logs
        }

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        """Where these begin and end now; the newest position of a closed partition is END."""
        await self._link.before("bounds")
        logs = {partition: self._log(partition) for partition in partitions}
        return {name: Bounds(_after(log.base), _newest(log)) for name, log in logs.items()}

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        """Resolve any kind of start; a time behind all messages is the newest position."""
        await self._link.before("start_position")
        log = self._log(partition)
        if isinstance(start, Newest):
            return _newest(log)
        if isinstance(start, AtTime):
            at = log.first_at(start.timestamp_ms)
            return _newest(log) if at == log.stable else _after(at)
        if isinstance(start, AtOffset) and partition.id in start.after:
            return _existing(partition, log, start.after[partition.id])
        return _after(log.base)

    def compare(self, first: Offset, second: Offset) -> int:
        """By their numbers."""
        return parsed(first) - parsed(second)

    async def create(self, streams: Collection[str]) -> Sequence[str]:
        """Make the missing streams, with the partitions that they were declared with."""
        await self._link.before("create")
        broker, made = self._link.broker, list[str]()
        for name in streams:
            stream: Any = self._streams[name]
            if stream.physical not in broker.topics:
                made.append(name)
            if isinstance(stream, MemoryStream):
                stream.declare(broker)
            elif name in made:  # declared for another system, which this one stands in for
                broker.create(stream.physical, 1)
        return made

    async def trim(self, up_to: Mapping[Partition, Offset]) -> None:
        """Forget the messages up to these offsets, but none behind an open transaction."""
        await self._link.before("trim")
        for partition, offset in up_to.items():
            self._log(partition).trim(parsed(offset))

    def _topic(self, stream: str) -> Topic:
        return self._link.broker.topic(self._streams[stream].physical)

    def _log(self, partition: Partition) -> Log:
        return self._topic(partition.stream).log(partition.id)


def _after(next_offset: int) -> Offset:
    return Offset(str(next_offset - 1))


def _newest(log: Log) -> Position:
    return END if log.closed and log.stable == log.end else _after(log.stable)


def _existing(partition: Partition, log: Log, wanted: str) -> Offset:
    try:
        at = parsed(wanted)
    except CorruptCheckpointError as error:
        raise PositionLostError(f"{partition}: {error}") from error
    if not log.base - 1 <= at < log.end:
        raise PositionLostError(
            f"{partition}: the start {at} is not between {log.base - 1} and {log.end - 1}"
        )
    return Offset(wanted)
