"""One partition's records: an append-only log that knows which of them may be seen.

The records stand in columns rather than in objects: columns of bytes hold nothing that the garbage
collector has to look at, however long the log grows, and both ends move whole slices of them.
Offsets count from 0. Everything here is synchronous: between two awaits a log is always whole.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple

from samza_py.errors import CorruptCheckpointError, SerdeError
from samza_py.message import (
    Headers,
    Message,
    Offset,
    Outgoing,
    Partition,
    Received,
    Undecodable,
    size_of,
)

#: What ``size_of`` counts for a message besides its key, value and headers.
_ENVELOPE: Final = size_of(Message(Partition("", "", ""), Offset("0"), None, None))


class Damaged(NamedTuple):
    """Stands in a log for bytes that the consumer itself cannot read."""

    raw: bytes


class Read(NamedTuple):
    """What a read found: visible messages, and the offset of the next record to look at."""

    messages: list[Received]
    next: int


class Log:
    """The records of one partition, in one incarnation of its stream.

    Attributes:
        id: the partition's name.
        base: the offset of the oldest record that is still there.
        end: the offset that the next record gets.
        closed: no record will ever be added, but for the end of transactions that are open.
        gone: its stream was deleted or made again; nobody can read on.
        damaged: some values in it are ``Damaged``.
    """

    def __init__(self, id: str) -> None:  # noqa: A002  (as Partition calls it)
        self.id = id
        self.base = 0
        self.end = 0
        self.closed = False
        self.gone = False
        self.damaged = False
        self._keys: list[bytes | None] = []
        self._values: list[Any] = []
        self._times: list[int] = []
        self._headers: list[Headers] = []
        self._hidden: list[tuple[int, int]] = []
        self._open: dict[object, int] = {}
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def stable(self) -> int:
        """Where reading stops: at the first record of the oldest open transaction, or the end."""
        return min(self._open.values()) if self._open else self.end

    def extend(self, batch: Sequence[Outgoing], transaction: object = None) -> int:
        """Append a batch and give the offset of its first record.

        Args:
            batch: what to append, in order.
            transaction: what must be ended by ``commit`` or ``abort`` before anyone sees it.
        """
        first = self.end
        self._keys += [message.key for message in batch]
        self._values += [message.value for message in batch]
        self._times += [message.timestamp_ms for message in batch]
        self._headers += [message.headers for message in batch]
        self.end = first + len(batch)
        if transaction is not None:
            self._open.setdefault(transaction, first)
        self.wake()
        return first

    def replace(self, offset: int, message: Outgoing) -> bool:
        """Put a message in the place of an older version of it; False where that is gone."""
        at = offset - self.base
        if at < 0:
            return False
        self._keys[at] = message.key
        self._values[at] = message.value
        self._times[at] = message.timestamp_ms
        self._headers[at] = message.headers
        return True

    def hide(self, first: int, last: int) -> None:
        """Let nobody see these records, both included; reading passes over them."""
        insort(self._hidden, (first, last))

    def commit(self, transaction: object) -> None:
        """Show what was written within a transaction, behind a marker that takes one offset."""
        if self._open.pop(transaction, None) is not None:
            marker = self.extend((Outgoing("", None, None),))
            self.hide(marker, marker)

    def abort(self, transaction: object, written: Iterable[tuple[int, int]]) -> None:
        """Hide for ever what was written within a transaction, and its marker."""
        if transaction in self._open:
            for first, last in written:
                self.hide(first, last)
            self.commit(transaction)

    def close(self) -> None:
        """Say that there will be no more."""
        self.closed = True
        self.wake()

    def drop(self) -> None:
        """Say that the stream of this log is no more."""
        self.gone = True
        self.wake()

    def trim(self, up_to: int) -> None:
        """Forget the records up to and including an offset."""
        count = min(up_to + 1, self.stable) - self.base
        if count <= 0:
            return
        for column in (self._keys, self._values, self._times, self._headers):
            del column[:count]
        self.base += count
        self._hidden = [run for run in self._hidden if run[1] >= self.base]

    def read(self, partition: Partition, start: int, room_messages: int, room_bytes: int) -> Read:
        """Read visible records from an offset on, as many as there is room for.

        Args:
            partition: what the reader calls this partition.
            start: the first offset to look at, not before ``base``.
            room_messages: the most messages to give.
            room_bytes: the message that passes this is the last one.
        """
        stable = self.stable
        if not self._hidden:
            stop = min(stable, start + room_messages)
            messages, _ = self._messages(partition, start, stop, room_bytes)
            return Read(messages, start + len(messages))
        found: list[Received] = []
        at = self._past_hidden(start, stable)
        while at < stable and len(found) < room_messages and room_bytes > 0:
            stop = min(self._next_hidden(at, stable), at + room_messages - len(found))
            part, size = self._messages(partition, at, stop, room_bytes)
            found += part
            room_bytes -= size
            at = self._past_hidden(at + len(part), stable)
        return Read(found, at)

    def first_at(self, timestamp_ms: int) -> int:
        """The offset of the first visible record of this event time or later, or ``stable``."""
        for at in range(self.base, self.stable):
            if self._times[at - self.base] >= timestamp_ms and self._past_hidden(at, at + 1) == at:
                return at
        return self.stable

    def visible(self, start: int) -> int:
        """How many records can be seen from an offset on."""
        stable = self.stable
        at = max(0, bisect_right(self._hidden, (start, self.end)) - 1)
        hidden = sum(
            min(last + 1, stable) - max(first, start)
            for first, last in self._hidden[at:]
            if last >= start and first < stable
        )
        return max(0, stable - start) - hidden

    def add_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Let a future be done at the next change."""
        self._waiters.add(waiter)

    def remove_waiter(self, waiter: asyncio.Future[None]) -> None:
        """Forget a future."""
        self._waiters.discard(waiter)

    def wake(self) -> None:
        """Tell those who wait that something has changed."""
        if self._waiters:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    def _messages(
        self, partition: Partition, start: int, stop: int, room_bytes: int
    ) -> tuple[list[Received], int]:
        a, b = start - self.base, stop - self.base
        keys, values, headers = self._keys[a:b], self._values[a:b], self._headers[a:b]
        times = self._times[a:b]
        # Not Message[Any, Any]: calling the alias goes through typing and costs ten times as much.
        rows: Iterator[Received]
        columns = (repeat(partition), range(start, stop), keys, values, times)
        rows = map(Message, *columns, headers) if any(headers) else map(Message, *columns)
        if self.damaged:
            rows = map(_as_received, rows)
        size = _plain_size(keys, values, headers)
        if size is not None and size <= room_bytes:
            return list(rows), size
        messages: list[Received] = []
        size = 0
        for message in rows:
            messages.append(message)
            size += size_of(message)
            if size >= room_bytes:
                break
        return messages, size

    def _past_hidden(self, at: int, stable: int) -> int:
        hidden = self._hidden
        index = max(0, bisect_right(hidden, (at, self.end)) - 1)
        for first, last in hidden[index:]:
            if first > at or at >= stable:
                break
            at = max(at, last + 1)
        return min(at, stable)

    def _next_hidden(self, at: int, stable: int) -> int:
        index = bisect_right(self._hidden, (at, self.end))
        return min(self._hidden[index][0], stable) if index < len(self._hidden) else stable


def _as_received(message: Received) -> Received:
    found = message.raw_value
    if not isinstance(found, Damaged):
        return message
    return Undecodable(
        message.partition,
        message.offset,
        message.offset,
        found.raw,
        SerdeError("memory: put there as undecodable"),
        message.raw_key,
        message.timestamp_ms,
        message.headers,
    )


def _plain_size(keys: list[bytes | None], values: list[Any], headers: list[Headers]) -> int | None:
    """The bytes of a slice, without a look at each record; None where it takes one."""
    if not values or not isinstance(values[0], bytes) or any(headers):
        return None
    present: Any = keys if None not in keys else [key for key in keys if key is not None]
    try:
        size = len(b"".join(values)) + len(b"".join(present))  # the quickest sum of lengths
    except TypeError:  # a tombstone among them
        return None
    return size + _ENVELOPE * len(values)


def parsed(offset: str) -> int:
    """The number behind an offset of the memory system; -1 stands before the first record.

    Raises:
        CorruptCheckpointError: it is not an offset of this system.
    """
    try:
        return int(offset)
    except ValueError as error:
        raise CorruptCheckpointError(
            f"{offset!r} is not an offset of the memory system, whose offsets are whole numbers"
        ) from error
