"""CSV as RFC 4180 has it: a header, then rows; quoted fields may hold line ends.

A row's offset is the byte behind it, so that reading resumes by a seek. The parser itself says
where rows end (it counts the lines it took), because counting quotes would be wrong for a stray
one. Nearly always each row is one line, and a block is handled without a step per row in Python.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Protocol, cast

from samza_py.connectors.files.failures import DamagedError
from samza_py.connectors.files.lines import BYTE_ORDER_MARK, opened_at
from samza_py.connectors.files.paths import shown
from samza_py.connectors.files.records import (
    CHUNK_BYTES,
    KEPT_BYTES,
    Bad,
    FileFormat,
    RecordReader,
    Records,
)
from samza_py.connectors.files.sources import Source


class _Parser(Protocol):
    """What ``csv.reader`` gives."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class RowReader(RecordReader):
    """Gives each row as a dict by the names in the header, which it reads first.

    Args:
        source: the content at its start.
        limit: the most bytes of a row.
        delimiter: what stands between fields.
    """

    def __init__(self, source: Source, limit: int, delimiter: str) -> None:
        super().__init__(source, 0, limit)
        self._delimiter = delimiter
        self._header: list[str] = []
        self._in_quotes = False
        # The parser's own limit is one of the whole process and 128 KiB at first. It must not be
        # what ends a long row, because it does so in the middle; blocks are bounded here anyway.
        longest = 4 * (limit + CHUNK_BYTES)
        if csv.field_size_limit() < longest:
            csv.field_size_limit(longest)

    def read_header(self) -> None:
        """Read the names of the columns, and stand behind them. An empty file has none.

        Raises:
            DamagedError: it is not a header.
        """
        found = self.read()
        while found is not None and not found.values:
            found = self.read()
        if found is None:
            return
        first: list[str] | Bad = found.values[0]
        if isinstance(first, Bad):
            raise DamagedError(f"its header cannot be read: {first.why}", first.raw)
        twice = [shown(name) for name, count in Counter(first).items() if count > 1]
        if twice:
            raise DamagedError(f"its header names {', '.join(twice)} more than once")
        self._header = first

    def go_on_at(self, source: Source, position: int) -> None:
        """Read rows from another position, keeping the header; closes the content held so far."""
        self.source.close()
        self.source, self.position = source, position
        self._rest, self._ended = b"", False

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
        if self._header and used <= self._limit:
            plain = self._plain(block, text)
            if plain is not None:
                return plain
        return self._careful(block, text, final=final)

    def _plain(self, block: bytes, text: str) -> Records | None:
        """All rows at once; None where some row is not one line with the header's fields."""
        header = self._header
        try:
            rows = list(self._parser(text))
        except csv.Error:
            return None
        ends = _line_ends(block, self.position)
        if len(rows) != len(ends) or set(map(len, rows)) - {len(header)}:
            return None
        return Records([dict(zip(header, row)) for row in rows], ends, len(block))  # noqa: B905

    def _careful(self, block: bytes, text: str, *, final: bool) -> Records:
        """Row by row; stops in front of one that may go on in what has not been read yet."""
        ends = _line_ends(block, 0)
        parser = self._parser(text)
        records = Records([], [], 0)
        while self._header or not records.values:
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
        if length > self._limit:
            return self._too_long(length)
        if self._header and len(row) != len(self._header):
            return f"the row has {len(row)} fields, the header {len(self._header)}"
        try:
            "".join(row).encode()
        except UnicodeEncodeError:
            return "the row is not UTF-8"
        return ""

    def _parser(self, text: str) -> _Parser:
        lines = StringIO(text, newline="\n")
        return cast("_Parser", csv.reader(lines, delimiter=self._delimiter, strict=True))

    def _start_skipping(self) -> None:
        self._in_quotes = self._rest.count(b'"') % 2 == 1
        super()._start_skipping()

    def _end_of_record(self, data: bytes) -> int:
        start = 0
        while True:
            end = data.find(b"\n", start)
            quotes = data.count(b'"', start, end if end >= 0 else len(data))
            self._in_quotes ^= quotes % 2 == 1
            if end < 0:
                return -1
            if not self._in_quotes:
                return end + 1
            start = end + 1


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

    def reader(self, opened: Callable[[], Source], position: int, limit: int) -> RecordReader:
        """Read the header, then rows on from a position."""
        rows = RowReader(opened(), limit, self.delimiter)
        try:
            rows.read_header()
            if position > rows.position:
                rows.go_on_at(opened_at(opened, position), position)
        except BaseException:
            rows.close()
            raise
        return rows
