"""Zstandard, unpacked within bounds; the libraries for it are loaded when a file needs one.

Python 3.14's own module, or ``backports.zstd`` which is the same for older ones, unpack in pieces
of any size. ``cramjam`` only unpacks whole frames, so that with it alone a frame has to fit into
memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Final

from samza_py.connectors.files.failures import DamagedError
from samza_py.connectors.files.sources import PACKED_BYTES, Allowance, Source
from samza_py.errors import ConnectorError
from samza_py.values import shown_size

FRAME_BYTES: Final = 64 << 20
"""The most that one frame may hold, packed and unpacked, where only ``cramjam`` is installed."""

_MAGIC: Final = 0xFD2FB528
_SKIPPABLE: Final = range(0x184D2A50, 0x184D2A60)
_LARGEST_BLOCK: Final = 1 << 17


class Unzstd(Source):
    """The frames of a file, one after another.

    Args:
        packed: the stored content; closed with this.
        allowance: how much it may unpack to.
    """

    def __init__(self, packed: Source, allowance: Allowance) -> None:
        super().__init__()
        self._packed = packed
        self._allowance = allowance
        self._damage: DamagedError | None = None
        self._unpacked = self._pieces()
        self._piece = memoryview(b"")

    def _read(self, size: int) -> bytes:
        while not self._piece:
            try:
                piece = next(self._unpacked, b"")
            except DamagedError as error:
                self._damage = error
                raise
            if not piece:
                if self._damage is not None:
                    raise self._damage
                return b""
            self._allowance.spend(len(piece))
            self._piece = memoryview(piece)
        data, self._piece = bytes(self._piece[:size]), self._piece[size:]
        return data

    @property
    def taken(self) -> int:
        """How many packed bytes were read."""
        return self._packed.taken

    def close(self) -> None:
        """Close the file."""
        self._packed.close()

    def _pieces(self) -> Iterator[bytes]:
        for name in ("compression.zstd", "backports.zstd"):
            library = _loaded(name)
            if library is not None:
                return _streamed(self._packed, library)
        cramjam = _loaded("cramjam")
        if cramjam is None:
            raise ConnectorError('reading zstd needs a library: pip install "samza-py[zstd]"')
        return _by_frame(self._packed, cramjam)


def _loaded(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None


def _streamed(packed: Source, library: Any) -> Iterator[bytes]:
    stream: Any = None
    pending = b""
    while True:
        if not pending and (stream is None or stream.eof or stream.needs_input):
            pending = packed.read(PACKED_BYTES)
            if not pending:
                break
        if stream is None or stream.eof:
            stream = library.ZstdDecompressor()
        try:
            piece: bytes = stream.decompress(pending, max_length=PACKED_BYTES)
        except library.ZstdError as error:
            raise DamagedError(f"its compressed data is damaged ({error})") from error
        pending = stream.unused_data if stream.eof else b""
        if piece:
            yield piece
    if stream is not None and not stream.eof:
        raise DamagedError("it ends in the middle of its compressed data")


class _Frames:
    """Takes frames out of packed content, so far as their lengths can be read from them."""

    def __init__(self, packed: Source) -> None:
        self._packed = packed
        self._data = bytearray()

    def next(self) -> tuple[bytes, int]:
        """The next frame and the most it can unpack to; empty at the end."""
        if not self._have(1):
            return b"", 0
        magic = self._number(0, 4)
        if magic in _SKIPPABLE:
            return self._cut(8 + self._number(4, 4)), 0
        if magic != _MAGIC:
            raise DamagedError("its compressed data is damaged (no zstd frame)")
        descriptor = self._number(4, 1)
        single = descriptor >> 5 & 1
        at = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3]
        at += (single, 2, 4, 8)[descriptor >> 6]
        blocks = last = 0
        while not last:
            block = self._number(at, 3)
            last, kind, size = block & 1, block >> 1 & 3, block >> 3
            at += 3 + (1 if kind == 1 else size)
            blocks += 1
            if max(at, (blocks - 1) * _LARGEST_BLOCK // 2) > FRAME_BYTES:
                limit = shown_size(FRAME_BYTES)
                raise ConnectorError(
                    f"it has a zstd frame of more than {limit}, which only a library that unpacks "
                    "in pieces can read: pip install backports.zstd"
                )
        return self._cut(at + 4 * (descriptor >> 2 & 1)), blocks * _LARGEST_BLOCK

    def _have(self, size: int) -> bool:
        while len(self._data) < size:
            data = self._packed.read(PACKED_BYTES)
            if not data:
                return False
            self._data += data
        return True

    def _number(self, at: int, size: int) -> int:
        if not self._have(at + size):
            raise DamagedError("it ends in the middle of its compressed data")
        return int.from_bytes(self._data[at : at + size], "little")

    def _cut(self, size: int) -> bytes:
        if not self._have(size):
            raise DamagedError("it ends in the middle of its compressed data")
        frame = bytes(self._data[:size])
        del self._data[:size]
        return frame


def _by_frame(packed: Source, cramjam: Any) -> Iterator[bytes]:
    frames = _Frames(packed)
    while True:
        frame, most = frames.next()
        if not frame:
            return
        if not most:
            continue
        # An output of fixed size: a frame that lies about its length cannot grow it.
        room = bytearray(min(most, FRAME_BYTES))
        try:
            length: int = cramjam.zstd.decompress_into(frame, room)
        except cramjam.DecompressionError as error:
            raise DamagedError(f"its compressed data is damaged ({error})") from error
        if length:
            yield bytes(memoryview(room)[:length])
