"""CSV as RFC 4180 has it: a header, then rows; quoted fields may hold line ends.

A row's offset is the byte behind it, so that reading resumes by a seek. The parser itself says
where rows end (it counts the lines it took), because counting quotes would be wrong for a stray
one. Nearly always each row is one line, and a block is handled without a step per row in Python.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import ClassVar, Final, Protocol, cast

from samza_py.connectors.files.failures import DamagedError
from samza_py.connectors.files.lines import BYTE_ORDER_MARK
from samza_py.connectors.files.paths import shown
from samza_py.connectors.files.records import (
    KEPT_BYTES,
    Bad,
    Cutter,
    FileFormat,
    Records,
)
from samza_py.connectors.files.sources import CHUNK_BYTES, Source

_MOST_ROWS: Final = 1024
"""How many rows are read one by one before the loop gets its turn."""


class _Parser(Protocol):
    """What ``csv.reader`` gives."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class RowCutter(Cutter):
    """Gives each row as a dict by the names in the header, which is the first record.

    Args:
        limit: the most bytes of a row.
        delimiter: what stands between fields.
    """

    block_bytes: ClassVar[int] = 1 << 15

    def __init__(self, limit: int, delimiter: str) -> None:
        super().__init__(0, limit)
        self._delimiter = delimiter
        self._header: list[str] = []
        self._in_quotes = False
        # The parser's own limit is one of the whole process and 128 KiB at first. It must not be
        # what ends a long row, because it does so in the middle; blocks are bounded anyway.
        longest = 4 * limit + CHUNK_BYTES
        if csv.field_size_limit() < longest:
            csv.field_size_limit(longest)

    def read_header(self, source: Source) -> bytes:
        """Read the names of the columns; gives what was read behind them.

        Raises:
            DamagedError: it is not a header.
        """
        block = b""
        while True:
            data = source.read(max(self.block_bytes, len(block)))
            block += data
            if not block:
                return b""
            found = self.cut(block, final=not data)
            block = block[found.used :]
            if found.values:
                self._header = _names_in(found.values[0])
                return block
            if len(block) > self.limit:
                raise DamagedError(f"its header is over max_record_bytes ({self.limit})")

    def _split(self, block: bytes, *, final: bool) -> Records:
        used = len(block) if final else block.rfind(b"\n") + 1
        block = block[:used]
        if self.position == 0 and block.startswith(BYTE_ORDER_MARK):
            # A mark is not part of the first name, but its bytes count.
            block = b"\n\n\n" + block[3:]
        try:
            text = block.decode()
        except UnicodeDecodeError:
            return self._careful(block, block.decode("utf-8", "surrogateescape"), final=final)
        # A larger block is one whose first row is not complete in a smaller one.
        if self._header and used <= min(self.limit, 2 * self.block_bytes):
            plain = self._plain(block, text)
            if plain is not None:
                return plain
        return self._careful(block, text, final=final)

    def _plain(self, block: bytes, text: str) -> Records | None:
        """All rows at once; None where some row is not one line with the header's fields."""
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        # One name more than there are columns: a row with too many fields gets too many, too.
        names = (*self._header, None)
        try:
            # No list of the rows is kept: lists are what the garbage collector walks through, and
            # that took longer than the parsing. Dicts of text are none of its business.
            values = [dict(zip(names, row)) for row in self._parser(lines)]  # noqa: B905
        except csv.Error:
            return None
        # A field that goes on in the next line makes fewer rows than lines.
        if len(values) != len(lines) or set(map(len, values)) - {len(self._header)}:
            return None
        if text.isascii():
            end = self.position
            ends = [end := end + len(line) + 1 for line in lines]
        else:
            ends = _line_ends(block, self.position)
        if ends:
            ends[-1] = self.position + len(block)
        return Records(values, ends, len(block))

    def _careful(self, block: bytes, text: str, *, final: bool) -> Records:
        """Row by row; stops in front of one that may go on in what has not been read yet."""
        ends = _line_ends(block, 0)
        parser = self._parser(StringIO(text, newline="\n"))
        records = Records([], [], 0)
        most = _MOST_ROWS if self._header else 1
        while len(records.values) < most:
            why = ""
            row: list[str] = []
            try:
                row = next(parser)
            except StopIteration:
                break
            except csv.Error as error:
                if parser.line_num == len(ends) and not final:
                    break
                why = str(error)
            end = ends[parser.line_num - 1]
            if row or why:
                self._add(records, row or why, block[records.used : end], end)
            records.used = end
        return records

    def _add(self, records: Records, row: list[str] | str, raw: bytes, end: int) -> None:
        why = row if isinstance(row, str) else self._fault(row, len(raw))
        if why:
            records.values.append(Bad(raw[:KEPT_BYTES], why))
            records.bad = True
        else:
            header = self._header
            # The widths were found equal; the row is a list, since a text is a fault.
            records.values.append(dict(zip(header, row, strict=True)) if header else row)
        records.ends.append(self.position + end)

    def _fault(self, row: list[str], length: int) -> str:
        if length > self.limit:
            return self._too_long(length)
        if self._header and len(row) != len(self._header):
            return f"the row has {len(row)} fields, the header {len(self._header)}"
        try:
            "".join(row).encode()
        except UnicodeEncodeError:
            return "the row is not UTF-8"
        return ""

    def _parser(self, lines: Iterable[str]) -> _Parser:
        return cast("_Parser", csv.reader(lines, delimiter=self._delimiter, strict=True))

    def start_skipping(self, head: bytes) -> None:
        """Remember whether what is read of the record ends inside quotes."""
        self._in_quotes = head.count(b'"') % 2 == 1
        super().start_skipping(head)

    def _end_of_record(self, data: bytes) -> int:
        at = 0
        while True:
            quote = data.find(b'"', at)
            if not self._in_quotes:
                end = data.find(b"\n", at, quote if quote >= 0 else len(data))
                if end >= 0:
                    return end + 1
            if quote < 0:
                return -1
            self._in_quotes = not self._in_quotes
            at = quote + 1


def _names_in(header: list[str] | Bad) -> list[str]:
    if isinstance(header, Bad):
        raise DamagedError(f"its header cannot be read: {header.why}", header.raw)
    twice = [shown(name) for name, count in Counter(header).items() if count > 1]
    if twice:
        raise DamagedError(f"its header names {', '.join(twice)} more than once")
    return header


def _line_ends(block: bytes, start: int) -> list[int]:
    """The byte behind each line, as the parser counts lines: the last may lack its line feed."""
    lines = block.split(b"\n")
    if not lines[-1]:
        lines.pop()
    end = start
    ends = [end := end + len(line) + 1 for line in lines]
    if ends:
        ends[-1] = start + len(block)
    return ends


@dataclass(frozen=True, slots=True)
class Csv(FileFormat):
    """Rows under a header that names the columns; UTF-8, quoted as in RFC 4180, strictly.

    Attributes:
        delimiter: one character.
    """

    delimiter: str = ","

    def cutter(self, source: Source, position: int, limit: int) -> tuple[Cutter, bytes]:
        """Read the header, then rows on from a position."""
        rows = RowCutter(limit, self.delimiter)
        rest = rows.read_header(source)
        if position <= rows.position:
            return rows, rest
        rest = rest[position - rows.position :]
        source.skip_to(position)
        rows.position = position
        return rows, rest
