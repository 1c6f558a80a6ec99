"""What the system has in its cache is read on the loop, everything else in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest

from samza_py.connectors.files import Files
from samza_py.connectors.files.sources import CHUNK_BYTES
from samza_py.seam import Seam, use_seam
from tests.connectors.files.reading import read_on, values

P = ParamSpec("P")
T = TypeVar("T")

LINES = [f"line {number} {'x' * (number % 300)}".encode() for number in range(30_000)]
CONTENT = b"\n".join(LINES)


class CountingSeam(Seam):
    """Counts the calls in threads."""

    calls = 0

    async def in_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self.calls += 1
        return await super().in_thread(fn, *args, **kwargs)


def reads_cached(path: Path) -> bool:
    """Whether the file system below says what is cached."""
    with path.open("rb") as file:
        try:
            return os.preadv(file.fileno(), [bytearray(10)], 0, os.RWF_NOWAIT) == 10
        except (AttributeError, OSError):
            return False


async def test_a_cached_file_is_read_without_threads_and_any_other_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(CONTENT) > 6 * CHUNK_BYTES
    path = tmp_path / "lines.txt"
    path.write_bytes(CONTENT)
    stream = Files(root=str(tmp_path)).text("input", path.name)
    cached = CountingSeam()
    with use_seam(cached):
        assert values(await read_on(stream)) == LINES
    if reads_cached(path):
        assert cached.calls <= 5  # the root, the list, the first piece, the end, closing

    monkeypatch.setattr(os, "preadv", _never)
    uncached = CountingSeam()
    with use_seam(uncached):
        assert values(await read_on(stream)) == LINES
    assert uncached.calls >= 5 + 6


def _never(*_: Any) -> int:
    raise BlockingIOError


@pytest.mark.parametrize("every", [2, 3])
async def test_reading_by_turns_on_the_loop_and_in_threads_loses_nothing(
    every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(CONTENT)
    asked = 0

    def now_and_then(file: int, buffers: Sequence[bytearray], at: int, _: int) -> int:
        """Some of what is asked for, and sometimes nothing."""
        nonlocal asked
        asked += 1
        if asked % every == 0:
            raise BlockingIOError
        found = os.pread(file, len(buffers[0]) - asked % 7, at)
        buffers[0][: len(found)] = found
        return len(found)

    monkeypatch.setattr(os, "preadv", now_and_then)
    messages = await read_on(Files(root=str(tmp_path)).text("input", path.name))
    assert values(messages) == LINES
    ends = [message.offset.rpartition(":")[2] for message in messages]
    assert ends == [str(end) for end in _ends()]
    assert asked > 10


def _ends() -> list[int]:
    ends: list[int] = []
    at = 0
    for line in LINES:
        at += len(line) + 1
        ends.append(at)
    ends[-1] -= 1  # the last one has no line end
    return ends
