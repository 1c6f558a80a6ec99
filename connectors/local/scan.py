"""Reading a whole file once: what it holds, and whether its end was cut short by a crash."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from samza_py.checkpoint import Checkpoint
from samza_py.connectors.local import disk
from samza_py.connectors.local.framing import (
    DamagedError,
    FrameReader,
    Header,
    damaged,
    read_header,
)
from samza_py.connectors.local.index import Index
from samza_py.connectors.local.records import decode_record
from samza_py.connectors.local.view import View
from samza_py.errors import CheckpointError


@dataclass(slots=True)
class Scanned:
    """What a file holds.

    Attributes:
        header: what it says of itself.
        index: where its records are.
        end: where its last whole frame ends.
        torn: why the bytes after that are no frame; None where there are none.
    """

    header: Header
    index: Index
    end: int
    torn: str | None = None


def scan(fd: int, path: Path, job: str) -> Scanned:
    """Read a file from its start to the end it has now.

    Raises:
        CorruptCheckpointError: it is damaged before its last frame, or of a newer version.
        CheckpointError: it is another job's.
        OSError: it cannot be read.
    """
    size = os.fstat(fd).st_size
    header, end = read_header(fd, path)
    if header.job != job:
        raise CheckpointError(
            f"{path} holds the checkpoints of job {header.job!r}, not of {job!r}: give each job a "
            "file of its own"
        )
    found = Scanned(header, Index(), end)
    try:
        for frame in FrameReader(fd, size, header.seed).frames(end):
            for place, payload in frame.records:
                found.index.take(decode_record(payload), place)
            found.end = frame.end
    except DamagedError as error:
        if not error.last:
            raise damaged(path, error.offset, error.why) from error
        found.torn = error.why
    except msgspec.DecodeError as error:
        # Its checksum is right, so that it was written like this: by no samza-py known here.
        raise damaged(path, found.end, f"an unknown record is in this frame ({error})") from error
    return found


def read_checkpoints(
    path: Path, job: str, tasks: Collection[str] | None
) -> Mapping[str, Checkpoint]:
    """The newest checkpoints in a file that another process may be writing to.

    Takes no lock and changes nothing. An incomplete last frame is one that is being written.

    Raises:
        CorruptCheckpointError: it is damaged, or of a newer version.
        CheckpointError: it cannot be read.
    """
    if not disk.is_there(path):
        return {}
    try:
        fd = disk.open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise disk.failed("read", path, error) from error
    try:
        found = scan(fd, path, job)
        with View(path, os.dup(fd), found.header.seed) as view:
            return checkpoints_of(found.index, view, tasks)
    except OSError as error:
        raise disk.failed("read", path, error) from error
    finally:
        os.close(fd)


def checkpoints_of(
    index: Index, view: View, tasks: Collection[str] | None
) -> Mapping[str, Checkpoint]:
    """The newest checkpoints of these tasks (None: of all).

    Raises:
        CorruptCheckpointError: one is damaged, or of a newer version.
    """
    wanted = None if tasks is None else frozenset(tasks)
    return {
        name: view.checkpoint(task.commit)
        for name, task in index.tasks.items()
        if task.commit is not None and (wanted is None or name in wanted)
    }
