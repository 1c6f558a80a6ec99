"""JSONL and text: a record a line."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate
from typing import Final

from samza_py.connectors.files.records import Cutter, FileFormat, Records, limited
from samza_py.connectors.files.sources import Source

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class LineCutter(Cutter):
    """Cuts at line feeds; a carriage return in front of one belongs to it.

    Args:
        position: where to read on.
        limit: the most bytes of a line.
        blanks: whether a blank line is a record, and white space at the end of one belongs to it.
        marked: whether a byte order mark at the very start is passed over.
    """

    def __init__(self, position: int, limit: int, *, blanks: bool, marked: bool) -> None:
        super().__init__(position, limit)
        self._blanks = blanks
        self._marked = marked

    def _split(self, block: bytes, *, final: bool) -> Records:
        start = self.position
        # bytes.split() looks at each byte by itself, and takes three times as long.
        lines = BytesIO(block).readlines()
        if lines and not final and not lines[-1].endswith(b"\n"):
            lines.pop()
        ends = list(accumulate(map(len, lines), initial=start))
        used = ends[-1] - start
        del ends[0]
        values = _texts(lines, block) if self._blanks else list(map(bytes.rstrip, lines))
        if start == 0 and self._marked and values:
            values[0] = values[0].removeprefix(BYTE_ORDER_MARK)
        records = Records(values, ends, used)
        if len(block) > self.limit:
            limited(records, start, self.limit, self._too_long)
        if not self._blanks and not all(values):
            _drop_blanks(records)
        return records

    def _end_of_record(self, data: bytes) -> int:
        return data.find(b"\n") + 1 or -1


def _texts(lines: list[bytes], block: bytes) -> list[bytes]:
    """Lines without their ends; the last one may have none."""
    values = [line[:-1] for line in lines]
    if lines and not lines[-1].endswith(b"\n"):
        values[-1] = lines[-1]
    if b"\r" in block:
        values = [value.removesuffix(b"\r") for value in values]
    return values


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
