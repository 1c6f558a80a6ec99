"""What every checkpoint store promises, beyond what the conformance suite asks of third parties.

The same tests over each store: a runtime that works with one works with all.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TypeAlias

import pytest

from samza_py.checkpoint import (
    Change,
    Changes,
    Checkpoint,
    Checkpoints,
    CheckpointStore,
    Claim,
    Grant,
    InputProgress,
)
from samza_py.checkpoint_format import encode_checkpoint
from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.local.opening import open_or_create
from samza_py.connectors.local.records import Claimed, Committed, Record, encode_record
from samza_py.connectors.memory import Memory
from samza_py.errors import CheckpointError, CorruptCheckpointError, FencedError
from samza_py.message import Offset, Partition

JOB, TASK = "shop", "price/0"


class Local:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "checkpoints.log"
        self.checkpoints: Checkpoints = LocalCheckpoints(self.path)

    def put(self, data: bytes) -> None:
        """Store the task's newest checkpoint as another samza-py would have."""
        file = open_or_create(self.path, JOB)
        records: list[Record] = [Claimed(TASK, 9), Committed(TASK, 9, data, [], {})]
        file.write([encode_record(record) for record in records])
        os.close(file.fd)


class InMemory:
    """A broker."""

    def __init__(self, _: Path) -> None:
        self.memory = Memory()
        self.checkpoints: Checkpoints = self.memory.checkpoints()

    def put(self, data: bytes) -> None:
        """Store the task's newest checkpoint as another samza-py would have."""
        self.memory.broker.jobs[JOB].checkpoints[TASK] = data


Place: TypeAlias = "Local | InMemory"


@pytest.fixture(params=[Local, InMemory])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made: Place = request.param(tmp_path)
    return made


def plain(claim: Claim, number: int, *stores: str) -> Checkpoint:
    progress = InputProgress(Offset(str(number)))
    inputs = {Partition("memory", "orders", "0"): progress}
    return Checkpoint(claim.epoch, number, inputs, stores=dict.fromkeys(stores, str(number)))


async def entries(
    store: CheckpointStore, claim: Claim, name: str, marker: str
) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    async for batch in store.restore(claim, name, marker):
        for key, value in batch:
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
    return found


async def test_claims_grow_over_tasks_stores_and_restarts(place: Place) -> None:
    epochs: list[int] = []
    for _ in range(3):
        async with place.checkpoints.store(JOB) as store:
            for _ in range(2):
                claim, _ = await store.open(Grant(TASK))
                assert (claim.task, claim.job) == (TASK, JOB)
                epochs.append(claim.epoch)
    assert epochs == sorted(set(epochs))


async def test_a_write_of_an_older_claim_changes_neither_checkpoint_nor_entries(
    place: Place,
) -> None:
    async with place.checkpoints.store(JOB) as store:
        older, _ = await store.open(Grant(TASK))
        await store.write(older, plain(older, 1, "counts"), {"counts": [(b"a", b"1")]})
        newer, found = await store.open(Grant(TASK))
        assert found == plain(older, 1, "counts")
        with pytest.raises(FencedError):
            await store.write(older, plain(older, 2, "counts"), {"counts": [(b"a", b"2")]})
        assert (await store.read([TASK]))[TASK] == found
        assert await entries(store, newer, "counts", "1") == {b"a": b"1"}


async def test_a_checkpoint_of_another_epoch_than_the_claims_is_refused(place: Place) -> None:
    async with place.checkpoints.store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        with pytest.raises(CheckpointError):
            await store.write(claim, Checkpoint(claim.epoch + 1, 1))
        assert not await store.read()


async def test_a_store_that_did_not_change_keeps_its_marker_and_its_entries(place: Place) -> None:
    async with place.checkpoints.store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        both: Changes = {"counts": [(b"a", b"1")], "names": [(b"n", b"1")]}
        await store.write(claim, plain(claim, 1, "counts", "names"), both)
        mixed = Checkpoint(claim.epoch, 2, stores={"counts": "2", "names": "1"})
        await store.write(claim, mixed, {"counts": [(b"b", b"2")]})
        await store.write(claim, Checkpoint(claim.epoch, 3, stores=mixed.stores))
        assert await entries(store, claim, "counts", "2") == {b"a": b"1", b"b": b"2"}
        assert await entries(store, claim, "names", "1") == {b"n": b"1"}


async def test_more_entries_than_one_batch_come_back(place: Place) -> None:
    many: list[Change] = [(b"%d" % number, b"x" * (number % 50)) for number in range(5000)]
    async with place.checkpoints.store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1, "counts"), {"counts": many})
        await store.write(claim, plain(claim, 2, "counts"), {"counts": [(b"7", None)]})
        want = {key: value for key, value in many if key != b"7"}
        assert await entries(store, claim, "counts", "2") == want


async def test_many_tasks_write_at_once(place: Place) -> None:
    async with place.checkpoints.store(JOB) as store:

        async def work(task: str) -> None:
            claim, _ = await store.open(Grant(task))
            for number in range(1, 6):
                changes: Changes = {"counts": [(task.encode(), b"%d" % number)]}
                await store.write(claim, plain(claim, number, "counts"), changes)
            assert await entries(store, claim, "counts", "5") == {task.encode(): b"5"}

        tasks = [f"price/{number}" for number in range(16)]
        await asyncio.gather(*map(work, tasks))
        found = await store.read()
        assert {task: checkpoint.number for task, checkpoint in found.items()} == dict.fromkeys(
            tasks, 5
        )
        assert set(await store.read(tasks[3:5])) == set(tasks[3:5])


async def test_reading_does_not_fence_the_owner(place: Place) -> None:
    async with place.checkpoints.store(JOB) as store, place.checkpoints.store(JOB) as other:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1))
        assert (await other.read())[TASK].number == 1
        await store.write(claim, plain(claim, 2))
        assert (await other.read([TASK, "price/9"])) == {TASK: plain(claim, 2)}


@pytest.mark.parametrize("data", [b'{"version": 99, "epoch": 1, "number": 1}', b"garbage", b"{}"])
async def test_an_unknown_checkpoint_is_refused_and_never_taken_for_none(
    place: Place, data: bytes
) -> None:
    async with place.checkpoints.store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, Checkpoint(claim.epoch, 1))
    await asyncio.to_thread(place.put, data)
    async with place.checkpoints.store(JOB) as store:
        with pytest.raises(CorruptCheckpointError, match="--ignore-checkpoint"):
            await store.open(Grant(TASK))
        with pytest.raises(CorruptCheckpointError):
            await store.read()


async def test_a_checkpoint_of_today_put_by_hand_is_read(place: Place) -> None:
    async with place.checkpoints.store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, Checkpoint(claim.epoch, 1))
    await asyncio.to_thread(place.put, encode_checkpoint(Checkpoint(9, 4)))
    async with place.checkpoints.store(JOB) as store:
        assert (await store.open(Grant(TASK)))[1] == Checkpoint(9, 4)
