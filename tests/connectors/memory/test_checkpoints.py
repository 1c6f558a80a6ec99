"""What the checkpoint store of the memory system promises."""

from __future__ import annotations

import pytest

from samza_py.checkpoint import (
    Change,
    Checkpoint,
    CheckpointStore,
    Claim,
    Grant,
    InputProgress,
    Run,
    Token,
)
from samza_py.connectors.memory import Memory
from samza_py.errors import CheckpointError, CorruptCheckpointError, FencedError
from samza_py.message import END, Offset, Partition
from samza_py.producer import Promise

TASK = Grant("t/0")


async def entries(store: CheckpointStore, claim: Claim, marker: str) -> dict[bytes, bytes | None]:
    found: list[Change] = []
    async for batch in store.restore(claim, "counts", marker):
        found += batch
    return dict(found)


async def test_a_checkpoint_comes_back_as_it_was_written() -> None:
    checkpoint = Checkpoint(
        1,
        7,
        {
            Partition("memory", "a", "0"): InputProgress(
                Offset("4"), "a#1", (Run(Offset("6"), Offset("8")),)
            ),
            Partition("memory", "a", "1"): InputProgress(END),
        },
        {"files": (Token("t"),)},
        {"counts": "7"},
        {"timers": [1, 2]},
    )
    memory = Memory()
    async with memory.checkpoints().store("shop") as store:
        claim, nothing = await store.open(TASK)
        assert (claim.epoch, claim.job, nothing) == (1, "shop", None)
        await store.write(claim, checkpoint)
    async with memory.checkpoints().store("shop") as store:
        claim, found = await store.open(TASK)
    assert (claim.epoch, found) == (2, checkpoint)


async def test_a_write_of_an_older_claim_is_fenced() -> None:
    memory = Memory()
    async with memory.checkpoints().store("shop") as one, memory.checkpoints().store("shop") as two:
        old, _ = await one.open(TASK)
        new, _ = await two.open(TASK)
        with pytest.raises(FencedError, match="epoch 1 was fenced by epoch 2"):
            await one.write(old, Checkpoint(1, 1), {"counts": [(b"a", b"old")]})
        await two.write(new, Checkpoint(2, 1, stores={"counts": "m"}))
        assert (await one.read())["t/0"].epoch == 2
        assert await entries(two, new, "m") == {}


async def test_jobs_and_tasks_do_not_see_each_other() -> None:
    memory = Memory()
    async with memory.checkpoints().store("shop") as shop, memory.checkpoints().store("bar") as bar:
        claim, _ = await shop.open(TASK)
        await shop.write(claim, Checkpoint(1, 1))
        assert (await bar.open(TASK))[1] is None
        assert (await shop.open(Grant("t/1")))[1] is None
        assert list(await shop.read(["t/0", "t/1"])) == ["t/0"]


async def test_what_was_released_cannot_be_written_and_is_claimed_anew() -> None:
    async with Memory().checkpoints().store("shop") as store:
        claim, _ = await store.open(TASK)
        await store.release(claim)
        await store.release(claim)
        with pytest.raises(CheckpointError, match="released"):
            await store.write(claim, Checkpoint(1, 1))
        again, _ = await store.open(TASK)
        await store.release(claim)
        await store.write(again, Checkpoint(again.epoch, 1))


async def test_a_checkpoint_of_another_epoch_than_its_claim_is_refused() -> None:
    async with Memory().checkpoints().store("shop") as store:
        claim, _ = await store.open(TASK)
        with pytest.raises(CheckpointError, match="epoch 5 under a claim of epoch 1"):
            await store.write(claim, Checkpoint(5))


async def test_a_store_is_restored_as_of_a_marker() -> None:
    async with Memory().checkpoints().store("shop") as store:
        claim, _ = await store.open(TASK)
        for marker, changes in (
            ("1", [(b"a", b"1"), (b"b", b"1")]),
            ("2", [(b"a", b"2")]),
            ("3", [(b"b", None)]),
        ):
            await store.write(claim, Checkpoint(1, stores={"counts": marker}), {"counts": changes})
        assert await entries(store, claim, "1") == {b"a": b"1", b"b": b"1"}
        assert await entries(store, claim, "2") == {b"a": b"2", b"b": b"1"}
        assert await entries(store, claim, "3") == {b"a": b"2", b"b": None}
        assert await entries(store, claim, "") == {}


async def test_a_commit_without_changes_moves_the_marker() -> None:
    async with Memory().checkpoints().store("shop") as store:
        claim, _ = await store.open(TASK)
        await store.write(claim, Checkpoint(1, stores={"counts": "1"}), {"counts": [(b"a", b"1")]})
        await store.write(claim, Checkpoint(1, stores={"counts": "2"}))
        assert await entries(store, claim, "2") == {b"a": b"1"}


async def test_old_commits_are_put_together_and_can_then_not_be_told_apart() -> None:
    async with Memory().checkpoints().store("shop") as store:
        claim, _ = await store.open(TASK)
        for n in range(500):
            change = (b"%d" % (n % 7), None if n % 7 == 3 else b"%d" % n)
            checkpoint = Checkpoint(1, n, stores={"counts": str(n)})
            await store.write(claim, checkpoint, {"counts": [change]})
        live = {k: v for k, v in (await entries(store, claim, "499")).items() if v is not None}
        assert live == {b"%d" % (n % 7): b"%d" % n for n in range(493, 500) if n % 7 != 3}
        with pytest.raises(CheckpointError, match="no commit with marker '3'"):
            await entries(store, claim, "3")


async def test_a_marker_that_was_never_written_is_refused() -> None:
    async with Memory().checkpoints().store("shop") as store:
        claim, _ = await store.open(TASK)
        assert await entries(store, claim, "") == {}
        with pytest.raises(CheckpointError, match="no changelog of store 'counts'"):
            await entries(store, claim, "5")


async def test_a_damaged_checkpoint_says_where_it_stands() -> None:
    memory = Memory()
    async with memory.checkpoints().store("shop") as store:
        claim, _ = await store.open(TASK)
        await store.write(claim, Checkpoint(1, 1))
        memory.broker.jobs["shop"].checkpoints["t/0"] = b"{"
        with pytest.raises(CorruptCheckpointError, match="job shop, task t/0"):
            await store.open(TASK)


def test_the_checkpoints_say_what_they_are() -> None:
    memory = Memory("here", promise=Promise.TRANSACTIONAL)
    checkpoints = memory.checkpoints()
    assert (checkpoints.shared, checkpoints.durable) == (True, False)
    assert checkpoints.transactions_of == "here"
    assert "memory" in checkpoints.location("shop")
    assert checkpoints == memory.checkpoints()
