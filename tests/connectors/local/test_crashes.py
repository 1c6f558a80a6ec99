"""Killed at any point, the next start finds every acknowledged commit, and at most one more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from samza_py.checkpoint import Grant
from samza_py.connectors.local import LocalCheckpoints
from tests.connectors.local import crashing_writer
from tests.connectors.local.on_disk import content, names, put
from tests.connectors.local.workload import JOB, restored, state

PROGRAM = Path(crashing_writer.__file__)
FIRST = [
    *("create.written", "create.renamed", "write", "written", "synced"),
    *(f"compact.{point}" for point in ("begun", "copied", "whole", "synced", "renamed", "done")),
]
LATER = [
    *((point, hit) for point in ("write", "written", "synced") for hit in (4, 9, 30)),
    *((point, hit) for point in FIRST[5:] for hit in (2, 3)),
]
POINTS = [
    *(pytest.param(f"local.{point}", 1, id=point) for point in FIRST),
    *(
        pytest.param(f"local.{point}", hit, id=f"{point}-{hit}", marks=pytest.mark.slow)
        for point, hit in LATER
    ),
]


def run(path: Path, point: str, hit: int, commits: int = 300) -> tuple[int, dict[str, int]]:
    """Run the program; gives its exit code and the last acknowledged number of each task."""
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), str(path), str(commits), point, str(hit)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    last: dict[str, int] = dict.fromkeys(crashing_writer.TASKS, 0)
    for line in ended.stdout.splitlines():
        task, number = line.split()
        last[task] = int(number)
    assert ended.returncode in {0, -9}, ended.stderr
    return ended.returncode, last


async def found(path: Path) -> dict[str, int]:
    """What a start finds of each task, its state checked against its number."""
    numbers: dict[str, int] = {}
    async with LocalCheckpoints(path).store(JOB) as store:
        for task in crashing_writer.TASKS:
            claim, newest = await store.open(Grant(task))
            numbers[task] = newest.number if newest else 0
            if newest is not None:
                entries = await restored(store, claim, newest.stores)
                assert entries == state(task, newest.number)
    return numbers


@pytest.mark.parametrize(("point", "hit"), POINTS)
async def test_what_was_acknowledged_is_there(tmp_path: Path, point: str, hit: int) -> None:
    path = tmp_path / "checkpoints.log"
    code, acknowledged = run(path, point, hit)
    assert code == -9, f"{point} was not reached {hit} times"
    there = await found(path)
    for task, number in acknowledged.items():
        assert there[task] in {number, number + 1}, f"acknowledged {acknowledged}, found {there}"
    leftovers = names(tmp_path) - {path.name, path.name + ".lock"}
    assert not leftovers


async def test_one_file_takes_one_crash_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    before: dict[str, int] = dict.fromkeys(crashing_writer.TASKS, 0)
    for point in (
        "written",
        "compact.copied",
        "synced",
        "compact.renamed",
        "write",
        "compact.whole",
    ):
        code, acknowledged = run(path, f"local.{point}", 3)
        assert code == -9
        there = await found(path)
        for task, number in there.items():
            last = max(acknowledged[task], before[task])
            assert number in {last, last + 1}, f"after {point}: {acknowledged}, found {there}"
        before = there


async def test_a_crash_while_an_incomplete_write_is_removed_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    _, acknowledged = run(path, "local.none", 1, commits=5)
    put(path, content(path) + b"\x93frm\x40\x00\x00\x00 and no more")
    code, nothing = run(path, "local.cut", 1)
    assert (code, set(nothing.values())) == (-9, {0})
    assert await found(path) == acknowledged
