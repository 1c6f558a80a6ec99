"""JSONL and text: a record a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from samza_py.connectors.files.records import Cutter, FileFormat, Records, limited
from samza_py.connectors.files.sources import Source

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class LineCutter(Cutter):
    """Cuts at line feeds; a carriage return in front of one belongs to it.

    Args:
        position: where to read on.
        limit: the most bytes of a line.
        blanks: whether a blank line is a record.
        marked: whether a byte order mark at the very start is passed over.
    """

    def __init__(self, position: int, limit: int, *, blanks: bool, marked: bool) -> None:
        super().__init__(position, limit)
        self._blanks = blanks
        self._marked = marked

    def _split(self, block: bytes, *, final: bool) -> Records:
        lines = block.split(b"\n")
        tail = lines.pop()
        start = end = self.position
        ends = [end := end + len(line) + 1 for line in lines]
        if final and tail:
            lines.append(tail)
            end = start + len(block)
            ends.append(end)
        if b"\r" in block:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if start == 0 and self._marked and lines:
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        records = Records(lines, ends, end - start)
        if len(block) > self.limit:
            limited(records, start, self.limit, self._too_long)
        if not self._blanks and not all(lines):
            _drop_blanks(records)
        return records

    def _end_of_record(self, data: bytes) -> int:
        return data.find(b"\n") + 1 or -1


def _drop_blanks(records: Records) -> None:
    ends = [end for end, value in zip(records.ends, records.values, strict=True) if value]
    records.values = [value for value in records.values if value]
    records.ends = ends


@dataclass(frozen=True, slots=True)
class Jsonl(FileFormat):
    """A JSON value a line; blank lines and a byte order mark are passed over."""

    def cutter(self, source: Source, position: int, limit: int) -> tuple[Cutter, bytes]:
        """Read lines on from a position."""
        source.skip_to(position)
        return LineCutter(position, limit, blanks=False, marked=True), b""


@dataclass(frozen=True, slots=True)
class TextLines(FileFormat):
    """A text a line, blank ones included, left as it is but for its line end."""

    def cutter(self, source: Source, position: int, limit: int) -> tuple[Cutter, bytes]:
        """Read lines on from a position."""
        source.skip_to(position)
        return LineCutter(position, limit, blanks=True, marked=False), b""
