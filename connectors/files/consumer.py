"""Reads files for the intake: threads read and cut, the loop only makes the messages.

Each partition of a task has its own reader, at most one read under way, and at most one batch
read ahead of the one that is being handed out. A read is a child that outlives the poll that
started it, so that a cancelled poll has taken nothing and no two threads use one file.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Final, Literal, cast

from samza_py.checkpoint import Claim
from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.files.listing import Listing, list_files
from samza_py.connectors.files.reader import Batch, PartitionReader
from samza_py.connectors.files.records import Bad
from samza_py.connectors.files.storage import Entry, Storage, storage_at
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.errors import ConnectorError, PositionLostError, SerdeError
from samza_py.message import (
    END,
    Message,
    Offset,
    Partition,
    Position,
    Received,
    TaskPartition,
    Undecodable,
)
from samza_py.seam import seam

_MOST_MESSAGES: Final = 4096
"""The most one poll makes: some milliseconds of the loop's time."""

_SMALLEST_BYTES: Final = 64
"""What the runtime counts for an empty message; so many fit into a room at most."""

_WAIT_S: Final = 1.0
_CLOSE_S: Final = 5.0

_Failure = ConnectorError | PositionLostError

# An alias, as an f-string is not an ``Offset`` to the type checker and a cast costs 60 ns.
_message = cast("Callable[[Partition, str, None, Any], Message[Any, Any]]", Message)


class _Cursor:
    """One partition as one task reads it. Lives on the loop."""

    def __init__(self, key: TaskPartition, position: Position) -> None:
        self.key = key
        self.position = position
        self.reader: PartitionReader | None = None
        self.batch = Batch(after=position if position is not END else Offset(""))
        self.index = 0
        self.ahead: Batch | None = None
        self.failure: _Failure | None = None
        self.child: asyncio.Task[None] | None = None
        self.told = False  # nothing more is to be said: finished, or failed

    def take(self, room: Room) -> Fetched | None:
        """What can be handed out now; None where a read has to come first."""
        if self.position is END:
            return self._finish()
        if self.index >= len(self.batch.values) and self.ahead is not None:
            self.batch, self.ahead, self.index = self.ahead, None, 0
        if self.index < len(self.batch.values):
            return self._take_from(self.batch, room)
        if self.batch.finished:
            self.position = END
            return self._finish()
        if self.failure is not None:
            self.told = True
            return Fetched((), self.position, error=self.failure)
        if self.batch.after != self.position:
            self.position = self.batch.after
            return Fetched((), self.position, remaining=self.batch.left)
        return None

    @property
    def wants_read(self) -> bool:
        """Whether another batch should be read ahead."""
        idle = self.child is None and self.ahead is None and self.failure is None
        return idle and not self.told and not self.batch.finished

    def _finish(self) -> Fetched:
        self.told = True
        return Fetched((), END, at_head=True, finished=True, remaining=0)

    def _take_from(self, batch: Batch, room: Room) -> Fetched:
        first, ends = self.index, batch.ends
        count = min(room.messages, _MOST_MESSAGES, room.bytes // _SMALLEST_BYTES + 1)
        last = min(first + count, len(ends))
        start = ends[first - 1] if first else ends[0]
        if ends[last - 1] - start > room.bytes:
            last = min(last, bisect_left(ends, start + room.bytes, first) + 1)
        partition, prefix = self.key.partition, batch.prefix
        values = batch.values
        if first or last < len(ends):
            values, ends = values[first:last], ends[first:last]
        messages: list[Received]
        if batch.bad:
            messages = [
                _received(partition, prefix, *pair) for pair in zip(values, ends, strict=True)
            ]
        else:
            messages = [
                _message(partition, f"{prefix}{end}", None, value)
                for value, end in zip(values, ends)  # noqa: B905  # same length; strict costs
            ]
        self.index = last
        whole = last == len(batch.ends)
        self.position = batch.after if whole else messages[-1].offset
        left = batch.left + (batch.ends[-1] - ends[-1] if batch.plain else 0)
        return Fetched(messages, self.position, remaining=left)


def _received(partition: Partition, prefix: str, value: Any, end: int) -> Received:
    offset = Offset(f"{prefix}{end}")
    if isinstance(value, Bad):
        return Undecodable(partition, offset, offset, value.raw, SerdeError(value.why))
    return _message(partition, offset, None, value)


class FileConsumer(Consumer):
    """Reads the files of a job's inputs.

    Args:
        root: of the system.
        inputs: the job's inputs of it, by name.
    """

    remaining_unit: ClassVar[Literal["messages", "bytes"]] = "bytes"

    def __init__(self, root: str, inputs: Mapping[str, FileInput[Any]]) -> None:
        self._root = root
        self._inputs = inputs
        self._storage: Storage | None = None
        self._listings: dict[str, Listing] = {}
        self._cursors: dict[TaskPartition, _Cursor] = {}
        self._children: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._first = 0

    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        """Start reading after each position; what is wrong with one is told by the next poll."""
        for stream in {key.partition.stream for key in positions}:
            await self._list(stream)
        for key, position in positions.items():
            self._drop(key)
            self._cursors[key] = _Cursor(key, position)
        self._wake.set()

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        """Stop reading these."""
        for key in partitions:
            self._drop(key)

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Mapping[TaskPartition, Fetched]:
        """Take what was read; waits, for a second at most, until there is something."""
        found = self._take(wanted)
        if not found:
            self._wake.clear()
            try:
                async with asyncio.timeout(_WAIT_S):
                    await self._wake.wait()
            except TimeoutError:
                return found
            found = self._take(wanted)
        return found

    async def aclose(self) -> None:
        """Close every file, once the reads under way have ended."""
        for key in list(self._cursors):
            self._drop(key)
        if self._children:
            await asyncio.wait(self._children, timeout=_CLOSE_S)
        for child in self._children:
            child.cancel()

    async def _list(self, stream: str) -> None:
        if self._storage is None:
            self._storage = await seam().in_thread(storage_at, self._root)
        if stream not in self._listings:
            declared = self._inputs[stream]
            self._listings[stream] = await seam().in_thread(list_files, self._storage, declared)

    def _take(self, wanted: Mapping[TaskPartition, Room]) -> dict[TaskPartition, Fetched]:
        """Take from the wanted partitions, starting with another one each time."""
        found: dict[TaskPartition, Fetched] = {}
        made = 0
        keys = [key for key in wanted if key in self._cursors]
        self._first = first = (self._first + 1) % len(keys) if keys else 0
        for key in keys[first:] + keys[:first]:
            cursor = self._cursors[key]
            if cursor.told or made >= _MOST_MESSAGES:
                continue
            fetched = cursor.take(wanted[key])
            if fetched is not None:
                found[key] = fetched
                made += len(fetched.messages)
            if cursor.wants_read:
                self._read_ahead(cursor)
        return found

    def _read_ahead(self, cursor: _Cursor) -> None:
        child = asyncio.create_task(self._read(cursor), name=f"read {cursor.key.partition}")
        cursor.child = child
        self._children.add(child)
        child.add_done_callback(self._children.discard)

    async def _read(self, cursor: _Cursor) -> None:
        """Read one batch ahead. Ends by itself; a dropped cursor's reader is closed here."""
        try:
            cursor.ahead = await seam().in_thread(self._read_batch, cursor)
        except (ConnectorError, PositionLostError) as error:
            cursor.failure = error
        finally:
            cursor.child = None
            self._wake.set()
        if self._cursors.get(cursor.key) is not cursor:
            await seam().in_thread(_close, cursor)

    def _read_batch(self, cursor: _Cursor) -> Batch:
        """Runs in a thread."""
        reader = cursor.reader
        if reader is None:
            assert self._storage is not None
            partition = cursor.key.partition
            after = cast("Offset", cursor.position)
            reader = PartitionReader(
                self._storage, self._inputs[partition.stream], self._files(partition), after
            )
            cursor.reader = reader
        return reader.read()

    def _files(self, partition: Partition) -> list[Entry]:
        files = self._listings[partition.stream].get(partition.id)
        if files is None:
            raise PositionLostError(f"{partition} is not a partition of the files that are there")
        return list(files)

    def _drop(self, key: TaskPartition) -> None:
        """Forget a partition; its files are closed in a thread, after a read under way."""
        cursor = self._cursors.pop(key, None)
        if cursor is not None and cursor.child is None and cursor.reader is not None:
            child = asyncio.create_task(
                seam().in_thread(_close, cursor), name=f"close {key.partition}"
            )
            self._children.add(child)
            child.add_done_callback(self._children.discard)


def _close(cursor: _Cursor) -> None:
    reader, cursor.reader = cursor.reader, None
    if reader is not None:
        reader.close()
