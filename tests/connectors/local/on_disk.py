"""Looking at files from tests, apart from the coroutines that the linter keeps free of it."""

from __future__ import annotations

from pathlib import Path


def size(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


def content(path: Path) -> bytes:
    """All of a file."""
    return path.read_bytes()


def put(path: Path, data: bytes | bytearray) -> None:
    """Write a file anew."""
    path.write_bytes(data)


def move(path: Path, to: Path) -> None:
    """Rename a file."""
    path.rename(to)


def names(folder: Path) -> set[str]:
    """The names in a folder."""
    return {file.name for file in folder.iterdir()}


def flip_a_bit_in_the_middle(path: Path) -> bytes:
    """Damage a file; gives what it holds now."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return bytes(data)
