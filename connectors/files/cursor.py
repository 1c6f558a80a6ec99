"""One partition as one task reads it: from pieces of content to messages, on the loop."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from itertools import repeat
from typing import Any, Final

from samza_py.connectors.files.cutting import Cutting
from samza_py.connectors.files.offsets import WHOLE_FILE
from samza_py.connectors.files.reader import OpenedPart, PartitionReader, Piece
from samza_py.connectors.files.records import Bad, Records
from samza_py.consumer import Fetched, Room
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

MOST_MESSAGES: Final = 2048
"""The most one poll makes: some milliseconds of the loop's time."""

_MOST_BYTES: Final = 4 << 20
"""The most content one poll cuts in one partition."""

_SMALLEST_BYTES: Final = 64
"""What the runtime counts for an empty message; so many fit into a room at most."""

_NO_RECORDS: Final = Records([], [], 0)


class Cursor:
    """Hands out what was read, and says what has to be read next.

    Attributes:
        key: what is read, and for whom.
        position: everything up to here was handed out.
        reader: made by the first call in a thread.
        failure: what ended the reading; told once all that came before it was taken.
        child: the call in a thread that is under way.
        told: it has no more to say: it is finished, or has told its failure.
    """

    def __init__(self, key: TaskPartition, position: Position) -> None:
        self.key = key
        self.position = position
        self.reader: PartitionReader | None = None
        self.failure: ConnectorError | PositionLostError | None = None
        self.child: asyncio.Task[None] | None = None
        self.told = False
        self._part: OpenedPart | None = None
        self._cutting: Cutting | None = None
        self._records = _NO_RECORDS
        self._index = 0
        self._start = 0  # the byte in front of the first record in _records
        self._ahead: Piece | None = None
        self._left = 0
        self._in_thread = False  # a thread is cutting
        self._finished = position is END

    def take(self, room: Room) -> Fetched | None:
        """What can be handed out now; None where a call in a thread has to come first."""
        if self.told:
            return None
        messages: list[Received] = []
        before, size = self.position, 0
        most = min(room.messages, MOST_MESSAGES, room.bytes // _SMALLEST_BYTES + 1)
        goal = min(room.bytes, _MOST_BYTES)
        while len(messages) < most and size < goal:
            if self._index < len(self._records.ends):
                size += self._hand_out(messages, most - len(messages), goal - size)
            elif not self._advance():
                break
        if messages or self.position != before:
            return Fetched(messages, self.position, remaining=self._remaining())
        if self._finished:
            self.told = True
            self.position = END
            return Fetched((), END, at_head=True, finished=True, remaining=0)
        if self.failure is not None and self._ahead is None and not self._in_thread:
            self.told = True
            return Fetched((), self.position, error=self.failure)
        return None

    def next_call(self, read: Callable[[], Piece]) -> Callable[[], None] | None:
        """What is to be done in a thread now; None for nothing.

        Args:
            read: reads the next piece.
        """
        if self._is_busy():
            return None
        if self._cutting is not None and self._cutting.heavy:
            self._in_thread = True
            return self._cut_in_thread
        if self._ahead is not None:
            return None

        def read_ahead() -> None:
            self._ahead = read()

        return read_ahead

    def read_cached(self) -> bool:
        """Read ahead without a thread, where no disk has to be waited for; whether it did."""
        if self.reader is None or self._ahead is not None or self._is_busy():
            return False
        self._ahead = self.reader.read_cached()
        return self._ahead is not None

    def _is_busy(self) -> bool:
        """Whether a thread is at work, or nothing is left to do."""
        ended = self.told or self._finished or self.failure is not None
        return ended or self.child is not None

    def _cut_in_thread(self) -> None:
        try:
            assert self._cutting is not None
            self._show(self._cutting.cut())
        finally:
            self._in_thread = False

    def _advance(self) -> bool:
        """Get further without a thread; False where that is not possible."""
        cutting = self._cutting
        if self._in_thread:
            return False
        if cutting is not None:
            if cutting.heavy:
                return False
            if self._show(cutting.cut()):
                return True
        self.read_cached()
        piece, self._ahead = self._ahead, None
        if piece is None:
            return False
        self._take_in(piece)
        return not self._finished

    def _take_in(self, piece: Piece) -> None:
        if piece.finished:
            self._finished = True
            return
        self._left = piece.left
        if piece.part is not None:
            self._part = piece.part
            cutter = piece.part.cutter
            self._cutting = Cutting(cutter) if cutter is not None else None
        if piece.damage:
            raw = piece.raw or (self._cutting.rest if self._cutting else b"")
            self._cutting = None
            self._show(Records([Bad(raw, piece.damage)], [WHOLE_FILE], 0, bad=True))
        elif self._cutting is not None:
            self._cutting.add(piece.data, final=piece.final)

    def _show(self, records: Records | None) -> bool:
        """Put records in front, to be handed out; what has none moves the position at most."""
        if records is None:
            return False
        self._records, self._index = records, 0
        cutting = self._cutting
        # What is damaged has no length: it counts as nothing.
        self._start = WHOLE_FILE if cutting is None else cutting.cutter.position - records.used
        if not records.ends:
            self._pass_block()
        return True

    def _hand_out(self, messages: list[Received], most: int, room: int) -> int:
        """Make messages; gives the bytes of content they are."""
        assert self._part is not None
        records, first = self._records, self._index
        values, ends = records.values, records.ends
        start = ends[first - 1] if first else self._start
        last = min(first + most, len(ends))
        if ends[last - 1] - start > room:
            last = min(last, bisect_left(ends, start + room, first) + 1)
        size = ends[last - 1] - start
        self._index = last
        if first or last < len(ends):
            values, ends = values[first:last], ends[first:last]
        partition, prefix = self.key.partition, self._part.prefix
        if records.bad:
            messages += [
                _received(partition, prefix, value, end)
                for value, end in zip(values, ends, strict=True)
            ]
        else:
            # In one go, without a step in Python for each.
            no_key, no_time, no_headers = repeat(None), repeat(-1), repeat(())
            fields = (repeat(partition), ends, no_key, values, no_time, no_headers, repeat(prefix))
            messages += map(Message, *fields)
        self.position = messages[-1].offset
        if last == len(records.ends):
            self._pass_block()
        return size

    def _pass_block(self) -> None:
        """Move behind what is used up, blank lines at its end included."""
        cutting = self._cutting
        if cutting is not None and self._part is not None and not cutting.cutter.skipping:
            self.position = Offset(f"{self._part.prefix}{cutting.cutter.position}")

    def _remaining(self) -> int:
        """Bytes of the partition that are not handed out: exact where nothing is compressed."""
        if self._part is None or not self._part.plain:
            return self._left
        position = str(self.position).rpartition(":")[2]
        return max(0, self._left - int(position)) if position.isdigit() else self._left


def _received(partition: Partition, prefix: str, value: Any, end: int) -> Received:
    if isinstance(value, Bad):
        offset = Offset(f"{prefix}{end}")
        return Undecodable(partition, offset, offset, value.raw, SerdeError(value.why))
    return Message(partition, end, None, value, -1, (), prefix)
