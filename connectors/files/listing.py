"""Which files an input reads, and which partition each is in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.files.failures import reading
from samza_py.connectors.files.offsets import stamp_of
from samza_py.connectors.files.paths import bucket_of, fixed_part, is_glob, matches, shown
from samza_py.connectors.files.storage import Entry, Storage
from samza_py.errors import ConnectorError, PositionLostError, UnavailableError
from samza_py.nearest import nearest

VERSION: Final = 2
"""Of the lineage's text. Version 1 had names and sizes only; ``changes`` compares it by these."""

_NAMED_CHARACTERS: Final = 200

Listing = Mapping[str, Sequence[Entry]]
"""The files of each partition, by its id, in the order in which they are read."""


def list_files(storage: Storage, stream: FileInput[object]) -> Listing:
    """List the files of an input: one partition for a single file, else fixed buckets.

    Blocking: called in a thread.

    Raises:
        ConnectorError: there is no such file or folder; names what is there instead.
        UnavailableError: the file system cannot answer now.
    """
    path = stream.physical
    missing = ""
    found: list[Entry] = []
    with reading(str(stream)):
        kind = storage.kind(path)
        if kind == "file":
            return {"0": [Entry(path, storage.size(path))]}
        folder = path if kind == "directory" or not is_glob(path) else fixed_part(path)
        if storage.kind(folder) != "directory":
            missing = _missing(storage, folder)
        else:
            found = list(storage.files_below(folder))
    if missing:
        raise ConnectorError(f"{stream}: {missing}")
    if folder != path:
        found = [entry for entry in found if matches(path, entry.name)]
    return _in_buckets(found, stream.max_partitions)


def _in_buckets(found: Sequence[Entry], buckets: int) -> Listing:
    listing: dict[str, list[Entry]] = {str(number): [] for number in range(buckets)}
    for entry in sorted(found):
        listing[str(bucket_of(entry.name, buckets))].append(entry)
    return listing


def stamps_of(storage: Storage, files: Sequence[Entry]) -> list[str]:
    """The stamp of each file: its size and a checksum of both ends.

    Blocking: called in a thread.

    Raises:
        ConnectorError: one may not be read.
        UnavailableError: one is gone since it was listed, or the file system cannot answer now.
    """
    stamps: list[str] = []
    try:
        for entry in files:
            with reading(entry.name), storage.open(entry.name) as file:
                stamps.append(stamp_of(file, file.seek(0, 2)))
    except PositionLostError as error:  # Nothing is lost yet: another listing tells what is there.
        raise UnavailableError(str(error)) from error
    return stamps


def lineage_of(
    stream: FileInput[object], files: Sequence[Entry], stamps: Sequence[str], partitions: int
) -> str:
    """Which files a partition is: others, or other content, are another lineage.

    A bounded input promises to read a set of files once. A file that joins it later would be lost
    where it comes in front of the position or where the partition is at its end, and one that is
    written anew is taken for done; nothing would tell. So the runtime refuses to go on with
    another set until the input is reset. Dates do not count: copied files are the same files.
    """
    names = _digest(f"{size} {name}" for name, size in files)
    # Few files are named, as whoever reads two lineages wants to see which one differs.
    named = ", ".join(
        f"{shown(name)} ({size} bytes, {stamp.rpartition('.')[2]})"
        for (name, size), stamp in zip(files, stamps, strict=True)
    )
    if len(named) > _NAMED_CHARACTERS:
        named = f"{len(files)} files, {sum(entry.size for entry in files)} bytes"
    place = f"{shown(stream.physical)} in {partitions} partitions"
    listed = f"{named or 'no files'}, {names}.{_digest(stamps)}"
    return f"files/{VERSION} {stream.content} {place}: {listed}"


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{text}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _missing(storage: Storage, path: str) -> str:
    """Say what is missing and which name next to it was probably meant."""
    parts = path.split("/")
    here = "."
    for part in parts:
        below = part if here == "." else f"{here}/{part}"
        if storage.kind(below) is None:
            near = nearest(part, storage.names(here))
            place = shown(storage.root if here == "." else f"{storage.root}/{here}")
            hint = f"did you mean {shown(near)}?" if near else "put it there, or mend the path"
            return f"there is no {shown(part)} in {place}; {hint}"
        here = below
    return f"{shown(path)} in {shown(storage.root)} is neither a file nor a folder"
