"""Disks that are too small, for as long as a test wants them to be."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class NoSmallDiskError(Exception):
    """This user may not mount anything."""


class SmallDisk:
    """A file system in memory with a size that can be changed.

    Args:
        folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        """Change its size, or whether it may be written to."""
        _mount("-o", f"remount,{options}", str(self.folder))


@contextmanager
def small_disk(folder: Path, size: str) -> Generator[SmallDisk]:
    """Mount one.

    Raises:
        NoSmallDiskError: only root may.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    if shutil.which("mount") is None:
        raise NoSmallDiskError("there is no mount")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoSmallDiskError(done.stderr.strip())
