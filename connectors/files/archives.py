"""Zip files: their members are read in the order of the archive's directory.

``zipfile`` reads the directory only. Members are unpacked here, because its reader throws away
the last good bytes in front of damage.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import BinaryIO, Final
from zlib import crc32

from samza_py.connectors.files.failures import DamagedError
from samza_py.connectors.files.paths import is_hidden, shown
from samza_py.connectors.files.sources import Allowance, Inflated, Plain, Source

_LOCAL_HEADER: Final = 30
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a zip.

    Attributes:
        number: its place in the archive's directory, which offsets use.
        name: its name there.
        header: where its own header starts.
        packed: its size in the archive.
        unpacked: its size as the directory has it.
        checksum: of its content.
        stored: it is not compressed.
        refused: why it cannot be read; empty where it can.
    """

    number: int
    name: str
    header: int
    packed: int
    unpacked: int
    checksum: int
    stored: bool
    refused: str = ""


def members_of(file: BinaryIO) -> list[Member]:
    """The members with content that are not hidden. Leaves the file open.

    Raises:
        DamagedError: it is not a zip, or its directory is damaged.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        raise DamagedError(f"its zip directory cannot be read ({error})") from error
    return [
        _member(number, info)
        for number, info in enumerate(infos)
        if not info.is_dir() and not any(map(is_hidden, info.filename.split("/")))
    ]


def _member(number: int, info: zipfile.ZipInfo) -> Member:
    refused = ""
    if info.flag_bits & 0x1:
        refused = f"{shown(info.filename)} in it is encrypted"
    elif info.compress_type not in _METHODS:
        refused = f"{shown(info.filename)} in it is compressed by method {info.compress_type}"
    return Member(
        number,
        info.filename,
        info.header_offset,
        info.compress_size,
        info.file_size,
        info.CRC,
        info.compress_type == zipfile.ZIP_STORED,
        refused,
    )


class ZipContent(Source):
    """The content of one member.

    Args:
        file: the archive; closed with this.
        member: which one.
        allowance: what the archive may still unpack to.
    """

    def __init__(self, file: BinaryIO, member: Member, allowance: Allowance) -> None:
        super().__init__()
        if member.refused:
            raise DamagedError(member.refused)
        packed = Plain(file, member.packed, _start_of(file, member))
        self._content = packed if member.stored else Inflated(packed, allowance, raw=True)
        self._member = member
        self._checksum = 0

    def _read(self, size: int) -> bytes:
        data = self._content.read(size)
        if data:
            self._checksum = crc32(data, self._checksum)
        elif (self._checksum, self.at) != (self._member.checksum, self._member.unpacked):
            raise DamagedError(f"the checksum of {shown(self._member.name)} in it is wrong")
        return data

    @property
    def taken(self) -> int:
        """How many bytes of the member were read in the archive."""
        return self._content.taken

    def close(self) -> None:
        """Close the archive."""
        self._content.close()


def _start_of(file: BinaryIO, member: Member) -> int:
    """Where a member's content starts: behind its own header, whose length only itself knows."""
    size = file.seek(0, 2)
    if 0 <= member.header <= size - _LOCAL_HEADER:
        file.seek(member.header)
        header = file.read(_LOCAL_HEADER)
        names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        start = member.header + _LOCAL_HEADER + names
        if header.startswith(b"PK\3\4") and start + member.packed <= size:
            return start
    raise DamagedError(f"the header of {shown(member.name)} in it is damaged")
