"""Opening the file of a job for the first claim of a run: made, or read and put in order."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from samza_py.connectors.local import disk
from samza_py.connectors.local.compaction import name_beside
from samza_py.connectors.local.file import OpenFile, create
from samza_py.connectors.local.framing import Header
from samza_py.connectors.local.scan import scan
from samza_py.seam import seam

logger = logging.getLogger(__name__)


def open_or_create(path: Path, job: str) -> OpenFile:
    """Open a job's file; the caller has its lock.

    Raises:
        CorruptCheckpointError: it is damaged before its last frame, or of a newer version.
        CheckpointError: it is another job's, or no file.
        OSError: the operating system refuses.
    """
    for leftover in (name_beside(path), _unfinished(path)):
        leftover.unlink(missing_ok=True)
    return _opened(path, job) if disk.is_there(path) else _created(path, job)


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".creating")


def _created(path: Path, job: str) -> OpenFile:
    """Make a new file, whole from the first moment it has its name.

    Epochs start at the clock's seconds: a file that takes the place of one that is damaged or was
    removed repeats none of its epochs, by which outputs know an older owner's leavings.
    """
    header = Header(job, seam().random.getrandbits(32), seam().now_ms() // 1000)
    file = create(_unfinished(path), header)
    try:
        seam().reached("local.create.written")
        disk.sync(file.fd)
        os.rename(file.path, path)
        file.path = path
        seam().reached("local.create.renamed")
        disk.sync_folder(path)
    except BaseException:
        os.close(file.fd)
        raise
    return file


def _opened(path: Path, job: str) -> OpenFile:
    fd = disk.open_private(path, os.O_RDWR)
    try:
        found = scan(fd, path, job)
        file = OpenFile(path, fd, found.header, found.index, found.end)
        if found.torn is not None:
            logger.warning(
                "%s: the last write was cut short by a crash (byte %d to %d: %s); nobody was told "
                "of its success, it is removed",
                path,
                found.end,
                os.fstat(fd).st_size,
                found.torn,
            )
            file.cut()
            seam().reached("local.cut")
    except BaseException:
        os.close(fd)
        raise
    return file
