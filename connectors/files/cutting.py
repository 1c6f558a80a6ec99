"""What was read of one part and is not yet cut into records."""

from __future__ import annotations

from typing import Final

from samza_py.connectors.files.records import KEPT_BYTES, Cutter, Records

HEAVY_BYTES: Final = 1 << 17
"""From which size on an unfinished record is cut in a thread: looking for its end may take long."""


class Cutting:
    """Takes pieces of a part in, gives records out. Used by the loop, or by one thread meanwhile.

    Args:
        cutter: of the part.
    """

    def __init__(self, cutter: Cutter) -> None:
        self.cutter = cutter
        self._data = b""
        self._at = 0
        self._more: list[bytes | bytearray] = []
        self._length = 0  # of what is not cut, in _data and _more
        self._wanted = 0  # how much must be there before another look is worth it
        self._final = False

    def add(self, data: bytes | bytearray, *, final: bool) -> None:
        """Take in the next piece; with ``final`` there is no other."""
        self._more.append(data)
        self._length += len(data)
        self._final = final

    @property
    def heavy(self) -> bool:
        """Whether the next ``cut`` belongs into a thread."""
        if self.cutter.skipping:
            return self._length > 0 or self._final
        return self._wanted >= HEAVY_BYTES and (self._length >= self._wanted or self._final)

    @property
    def rest(self) -> bytes:
        """The start of the record that is not complete, as much of it as is kept."""
        if self.cutter.skipping:
            return self.cutter.head
        self._join()
        return self._data[self._at : self._at + KEPT_BYTES]

    def cut(self) -> Records | None:
        """The next records, which may be none of a used block; None where another piece is needed.

        At the end of a final piece it gives None for good.
        """
        if self.cutter.skipping and (self._length or self._final):
            self._join()
            return self._used(self.cutter.skip(self._data[self._at :], final=self._final))
        if not self._length or (self._length < self._wanted and not self._final):
            return None
        self._join()
        size = max(self.cutter.block_bytes, self._wanted)
        while True:
            # A short rest goes with it: it would cost a look of its own.
            whole = self._length <= size + size // 2
            block = self._data[self._at : None if whole else self._at + size]
            records = self.cutter.cut(block, final=self._final and whole)
            if records.used:
                self._wanted = 0
                return self._used(records)
            if whole or (size < HEAVY_BYTES <= 4 * size):
                break
            size *= 4
        if len(block) > self.cutter.limit:
            self.cutter.start_skipping(block)
            self._at += len(block)
            self._length -= len(block)
            self._wanted = 0
        else:
            # As much again each time, so that a record is looked at a few times and no more.
            self._wanted = 2 * self._length if whole else 4 * size
        return None

    def _used(self, records: Records) -> Records:
        self._at += records.used
        self._length -= records.used
        return records

    def _join(self) -> None:
        if self._more:
            self._data = b"".join((memoryview(self._data)[self._at :], *self._more))
            self._at, self._more = 0, []
