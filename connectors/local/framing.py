"""How bytes stand in the file: a header, then frames, each one write and one fsync.

    header  magic 8 · version u32 · length u32 · JSON {job, seed, floor} · crc32 of all before
    frame   magic 4 · length u32 · crc32 of (offset, length) · records
    record  length u32 · crc32 of (length, payload) · payload

Integers are little-endian. Checksums start from the header's ``seed``, so that no stale or copied
bytes of another file pass, and a frame's covers its own offset, so that none passes at another
place. A frame is the unit in which commits become durable: since each is fsync'd before the next
one is written, only the last can be incomplete after a crash, and nobody was told of that one.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from samza_py.connectors.local import disk
from samza_py.errors import CorruptCheckpointError

VERSION: Final = 1
MAGIC: Final = b"\x93samza\r\n"
FRAME_MAGIC: Final = b"\x93frm"

_HEADER: Final = struct.Struct("<8sII")
_FRAME: Final = struct.Struct("<4sII")
_PLACE: Final = struct.Struct("<QI")
_RECORD: Final = struct.Struct("<II")
_LENGTH: Final = struct.Struct("<I")
_SEARCH_BYTES: Final = 1 << 20

FRAME_HEADER_BYTES: Final = _FRAME.size
RECORD_HEADER_BYTES: Final = _RECORD.size


class Header(msgspec.Struct, frozen=True):
    """What a file says of itself.

    Attributes:
        job: the job's name; a file is of one job.
        seed: where its checksums start, drawn when it was created.
        floor: epochs of its claims lie above: a file that was made anew repeats none.
    """

    job: str
    seed: int
    floor: int


class Place(NamedTuple):
    """Where a record's payload is in the file."""

    offset: int
    size: int


class Frame(NamedTuple):
    """A whole frame: its records in order, and where the next one starts."""

    records: Sequence[tuple[Place, bytes]]
    end: int


class DamagedError(Exception):
    """No whole frame stands at an offset.

    Args:
        offset: of the frame.
        why: what is wrong with it.
        last: nothing that is whole follows, so that it may be a write cut short by a crash.
    """

    def __init__(self, offset: int, why: str, last: bool) -> None:
        super().__init__(why)
        self.offset = offset
        self.why = why
        self.last = last


def pack_header(header: Header) -> bytes:
    """The first bytes of a file."""
    body = msgspec.json.encode(header)
    data = _HEADER.pack(MAGIC, VERSION, len(body)) + body
    return data + _LENGTH.pack(zlib.crc32(data))


def read_header(fd: int, where: object) -> tuple[Header, int]:
    """Read a file's header; returns it and the offset of the first frame.

    Raises:
        CorruptCheckpointError: it is not such a file, is damaged, or of a newer version.
    """
    start = disk.read_exactly(fd, _HEADER.size, 0)
    if len(start) < _HEADER.size or not start.startswith(MAGIC):
        raise damaged(where, 0, "this is not the start of a checkpoint file")
    _, version, length = _HEADER.unpack(start)
    if version != VERSION:
        raise CorruptCheckpointError(
            f"{where} has format version {version} (byte {len(MAGIC)}), this samza-py reads up to "
            f"{VERSION}: run a newer samza-py, or start over with --ignore-checkpoint"
        )
    body = disk.read_exactly(fd, min(length, os.fstat(fd).st_size) + 4, len(start))
    data, check = start + body[:-4], body[-4:]
    if len(body) != length + 4 or _LENGTH.pack(zlib.crc32(data)) != check:
        raise damaged(where, 0, "the header's checksum is wrong")
    return msgspec.json.decode(body[:-4], type=Header), len(data) + 4


def damaged(where: object, offset: int, why: str) -> CorruptCheckpointError:
    """The error for a file that cannot be trusted, with what to do about it."""
    return CorruptCheckpointError(
        f"{where} is damaged at byte {offset}: {why}. Put a copy of the file in its place, or "
        "start over with --ignore-checkpoint, which sets the file aside and reads the inputs from "
        "their configured start"
    )


def pack_frame(payloads: Sequence[bytes], offset: int, seed: int) -> tuple[bytes, list[Place]]:
    """A frame to be written at this offset, and its records' places; at most 4 GiB in all."""
    parts = [b""]
    places: list[Place] = []
    at = offset + FRAME_HEADER_BYTES
    for payload in payloads:
        size = len(payload)
        check = zlib.crc32(payload, zlib.crc32(_LENGTH.pack(size), seed))
        parts += (_RECORD.pack(size, check), payload)
        places.append(Place(at + RECORD_HEADER_BYTES, size))
        at += RECORD_HEADER_BYTES + size
    length = at - offset - FRAME_HEADER_BYTES
    parts[0] = _FRAME.pack(FRAME_MAGIC, length, _place_check(offset, length, seed))
    return b"".join(parts), places


def _place_check(offset: int, length: int, seed: int) -> int:
    return zlib.crc32(_PLACE.pack(offset, length), seed)


class FrameReader:
    """Reads whole frames of an open file, in order or at an offset.

    Args:
        fd: the file; it stays open.
        size: how far to read: what is appended later is not looked at.
        seed: the file header's.
    """

    def __init__(self, fd: int, size: int, seed: int) -> None:
        self._fd = fd
        self._size = size
        self._seed = seed

    def frames(self, offset: int) -> Iterator[Frame]:
        """The frames from this offset to the end.

        Raises:
            DamagedError: at a frame that is not whole.
        """
        with open(self._fd, "rb", buffering=1 << 18, closefd=False) as file:
            file.seek(offset)
            while offset < self._size:
                header = file.read(min(FRAME_HEADER_BYTES, self._size - offset))
                length = self._length(header, offset)
                if length is None:
                    last = not self._whole_frame_after(offset)
                    raise DamagedError(offset, "no frame starts here", last)
                end = offset + FRAME_HEADER_BYTES + length
                if end > self._size:
                    raise DamagedError(offset, "the frame goes on beyond the file's end", True)
                frame = self._unpacked(file.read(length), offset)
                if frame is None:
                    last = end == self._size
                    raise DamagedError(offset, "the checksum of a record is wrong", last)
                yield frame
                offset = end

    def _length(self, header: bytes, offset: int) -> int | None:
        if len(header) < FRAME_HEADER_BYTES:
            return None
        magic, length, check = _FRAME.unpack(header)
        good = magic == FRAME_MAGIC and check == _place_check(offset, length, self._seed)
        return length if good else None

    def _unpacked(self, data: bytes, offset: int) -> Frame | None:
        records: list[tuple[Place, bytes]] = []
        base = offset + FRAME_HEADER_BYTES
        at = 0
        while at < len(data):
            if at + RECORD_HEADER_BYTES > len(data):
                return None
            size, check = _RECORD.unpack_from(data, at)
            start = at + RECORD_HEADER_BYTES
            payload = data[start : start + size]
            if zlib.crc32(payload, zlib.crc32(_LENGTH.pack(size), self._seed)) != check:
                return None
            records.append((Place(base + start, size), payload))
            at = start + size
        return Frame(records, base + len(data)) if at == len(data) else None

    def _whole_frame_after(self, offset: int) -> bool:
        """Whether a frame header that is right for its place follows.

        It was written after the one at ``offset`` was on the disk: then that one was damaged later.
        """
        keep = FRAME_HEADER_BYTES - 1
        at = offset + 1
        while at + FRAME_HEADER_BYTES <= self._size:
            data = disk.read_exactly(self._fd, min(_SEARCH_BYTES, self._size - at), at)
            found = data.find(FRAME_MAGIC)
            while found >= 0:
                header = data[found : found + FRAME_HEADER_BYTES]
                if self._length(header, at + found) is not None:
                    return True
                found = data.find(FRAME_MAGIC, found + 1)
            at += max(1, len(data) - keep)
        return False


def read_record(fd: int, place: Place, seed: int) -> bytes | None:
    """Read one record's payload again; None where its bytes have changed since."""
    whole = disk.read_exactly(
        fd, RECORD_HEADER_BYTES + place.size, place.offset - RECORD_HEADER_BYTES
    )
    if len(whole) != RECORD_HEADER_BYTES + place.size:
        return None
    size, check = _RECORD.unpack_from(whole)
    payload = whole[RECORD_HEADER_BYTES:]
    good = zlib.crc32(payload, zlib.crc32(_LENGTH.pack(place.size), seed)) == check
    return payload if good and size == place.size else None
