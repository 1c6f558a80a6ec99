"""Reads files for the intake: threads read and unpack, the loop cuts and makes the messages.

Each partition of a task has its own cursor, at most one call in a thread under way, and at most
one piece read ahead. Such a call is a child that outlives the poll that started it, so that a
cancelled poll has taken nothing and no two threads use one file.

Records are cut on the loop, some kilobytes at a time, just before they are handed out: the rows
are still in the cache then, and the interpreter's lock is not fought over. Only what may take
long, the search for the end of a very long record, is done in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, cast

from samza_py.checkpoint import Claim
from samza_py.connectors.files.cursor import MOST_MESSAGES, Cursor
from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.files.listing import Listing, list_files
from samza_py.connectors.files.offsets import place_of
from samza_py.connectors.files.reader import PartitionReader, Piece
from samza_py.connectors.files.storage import Entry, Storage, storage_at
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.message import END, Offset, Partition, Position, TaskPartition
from samza_py.seam import seam

_WAIT_S: Final = 1.0
_CLOSE_S: Final = 5.0


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
        self._cursors: dict[TaskPartition, Cursor] = {}
        self._children: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._turn = 0

    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        """Start reading after each position.

        The files are listed once, when the first partition of their stream is assigned. A file
        that is not what it was at its position is told by the next poll.

        Raises:
            ConnectorError: there are no such files, or they may not be listed.
            UnavailableError: they cannot be listed now.
            CorruptCheckpointError: a position is not one of files.
        """
        for position in positions.values():
            if position is not END:
                place_of(position)
        for stream in {key.partition.stream for key in positions}:
            await self._list(stream)
        for key, position in positions.items():
            self._drop(key)
            self._cursors[key] = Cursor(key, position)
        self._wake.set()

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        """Stop reading these."""
        for key in partitions:
            self._drop(key)

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Mapping[TaskPartition, Fetched]:
        """Take what was read; waits, for a second at most, until there is something."""
        self._wake.clear()
        found = self._take(wanted)
        if not found:
            try:
                async with asyncio.timeout(_WAIT_S):
                    await self._wake.wait()
            except TimeoutError:
                return found
            found = self._take(wanted)
        return found

    async def aclose(self) -> None:
        """Close every file, once the calls under way have ended."""
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
        keys = [key for key in wanted if key in self._cursors]
        if not keys:
            return found
        made = 0
        self._turn = turn = (self._turn + 1) % len(keys)
        for key in keys[turn:] + keys[:turn]:
            if made >= MOST_MESSAGES:
                break
            cursor = self._cursors[key]
            fetched = cursor.take(wanted[key])
            if fetched is not None:
                found[key] = fetched
                made += len(fetched.messages)
            self._start_call(cursor)
        return found

    def _start_call(self, cursor: Cursor) -> None:
        if cursor.read_cached():
            self._wake.set()
            return
        call = cursor.next_call(lambda: self._read(cursor))
        if call is not None:
            name = f"read {cursor.key.partition}"
            cursor.child = self._child(self._run(cursor, call), name)

    async def _run(self, cursor: Cursor, call: Callable[[], None]) -> None:
        """Make one call in a thread; closes the files of a cursor dropped meanwhile."""
        try:
            await seam().in_thread(call)
        except (ConnectorError, PositionLostError) as error:
            cursor.failure = error
        except Exception as error:  # not ours, but the partition must not stand still for it
            cursor.failure = ConnectorError(f"reading {cursor.key.partition} failed: {error!r}")
            cursor.failure.__cause__ = error
        finally:
            cursor.child = None
            self._wake.set()
        if self._cursors.get(cursor.key) is not cursor:
            await seam().in_thread(_close, cursor)

    def _read(self, cursor: Cursor) -> Piece:
        """Runs in a thread."""
        if cursor.reader is None:
            assert self._storage is not None
            partition = cursor.key.partition
            files, after = self._files(partition), cast("Offset", cursor.position)
            stream = self._inputs[partition.stream]
            cursor.reader = PartitionReader(self._storage, stream, files, after)
        return cursor.reader.read()

    def _files(self, partition: Partition) -> Sequence[Entry]:
        files = self._listings[partition.stream].get(partition.id)
        if files is None:
            raise PositionLostError(f"{partition} is not a partition of the files that are there")
        return files

    def _drop(self, key: TaskPartition) -> None:
        """Forget a partition; its files are closed in a thread, after a call under way."""
        cursor = self._cursors.pop(key, None)
        if cursor is not None and cursor.child is None and cursor.reader is not None:
            self._child(seam().in_thread(_close, cursor), f"close {key.partition}")

    def _child(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        child = asyncio.create_task(work, name=name)
        self._children.add(child)
        child.add_done_callback(self._children.discard)
        return child


def _close(cursor: Cursor) -> None:
    reader, cursor.reader = cursor.reader, None
    if reader is not None:
        reader.close()
