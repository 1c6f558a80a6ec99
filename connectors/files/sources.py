"""The content of files, unpacked: plain, gzip, and what a zip is made of."""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from typing import BinaryIO, Final

from samza_py.connectors.files.failures import DamagedError
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.values import shown_size

CHUNK_BYTES: Final = 1 << 19
"""How much is read at once, so that the hop to a thread costs little a record."""

CACHED_BYTES: Final = 1 << 16
"""How much is read at once where no thread is needed: as much as stays near the processor."""

PACKED_BYTES: Final = 1 << 17
"""How much packed data is read at once."""

_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)
"""Where the system can say what it has in its cache (Linux)."""

_FREE_BYTES: Final = 64 << 20
_RATIO: Final = 200


class Source(ABC):
    """Content that is read once from its start. Blocking: used in a thread, by one at a time.

    Attributes:
        at: how many bytes of the content were read or passed over.
    """

    def __init__(self) -> None:
        self.at = 0

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, at least one of them until the end, where it is empty.

        Raises:
            DamagedError: the content is broken here.
            PositionLostError: the file became shorter while it was read.
            ConnectorError: unpacking it is refused.
            OSError: it cannot be read.
        """
        data = self._read(size)
        self.at += len(data)
        return data

    def read_cached(self) -> bytes | bytearray:
        """The next bytes, where they can be had without waiting for a disk, else nothing.

        The one method that may be called on the loop.
        """
        return b""

    def skip_to(self, position: int) -> None:
        """Pass over everything in front of a position; one that is passed already stays so.

        Packed content is unpacked and dropped: that is what resuming inside it costs.

        Raises:
            PositionLostError: it ends before.
        """
        while self.at < position:
            if not self.read(min(position - self.at, CHUNK_BYTES)):
                raise PositionLostError(f"it has only {self.at} bytes, the position is {position}")

    @property
    def ended(self) -> bool:
        """Whether it is known without another read that nothing is left."""
        return False

    @property
    @abstractmethod
    def taken(self) -> int:
        """How many bytes of the stored file were read so far."""

    @abstractmethod
    def close(self) -> None:
        """Close the file below. Idempotent."""

    @abstractmethod
    def _read(self, size: int) -> bytes:
        """What ``read`` promises, without the counting."""


class Plain(Source):
    """A stretch of a file as it is stored.

    Args:
        file: opened in binary mode; closed with this.
        size: how many bytes belong to it, from ``start``. What is appended later does not.
        start: where in the file it begins.
    """

    def __init__(self, file: BinaryIO, size: int, start: int = 0) -> None:
        super().__init__()
        self._file = file
        self._size = size
        self._start = start
        file.seek(start)

    def _read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._size - self.at))
        if not data and self.at < self._size:
            raise PositionLostError(f"it shrank from {self._size} to {self.at} bytes")
        return data

    def read_cached(self) -> bytes | bytearray:
        """What the page cache of the system holds of the next bytes (``preadv2(2)``)."""
        size = min(CACHED_BYTES, self._size - self.at)
        if _NOWAIT is None or size <= 0:
            return b""
        data = bytearray(size)
        try:
            found = os.preadv(self._file.fileno(), [data], self._start + self.at, _NOWAIT)
        except OSError:  # not cached, no such call here, or something that a thread will tell
            return b""
        self.at += found
        self._file.seek(self._start + self.at)
        del data[found:]
        return data

    @property
    def ended(self) -> bool:
        """Whether all of the stretch was read: a small file needs one call and no more."""
        return self.at >= self._size

    @property
    def taken(self) -> int:
        """How many bytes were read or passed over."""
        return self.at

    def skip_to(self, position: int) -> None:
        """Seek."""
        if position > self._size:
            raise PositionLostError(f"it has only {self._size} bytes, the position is {position}")
        if position > self.at:
            self._file.seek(self._start + position)
            self.at = position

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Allowance:
    """How much may be unpacked from one file, so that a small one cannot unpack without end.

    Args:
        packed: the size of the stored file.
        most: the most bytes it may unpack to; None for 64 MiB or 200 times its size, whichever
            is more.
    """

    def __init__(self, packed: int, most: int | None) -> None:
        self._left = self.most = most if most is not None else max(_FREE_BYTES, _RATIO * packed)

    def spend(self, unpacked: int) -> None:
        """Count unpacked bytes.

        Raises:
            ConnectorError: they are too many.
        """
        self._left -= unpacked
        if self._left < 0:
            raise ConnectorError(
                f"it unpacks to more than {shown_size(self.most)}; if that is right, raise "
                "max_decompressed_bytes of its input"
            )


class Inflated(Source):
    """Deflated content: gzip members one after another, or the one raw stream of a zip member.

    What can be unpacked in front of damage, but for the last byte, comes out before the damage is
    reported, so that it does not depend on the sizes of earlier reads which records are lost.

    Args:
        packed: the stored content; closed with this.
        allowance: how much it may unpack to.
        raw: a bare stream without gzip's own header.
    """

    def __init__(self, packed: Source, allowance: Allowance, *, raw: bool = False) -> None:
        super().__init__()
        self._packed = packed
        self._allowance = allowance
        self._raw = raw
        self._stream = zlib.decompressobj(-15 if raw else 31)
        self._pending = b""
        self._fresh = True
        self._damage: DamagedError | None = None

    def _read(self, size: int) -> bytes:
        while self._damage is None:
            if self._stream.eof and not self._next_member():
                return b""
            pending = self._pending or self._packed.read(PACKED_BYTES)
            if not pending and self._fresh:
                return b""
            self._fresh = False
            data = self._inflate(pending, size)
            if data:
                self._allowance.spend(len(data))
                return data
            if not pending and not self._stream.eof and self._damage is None:
                self._damage = DamagedError("it ends in the middle of its compressed data")
        raise self._damage

    def _inflate(self, pending: bytes, size: int) -> bytes:
        before = self._stream.copy()
        try:
            data = self._stream.decompress(pending, size)
        except zlib.error as error:
            self._damage = DamagedError(f"its compressed data is damaged ({error})")
            return _in_front_of_damage(before, pending, size)
        stream = self._stream
        self._pending = stream.unused_data if stream.eof else stream.unconsumed_tail
        return data

    def _next_member(self) -> bool:
        if self._raw:
            return False
        # Tape and some writers pad the end with zeros.
        while not self._pending.lstrip(b"\0"):
            self._pending = self._packed.read(PACKED_BYTES)
            if not self._pending:
                return False
        self._pending = self._pending.lstrip(b"\0")
        self._stream = zlib.decompressobj(31)
        return True

    @property
    def taken(self) -> int:
        """How many packed bytes were read."""
        return self._packed.taken

    def close(self) -> None:
        """Close the file."""
        self._packed.close()


def _in_front_of_damage(stream: zlib._Decompress, pending: bytes, size: int) -> bytes:
    """What a byte at a time still unpacks."""
    found = bytearray()
    try:
        while len(found) < size:
            byte = stream.decompress(pending, 1)
            if not byte:
                break
            found += byte
            pending = stream.unconsumed_tail
    except zlib.error:
        pass
    return bytes(found)
