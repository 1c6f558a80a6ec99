"""Cutting the unpacked content of a file into records, whatever the format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from samza_py.connectors.files.sources import Source

CHUNK_BYTES: Final = 1 << 18
"""How much is read at once: large enough that the hop to a thread costs nothing a record, small
enough that parsing it, which may hold the interpreter's lock, is over in a few milliseconds."""

KEPT_BYTES: Final = 1 << 16
"""How much of what could not be read is kept for the dead letter."""


@dataclass(slots=True)
class Bad:
    """A record that could not be read: stands among the values in place of one."""

    raw: bytes
    why: str


@dataclass(slots=True)
class Records:
    """What one piece of content held.

    Attributes:
        values: the records, in order; a ``Bad`` for one that could not be read.
        ends: the byte behind each.
        used: how many bytes of the piece these are; the rest is the start of the next record.
        bad: whether there is a ``Bad`` among the values.
    """

    values: list[Any]
    ends: list[int]
    used: int
    bad: bool = False


class RecordReader(ABC):
    """The records of one file or member, from a position on. Blocking: used in a thread.

    Args:
        source: the content, standing at ``position``.
        position: the byte behind the last record that was read.
        limit: the most bytes of one record; longer ones are passed over without being held.
    """

    def __init__(self, source: Source, position: int, limit: int) -> None:
        self.source = source
        self.position = position
        self._limit = limit
        self._rest = b""
        self._ended = False
        self._skipped = 0  # bytes of an oversized record, while its end is looked for
        self._kept = b""

    def read(self) -> Records | None:
        """The next records, which may be none yet; None at the end.

        Raises:
            DamagedError: the content is broken here.
            OSError: it cannot be read.
        """
        if self._ended:
            return None
        # A record longer than a chunk: reading as much again each time keeps the copying linear.
        data = self.source.read(min(max(CHUNK_BYTES, len(self._rest)), self._limit + CHUNK_BYTES))
        self._ended = not data
        if self._skipped:
            return self._skip(data)
        block = self._rest + data if self._rest else data
        records = self._split(block, final=self._ended)
        self._rest = block[records.used :]
        self.position += records.used
        if len(self._rest) > self._limit:
            self._start_skipping()
        return records

    @property
    def leftover(self) -> bytes:
        """The start of the record that was being read, as much of it as is kept."""
        return (self._kept or self._rest)[:KEPT_BYTES]

    def close(self) -> None:
        """Close the content."""
        self.source.close()

    @abstractmethod
    def _split(self, block: bytes, *, final: bool) -> Records:
        """Cut a block that starts at ``position``; with ``final`` nothing comes behind it."""

    @abstractmethod
    def _end_of_record(self, data: bytes) -> int:
        """Where in further data the record being passed over ends; -1 if it does not."""

    def _start_skipping(self) -> None:
        self._skipped = len(self._rest)
        self._kept = self._rest[:KEPT_BYTES]
        self._rest = b""

    def _skip(self, data: bytes) -> Records:
        end = len(data) if self._ended else self._end_of_record(data)
        if end < 0:
            self._skipped += len(data)
            return Records([], [], 0)
        length = self._skipped + end
        self.position += length
        bad = Bad(self._kept, self._too_long(length))
        self._skipped, self._kept, self._rest = 0, b"", data[end:]
        return Records([bad], [self.position], length, bad=True)

    def _too_long(self, length: int) -> str:
        return f"a record of {length} bytes is over max_record_bytes ({self._limit})"


class FileFormat(ABC):
    """A format of files: a frozen value that an input carries."""

    @abstractmethod
    def reader(self, opened: Callable[[], Source], position: int, limit: int) -> RecordReader:
        """Read a file on from a position.

        Args:
            opened: opens the content at its start; may be called again for another look at it.
            position: 0, or the byte behind a record.
            limit: the most bytes of one record.

        Raises:
            DamagedError: the content cannot be read at all.
            PositionLostError: it ends before the position.
            OSError: it cannot be opened.
        """


def limited(records: Records, start: int, limit: int, too_long: Callable[[int], str]) -> Records:
    """Put a ``Bad`` in place of each record over the limit, which only a long block can hold."""
    for index, end in enumerate(records.ends):
        length = end - start
        start = end
        value: object = records.values[index]
        if length > limit and not isinstance(value, Bad):
            raw = value[:KEPT_BYTES] if isinstance(value, bytes) else b""
            records.values[index] = Bad(raw, too_long(length))
            records.bad = True
    return records


def kept(values: Sequence[Any], ends: Sequence[int]) -> tuple[list[Any], list[int]]:
    """Values and ends without the blank ones."""
    pairs = [(value, end) for value, end in zip(values, ends, strict=True) if value]
    return [value for value, _ in pairs], [end for _, end in pairs]
