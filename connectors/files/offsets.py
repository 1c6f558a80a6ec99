"""Offsets of files: a name, a stamp of its content, and where in it.

    flights/2013-01.csv#1f4a0.9c3b11aa:73310

The name is relative to the root, so that a moved root keeps its checkpoints. The stamp is size
and checksum of both ends of the file (4 KiB each), so that a changed file is told from the one
that was read, and a copied or restored one is not refused for its date. What is overwritten in
the middle of a longer file, at the same length, it does not tell: for that all of the file would
have to be read. The numbers say how far: the byte behind
the record in the unpacked content; for a zip the member's number stands in front of it. Formats of
blocks will put (block, record) there.

Order: by name, then by the numbers.
"""

from __future__ import annotations

import re
from typing import BinaryIO, Final, NamedTuple
from urllib.parse import quote, unquote
from zlib import crc32

from samza_py.errors import CorruptCheckpointError
from samza_py.message import Offset

START: Final = Offset("start")
"""The position in front of everything in a partition."""

WHOLE_FILE: Final = 1 << 62
"""The number behind everything in a file, read or not: what is damaged is passed over by it."""

_END_BYTES: Final = 4096
_UNSAFE: Final = re.compile("[%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OFFSET: Final = re.compile(r"(.+)#([0-9a-f]+\.[0-9a-f]{8}):([0-9]+(?::[0-9]+)*)", re.DOTALL)


class Place(NamedTuple):
    """An offset taken apart, in the order of offsets (the stamp comes last and decides nothing).

    Attributes:
        name: the file, relative to the root; empty in front of everything.
        numbers: how far in it.
        stamp: of the content that was read.
    """

    name: str
    numbers: tuple[int, ...]
    stamp: str = ""


def place_of(offset: str) -> Place:
    """Take an offset apart.

    Raises:
        CorruptCheckpointError: it is not an offset of files.
    """
    if offset == START:
        return Place("", ())
    found = _OFFSET.fullmatch(offset)
    if found is None:
        raise CorruptCheckpointError(f"{offset[:200]!r} is not an offset of files")
    name = unquote(found[1], errors="surrogateescape") if "%" in found[1] else found[1]
    return Place(name, tuple(map(int, found[3].split(":"))), found[2])


def prefix_of(name: str, stamp: str, *outer: int) -> str:
    """What stands in front of the last number in the offsets of one file, or of one member."""
    safe = _UNSAFE.sub(lambda found: quote(found[0], safe="", errors="surrogateescape"), name)
    return "".join((f"{safe}#{stamp}:", *(f"{number}:" for number in outer)))


def compare_offsets(first: str, second: str) -> int:
    """Below 0, 0 or above 0 as the first comes before, is, or comes after the second.

    Raises:
        CorruptCheckpointError: one of them is not an offset of files.
    """
    one, other = place_of(first)[:2], place_of(second)[:2]
    return (one > other) - (one < other)


def stamp_of(file: BinaryIO, size: int) -> str:
    """Size and checksum of a file's first and last bytes; leaves the file at its start.

    The end is read too because it holds a zip's directory and a gzip's checksum, which speak for
    all that lies between.
    """
    file.seek(0)
    checksum = crc32(file.read(min(size, _END_BYTES)))
    if size > _END_BYTES:
        file.seek(max(_END_BYTES, size - _END_BYTES))
        checksum = crc32(file.read(_END_BYTES), checksum)
    file.seek(0)
    return f"{size:x}.{checksum:08x}"


def size_in(stamp: str) -> int:
    """The file size that a stamp was made of."""
    return int(stamp.partition(".")[0], 16)
