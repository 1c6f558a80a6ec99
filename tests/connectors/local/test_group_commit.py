"""Commits that wait for each other share one write and one fsync, and none is lost in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from samza_py.checkpoint import CheckpointStore, Claim, Grant
from samza_py.connectors.local import LocalCheckpoints, disk
from samza_py.errors import CheckpointError, FencedError
from samza_py.seam import Seam, use_seam
from tests.connectors.local.workload import JOB, commit, restored, state

P = ParamSpec("P")
T = TypeVar("T")


class Gate(Seam):
    """Holds the thread that comes to a point until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.point = ""
        self.came = threading.Event()
        self.go = threading.Event()

    def reached(self, point: str) -> None:
        if point == self.point:
            self.came.set()
            assert self.go.wait(20)

    def hold(self, point: str) -> None:
        self.came.clear()
        self.go.clear()
        self.point = point

    async def has_come(self) -> None:
        assert await asyncio.to_thread(self.came.wait, 20)

    def let_go(self) -> None:
        self.point = ""
        self.go.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    with use_seam(gate):
        yield gate
    gate.let_go()


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    real = disk.sync

    def counted(fd: int) -> None:
        seen.append(fd)
        real(fd)

    monkeypatch.setattr(disk, "sync", counted)
    return seen


async def claims(store: CheckpointStore, count: int) -> list[Claim]:
    opened = await asyncio.gather(*(store.open(Grant(f"price/{n}")) for n in range(count)))
    return [claim for claim, _ in opened]


async def test_sixteen_tasks_that_commit_at_once_need_two_fsyncs(
    tmp_path: Path, gate: Gate, syncs: list[int]
) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path).store(JOB) as store:
        owned = await claims(store, 16)
        syncs.clear()
        gate.hold("local.write")
        async with asyncio.TaskGroup() as children:
            children.create_task(commit(store, owned[0], 1))
            await gate.has_come()
            for claim in owned[1:]:
                children.create_task(commit(store, claim, 1))
            await asyncio.sleep(0)
            gate.let_go()
        assert len(syncs) == 2
        assert len(await store.read()) == 16
    async with LocalCheckpoints(path).store(JOB) as store:
        for claim in await claims(store, 16):
            entries = await restored(store, claim, {"counts": "1", "names": "1"})
            assert entries == state(claim.task, 1)


async def test_a_fenced_write_does_not_fail_those_beside_it(tmp_path: Path, gate: Gate) -> None:
    async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
        old, other = await claims(store, 2)
        gate.hold("local.write")
        first = asyncio.create_task(commit(store, other, 1))
        await gate.has_come()
        # All three in one frame: the new claim counts for the write that comes after it.
        claiming = asyncio.create_task(store.open(Grant(old.task)))
        late = asyncio.create_task(commit(store, old, 1))
        beside = asyncio.create_task(commit(store, other, 2))
        await asyncio.sleep(0)
        gate.let_go()
        results = await asyncio.gather(first, claiming, late, beside, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), tuple, FencedError, type(None)]
        assert {task: found.number for task, found in (await store.read()).items()} == {
            "price/1": 2
        }


async def test_a_cancelled_writer_takes_nobody_along(tmp_path: Path, gate: Gate) -> None:
    async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
        one, two, three = await claims(store, 3)
        gate.hold("local.written")
        leading = asyncio.create_task(commit(store, one, 1))
        await gate.has_come()
        following = asyncio.create_task(commit(store, two, 1))
        withdrawn = asyncio.create_task(commit(store, three, 1))
        await asyncio.sleep(0)
        for child in (leading, withdrawn):
            child.cancel()
        results = await asyncio.gather(leading, withdrawn, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 2
        gate.let_go()
        await following
        await commit(store, two, 2)
        numbers = {task: found.number for task, found in (await store.read()).items()}
        # The thread of the first one ran on; the one that had not begun was never written.
        assert numbers == {one.task: 1, two.task: 2}


async def test_a_writer_cancelled_before_its_thread_starts_takes_nobody_along(
    tmp_path: Path,
) -> None:
    class NoThreads(Seam):
        """Threads that never start, as in a full pool."""

        stuck = False

        async def in_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
            if self.stuck:
                await asyncio.get_running_loop().create_future()
            return await super().in_thread(fn, *args, **kwargs)

    with use_seam(threads := NoThreads()):
        async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
            one, two = await claims(store, 2)
            threads.stuck = True
            leading = asyncio.create_task(commit(store, one, 1))
            following = asyncio.create_task(commit(store, two, 1))
            await asyncio.sleep(0)
            threads.stuck = False
            leading.cancel()
            await following
            await asyncio.gather(leading, return_exceptions=True)
            assert list(await store.read()) == [two.task]


async def test_closing_waits_for_what_is_being_written(tmp_path: Path, gate: Gate) -> None:
    path = tmp_path / "checkpoints.log"
    store = LocalCheckpoints(path).store(JOB)
    [claim] = await claims(store, 1)
    gate.hold("local.written")
    writing = asyncio.create_task(commit(store, claim, 1))
    await gate.has_come()
    writing.cancel()
    closing = asyncio.create_task(store.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.let_go()
    await closing
    await asyncio.gather(writing, return_exceptions=True)
    async with LocalCheckpoints(path).store(JOB) as after:
        assert (await after.read())[claim.task].number == 1


@pytest.mark.parametrize("broken", ["local.write", "local.written", "local.synced"])
async def test_what_breaks_off_in_the_middle_fails_all_and_the_next_run_is_right(
    tmp_path: Path, broken: str
) -> None:
    class Crash(BaseException):
        pass

    class Breaking(Seam):
        def reached(self, point: str) -> None:
            if point == broken:
                raise Crash

    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path).store(JOB) as store:
        [claim] = await claims(store, 1)
        await commit(store, claim, 1)
        with use_seam(Breaking()), pytest.raises(Crash):
            await commit(store, claim, 2)
        with pytest.raises(CheckpointError, match="was left"):
            await commit(store, claim, 2)
    async with LocalCheckpoints(path).store(JOB) as store:
        assert (await store.read())[claim.task].number in {1, 2}
        [claim] = await claims(store, 1)
        await commit(store, claim, 3)
