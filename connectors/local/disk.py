"""What is asked of the operating system: files that are private, locked, and on the disk."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from samza_py.errors import CheckpointError
from samza_py.values import shown_size

_FULL_SYNC: Final = getattr(fcntl, "F_FULLFSYNC", None)


def sync(fd: int) -> None:
    """Return when the file's content and size are on the disk.

    On macOS ``fsync`` alone leaves them in the drive's own cache.
    """
    if _FULL_SYNC is not None:
        fcntl.fcntl(fd, _FULL_SYNC)
    elif sys.platform == "linux":
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def sync_folder(path: Path) -> None:
    """Return when the names in the folder of this file are on the disk."""
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_private(path: Path, flags: int) -> int:
    """Open a file, created with mode 0600 where ``flags`` create it; never through a symlink."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write all of the data at the offset.

    Raises:
        OSError: some of it may have been written.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        offset += written
        view = view[written:]


def read_exactly(fd: int, size: int, offset: int) -> bytes:
    """Read this many bytes, fewer only where the file ends."""
    data = os.pread(fd, size, offset)
    while 0 < len(data) < size:
        more = os.pread(fd, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def make_folder(path: Path) -> None:
    """Create the folder of this file and those above it, those that are new with mode 0700."""
    folder = path.parent
    for missing in reversed([one for one in (folder, *folder.parents) if not one.exists()]):
        with suppress(FileExistsError):
            missing.mkdir(mode=0o700)
            sync_folder(missing)


def is_there(path: Path) -> bool:
    """Whether there is such a file.

    Raises:
        CheckpointError: something else than a regular file is.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise failed("read", path, error) from error
    if stat.S_ISREG(mode):
        return True
    kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a file"
    kind = "a folder" if stat.S_ISDIR(mode) else kind
    raise CheckpointError(f"{path} is {kind}: checkpoints need a file, new or of this job")


def leads_to(path: Path, fd: int) -> bool:
    """Whether a name is still that of an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except OSError:
        return False


def lock_of(path: Path) -> Path:
    """The name of the lock beside a file."""
    return path.with_name(path.name + ".lock")


def lock(path: Path) -> int:
    """Take the lock beside a file, for as long as the returned descriptor is open.

    The lock file stays for ever: removing it would let two processes hold a lock each.

    Raises:
        CheckpointError: another process, or another store of this one, has it.
        OSError: it cannot be opened.
    """
    fd = open_private(lock_of(path), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        whose = "another run in this process" if owner == str(os.getpid()) else "another process"
        raise CheckpointError(
            f"{path} is in use by {whose} (pid {owner}): stop it first, or give this job a file "
            "of its own; a local file serves one container"
        ) from error
    except BaseException:
        os.close(fd)
        raise
    return fd


def rename_aside(path: Path) -> Path:
    """Give a file the first free name ``PATH.set-aside-N``; the caller has its lock.

    Raises:
        OSError: it still has its old name.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.set-aside-{number}")).exists():
        number += 1
    path.rename(aside)
    sync_folder(path)
    return aside


def failed(doing: str, path: Path, error: OSError) -> CheckpointError:
    """The error to raise for one of the operating system's, with the free bytes of the disk."""
    code = errno.errorcode.get(error.errno or 0, "?")
    return CheckpointError(
        f"cannot {doing} {path}: {error.strerror or error} ({code}); {_free(path)} free there"
    )


def _free(path: Path) -> str:
    for folder in path.parents:
        with suppress(OSError):
            found = os.statvfs(folder)
            return shown_size(found.f_bavail * found.f_frsize)
    return "unknown bytes"
