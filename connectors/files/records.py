"""Cutting the unpacked content of files into records, whatever the format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from samza_py.connectors.files.sources import Source

KEPT_BYTES: Final = 1 << 16
"""How much of what could not be read is kept for the dead letter."""


@dataclass(slots=True)
class Bad:
    """A record that could not be read: stands among the values in place of one."""

    raw: bytes
    why: str


@dataclass(slots=True)
class Records:
    """What one block of content held.

    Attributes:
        values: the records, in order; a ``Bad`` for one that could not be read.
        ends: the byte behind each.
        used: how many bytes of the block these are; the rest is the start of the next record.
        bad: whether there is a ``Bad`` among the values.
    """

    values: list[Any]
    ends: list[int]
    used: int
    bad: bool = False


class Cutter(ABC):
    """Cuts the blocks of one file or member. Holds no content but the head of an oversized record.

    Args:
        position: the byte behind the last record that was read.
        limit: the most bytes of one record; longer ones are passed over without being held.
    """

    #: How much is cut at once. What is cut is handed out before more is, so that it is still in
    #: the processor's cache: with blocks of 256 KiB a row took up to twice as long as with 32.
    block_bytes: ClassVar[int] = 1 << 16

    def __init__(self, position: int, limit: int) -> None:
        self.position = position
        self.limit = limit
        self._skipped = 0
        self._kept = b""

    def cut(self, block: bytes, *, final: bool) -> Records:
        """The records in a block that starts at ``position``; moves the position behind them.

        Args:
            block: not empty.
            final: nothing comes behind it, so that it is used up.
        """
        records = self._split(block, final=final)
        self.position += records.used
        return records

    def start_skipping(self, head: bytes) -> None:
        """Hear that the record that starts at ``position`` is over the limit; this much is read."""
        self._skipped = len(head)
        self._kept = head[:KEPT_BYTES]

    @property
    def skipping(self) -> bool:
        """Whether the end of an oversized record is being looked for."""
        return self._skipped > 0

    @property
    def head(self) -> bytes:
        """What is kept of the record being passed over."""
        return self._kept

    def skip(self, data: bytes, *, final: bool) -> Records:
        """Look for the end of the oversized record; used up without a record where it is not."""
        end = self._end_of_record(data)
        if end < 0 and final:
            end = len(data)
        if end < 0:
            self._skipped += len(data)
            return Records([], [], len(data))
        length = self._skipped + end
        self.position += length
        bad = Bad(self._kept, self._too_long(length))
        self._skipped, self._kept = 0, b""
        return Records([bad], [self.position], end, bad=True)

    @abstractmethod
    def _split(self, block: bytes, *, final: bool) -> Records:
        """Cut a block that starts at ``position``, without moving it."""

    @abstractmethod
    def _end_of_record(self, data: bytes) -> int:
        """Where in further data the record being passed over ends; -1 if it does not."""

    def _too_long(self, length: int) -> str:
        return f"a record of {length} bytes is over max_record_bytes ({self.limit})"


class FileFormat(ABC):
    """A format of files: a frozen value that an input carries."""

    @abstractmethod
    def cutter(self, source: Source, position: int, limit: int) -> tuple[Cutter, bytes]:
        """Make ready to read content on from a position. Blocking: called in a thread.

        Args:
            source: the content at its start; stands where reading goes on afterwards.
            position: 0, or the byte behind a record.
            limit: the most bytes of one record.

        Returns:
            What cuts it, and what was read of it already.

        Raises:
            DamagedError: the content cannot be read at all.
            PositionLostError: it ends before the position.
            OSError: it cannot be read.
        """


def limited(records: Records, start: int, limit: int, too_long: Callable[[int], str]) -> None:
    """Put a ``Bad`` in place of each record over the limit."""
    for index, end in enumerate(records.ends):
        length = end - start
        start = end
        if length > limit:
            records.values[index] = Bad(records.values[index][:KEPT_BYTES], too_long(length))
            records.bad = True
