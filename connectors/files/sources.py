"""The content of files, unpacked: plain, gzip, and what a zip is made of."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from typing import BinaryIO, Final

from samza_py.connectors.files.failures import DamagedError
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.values import shown_size

PACKED_BYTES: Final = 1 << 17
"""How much packed data is read at once."""

_FREE_BYTES: Final = 64 << 20
_RATIO: Final = 200


class Source(ABC):
    """Content that is read once from its start. Blocking: used in a thread, by one at a time."""

    @abstractmethod
    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes, at least one of them until the end, where it is empty.

        Raises:
            DamagedError: the content is broken here.
            ConnectorError: unpacking it is refused.
            OSError: it cannot be read.
        """

    @property
    @abstractmethod
    def taken(self) -> int:
        """How many bytes of the stored file were read so far."""

    @abstractmethod
    def close(self) -> None:
        """Close the file below. Idempotent."""

    def skip_to(self, position: int) -> None:
        """Pass over the first ``position`` bytes of what has not been read yet.

        Packed content is unpacked and dropped: that is what resuming inside it costs.

        Raises:
            PositionLostError: it ends before.
        """
        while position > 0:
            data = self.read(min(position, 1 << 20))
            if not data:
                raise PositionLostError("it ends before the position")
            position -= len(data)


class Plain(Source):
    """A stretch of a file as it is stored.

    Args:
        file: opened in binary mode; closed with this.
        size: how many bytes belong to it, from ``start``. What is appended later does not.
        start: where in the file it begins.
    """

    def __init__(self, file: BinaryIO, size: int, start: int = 0) -> None:
        self._file = file
        self._size = size
        self._at = 0
        self._start = start
        file.seek(start)

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes of the stretch."""
        data = self._file.read(min(size, self._size - self._at))
        if not data and self._at < self._size:
            raise PositionLostError(f"it shrank from {self._size} to {self._at} bytes")
        self._at += len(data)
        return data

    @property
    def taken(self) -> int:
        """How many bytes were read or passed over."""
        return self._at

    def skip_to(self, position: int) -> None:
        """Seek."""
        if position > self._size:
            raise PositionLostError(f"it has only {self._size} bytes")
        self._file.seek(self._start + position)
        self._at = position

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

    Whatever can be unpacked in front of damage comes out before the damage is reported, so that
    it does not depend on the sizes of earlier reads which records are lost.

    Args:
        packed: the stored content; closed with this.
        allowance: how much it may unpack to.
        raw: a bare stream without gzip's own header.
    """

    def __init__(self, packed: Source, allowance: Allowance, *, raw: bool = False) -> None:
        self._packed = packed
        self._allowance = allowance
        self._raw = raw
        self._stream = zlib.decompressobj(-15 if raw else 31)
        self._pending = b""
        self._fresh = True
        self._damage: DamagedError | None = None

    def read(self, size: int) -> bytes:
        """Unpack up to ``size`` bytes."""
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
