"""Which compression a file has, and the parts of content it unpacks to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

from samza_py.connectors.files.archives import Member, ZipContent, members_of
from samza_py.connectors.files.sources import Allowance, Inflated, Plain, Source
from samza_py.connectors.files.zstandard import Unzstd

Compression = Literal["infer", "none", "gzip", "zstd", "zip"]

COMPRESSIONS: Final = ("infer", "none", "gzip", "zstd", "zip")

_BY_SUFFIX: Final[dict[str, Compression]] = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".zip": "zip",
}


def compression_of(name: str, declared: Compression) -> Compression:
    """The declared compression, or the one that the file's name ends in."""
    if declared != "infer":
        return declared
    dot = name.rfind(".")
    return _BY_SUFFIX.get(name[dot:].lower(), "none") if dot >= 0 else "none"


@dataclass(frozen=True, slots=True)
class Part:
    """Content that is read as one: a file, or a member of a zip.

    Attributes:
        outer: the numbers that stand in front of the byte in its offsets.
        opened: opens it at its start.
        plain: its bytes are the file's own, so that what is left is known exactly.
    """

    outer: tuple[int, ...]
    opened: Callable[[], Source]
    plain: bool = False


def parts_of(
    open_file: Callable[[], BinaryIO], size: int, compression: Compression, most: int | None
) -> Iterator[Part]:
    """The parts of a file, in the order of their offsets.

    Args:
        open_file: opens the stored file; each source closes the one it got.
        size: of the stored file.
        compression: not ``infer``.
        most: the most bytes it may unpack to.

    Raises:
        DamagedError: a zip's directory cannot be read.
    """
    if compression == "zip":
        with open_file() as file:
            members = members_of(file)
        allowance = Allowance(size, most)  # one for all members together
        yield from (_member_part(open_file, member, allowance) for member in members)
    elif compression == "gzip":
        yield Part((), lambda: Inflated(Plain(open_file(), size), Allowance(size, most)))
    elif compression == "zstd":
        yield Part((), lambda: Unzstd(Plain(open_file(), size), Allowance(size, most)))
    else:
        yield Part((), lambda: Plain(open_file(), size), plain=True)


def _member_part(open_file: Callable[[], BinaryIO], member: Member, allowance: Allowance) -> Part:
    return Part((member.number,), lambda: ZipContent(open_file(), member, allowance))
