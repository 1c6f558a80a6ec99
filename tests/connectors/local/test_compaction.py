"""A file stays near its live content, whoever writes or reads meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from samza_py.checkpoint import Change, Checkpoint, Grant
from samza_py.connectors.local import LocalCheckpoints, disk, log
from samza_py.connectors.local.compaction import Compaction
from samza_py.connectors.local.opening import open_or_create
from samza_py.connectors.local.scan import scan
from samza_py.seam import Seam, use_seam
from tests.connectors.local.on_disk import names, put, size
from tests.connectors.local.workload import JOB, apply, commit, restored, state

TASKS = [f"price/{number}" for number in range(8)]


class Points(Seam):
    """Remembers the points that were reached."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def reached(self, point: str) -> None:
        self.seen.append(point)


@pytest.fixture(params=[1, log.SLICE_BYTES], ids=["many slices", "one slice"])
def slices(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How much of a compaction is done with each commit, beside what the commit's size asks for."""
    monkeypatch.setattr(log, "SLICE_BYTES", request.param)
    size: int = request.param
    return size


@pytest.fixture
def points() -> Iterator[Points]:
    with use_seam(Points()) as points:
        assert isinstance(points, Points)
        yield points


async def test_eight_tasks_that_commit_all_the_while_lose_nothing(
    tmp_path: Path, points: Points, slices: int
) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path, compact_above="48KiB").store(JOB) as store:

        async def work(task: str) -> None:
            claim, _ = await store.open(Grant(task))
            for number in range(1, 101):
                await commit(store, claim, number)

        await asyncio.gather(*map(work, TASKS))
    assert points.seen.count("local.compact.done") >= 2
    begun, done = (points.seen.index(f"local.compact.{point}") for point in ("begun", "done"))
    assert (points.seen[begun:done].count("local.synced") > 3) == (slices == 1)
    async with LocalCheckpoints(path).store(JOB) as store:
        for task in TASKS:
            claim, found = await store.open(Grant(task))
            assert found is not None
            assert found.number == 100
            assert await restored(store, claim, found.stores) == state(task, 100)


@pytest.mark.usefixtures("slices")
async def test_the_file_stays_within_a_few_times_its_live_content(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path, compact_above="20KiB").store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        largest = 0
        for number in range(1, 1001):
            checkpoint = Checkpoint(claim.epoch, number, stores={"counts": "m"})
            key = b"%d" % (number % 100)
            await store.write(claim, checkpoint, {"counts": [(key, b"x" * 100)]})
            largest = max(largest, size(path))
    # Live are a hundred entries of about 110 bytes.
    assert largest < 6 * 100 * 115


@pytest.mark.usefixtures("slices")
async def test_a_reader_that_began_before_it_reads_on_in_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path, compact_above="200KiB").store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        other, _ = await store.open(Grant("price/1"))
        want = {b"%d" % number: b"x" * 30 for number in range(3000)}
        some = list(want.items())
        for at in range(0, 3000, 300):
            checkpoint = Checkpoint(claim.epoch, at, stores={"counts": "m"})
            await store.write(claim, checkpoint, {"counts": some[at : at + 300]})
        reading = store.restore(claim, "counts", "m")
        entries: dict[bytes, bytes] = {}
        apply(entries, await anext(reading))
        with use_seam(Points()) as points:
            assert isinstance(points, Points)
            number = 0
            while "local.compact.done" not in points.seen:
                number += 1
                await commit(store, other, number)
                assert number < 3000
        async for batch in reading:
            apply(entries, batch)
        assert entries == want
        assert await restored(store, claim, {"counts": "m"}) == {"counts": want}


async def test_a_task_that_was_only_claimed_keeps_its_epoch(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path).store(JOB) as store:
        idle = [await store.open(Grant("price/idle")) for _ in range(5)][-1][0]
        busy, _ = await store.open(Grant("price/0"))
        for number in range(1, 20):
            await commit(store, busy, number)
    async with LocalCheckpoints(path, compact_above="1KiB").store(JOB) as store:
        after, nothing = await store.open(Grant("price/idle"))
        assert (after.epoch, nothing) == (idle.epoch + 1, None)
        assert list(await store.read()) == ["price/0"]


async def test_deleted_entries_and_forgotten_stores_take_no_room(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        big: list[Change] = [(b"%d" % number, b"x" * 1000) for number in range(100)]
        both = Checkpoint(claim.epoch, 1, stores={"counts": "1", "names": "1"})
        await store.write(claim, both, {"counts": big, "names": big})
        emptied = Checkpoint(claim.epoch, 2, stores={"counts": "2"})
        await store.write(claim, emptied, {"counts": [(key, None) for key, _ in big]})
    async with LocalCheckpoints(path, compact_above="10KiB").store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        assert size(path) < 1000
        assert await restored(store, claim, {"counts": "2"}) == {"counts": {}}


async def test_an_interrupted_compaction_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path, compact_above="200KiB").store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        for number in range(1, 10):
            await commit(store, claim, number)
    beside = path.with_name(path.name + ".compacting")
    put(beside, b"half of it")
    put(path.with_name(path.name + ".creating"), b"half of it")
    async with LocalCheckpoints(path).store(JOB) as store:
        await store.open(Grant("price/0"))
    assert names(tmp_path) == {path.name, path.name + ".lock"}


async def test_the_new_file_is_on_the_disk_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Recording(Seam):
        def reached(self, point: str) -> None:
            done.append(point)

    def noted(name: str) -> None:
        real: Callable[[object], None] = getattr(disk, name)

        def call(of: object) -> None:
            done.append(name)
            real(of)

        monkeypatch.setattr(disk, name, call)

    done: list[str] = []
    noted("sync")
    noted("sync_folder")
    path = tmp_path / "checkpoints.log"
    with use_seam(Recording()):
        async with LocalCheckpoints(path, compact_above="2KiB").store(JOB) as store:
            claim, _ = await store.open(Grant("price/0"))
            number = 0
            while "local.compact.done" not in done:
                number += 1
                await commit(store, claim, number)
    begun = done.index("local.compact.begun")
    assert done[begun:] == [
        "local.compact.begun",
        "local.compact.copied",
        "sync",
        "local.compact.whole",
        "sync",
        "local.compact.synced",
        "local.compact.renamed",
        "sync_folder",
        "local.compact.done",
    ]
    assert done[:4] == ["local.create.written", "sync", "local.create.renamed", "sync_folder"]


async def test_what_is_known_of_a_compacted_file_is_what_a_reader_finds(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path).store(JOB) as store:
        for task in TASKS[:2]:
            claim, _ = await store.open(Grant(task))
            for number in range(1, 40):
                await commit(store, claim, number)

    def compacted() -> None:
        source = open_or_create(path, JOB)
        whole = Compaction(source).advance(float("inf"))
        assert whole is not None
        found = scan(whole.fd, whole.path, JOB)
        assert (found.end, found.torn) == (whole.end, None)
        assert found.index.compacted_at == whole.index.compacted_at
        assert found.index.tasks.keys() == whole.index.tasks.keys()
        for name, task in found.index.tasks.items():
            known = whole.index.tasks[name]
            assert (task.epoch, task.commit) == (known.epoch, known.commit)
            for store, places in task.stores.items():
                assert list(places) == list(known.stores[store])

    await asyncio.to_thread(compacted)
