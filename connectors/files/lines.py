"""JSONL and text: a record a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from samza_py.connectors.files.records import FileFormat, RecordReader, Records, kept, limited
from samza_py.connectors.files.sources import Source

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class LineReader(RecordReader):
    """Cuts at line feeds; a carriage return in front of one belongs to it.

    Args:
        source: the content, standing at ``position``.
        position: where to read on.
        limit: the most bytes of a line.
        blanks: whether a blank line is a record.
        marked: whether a byte order mark at the very start is passed over.
    """

    def __init__(
        self, source: Source, position: int, limit: int, *, blanks: bool, marked: bool
    ) -> None:
        super().__init__(source, position, limit)
        self._blanks = blanks
        self._marked = marked and position == 0

    def _split(self, block: bytes, *, final: bool) -> Records:
        lines = block.split(b"\n")
        tail = lines.pop()
        start = end = self.position
        ends = [end := end + len(line) + 1 for line in lines]
        used = end - start
        if final and tail:
            lines.append(tail)
            used = len(block)
            ends.append(start + used)
        if b"\r" in block:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if self._marked and lines:
            self._marked = False
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        records = Records(lines, ends, used)
        if len(block) > self._limit:
            records = limited(records, start, self._limit, self._too_long)
        if not self._blanks and not all(lines):
            records.values, records.ends = kept(records.values, ends)
        return records

    def _end_of_record(self, data: bytes) -> int:
        return data.find(b"\n") + 1 or -1


@dataclass(frozen=True, slots=True)
class Jsonl(FileFormat):
    """A JSON value a line; blank lines and a byte order mark are passed over."""

    def reader(self, opened: Callable[[], Source], position: int, limit: int) -> RecordReader:
        """Read lines on from a position."""
        return LineReader(opened_at(opened, position), position, limit, blanks=False, marked=True)


@dataclass(frozen=True, slots=True)
class TextLines(FileFormat):
    """A text a line, blank ones included, left as it is but for its line end."""

    def reader(self, opened: Callable[[], Source], position: int, limit: int) -> RecordReader:
        """Read lines on from a position."""
        return LineReader(opened_at(opened, position), position, limit, blanks=True, marked=False)


def opened_at(opened: Callable[[], Source], position: int) -> Source:
    """Open content and go to a position in it; closes it again where that fails."""
    source = opened()
    try:
        source.skip_to(position)
    except BaseException:
        source.close()
        raise
    return source
