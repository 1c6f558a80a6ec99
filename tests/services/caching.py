"""A cache outside the work tree, which processes and checkouts share without harm.

An entry is a folder with everything in it or it is not there at all: it is filled under another
name and renamed. Whoever dies while filling leaves a folder that the next one removes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "SAMZA_PY_TEST_CACHE"
"""Names another folder for the cache."""


def cache_folder() -> Path:
    """Where this user's servers are kept: in the cache folder of the XDG standard."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    xdg = os.environ.get("XDG_CACHE_HOME")
    return (Path(xdg) if xdg else Path.home() / ".cache") / "samza-py" / "services"


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold a lock file, waiting for it; the system lets go of it when the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def filled(name: str, fill: Callable[[Path], None], *, root: Path | None = None) -> Path:
    """An entry of the cache, filled now if it was not there.

    Args:
        name: of the entry. It holds the versions of all that is in it: an entry never changes.
        fill: puts everything into an empty folder, whose path is not the later one. Processes that
            want the same entry wait meanwhile.
        root: the folder of the cache, if not the user's.

    Returns:
        The folder of the entry, the same on every call.
    """
    root = root or cache_folder()
    entry = root / name
    if entry.is_dir():
        return entry
    with locked(root / f"{name}.lock"):
        if not entry.is_dir():
            half = root / f"{name}.half"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            print(f"making {name} in {root} (once)", flush=True)
            fill(half)
            half.rename(entry)
    return entry
