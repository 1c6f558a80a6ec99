"""What ``CheckpointStore`` promises: claims that grow and fence, and writes that are one step."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from samza_py.checkpoint import (
    Checkpoint,
    CheckpointStore,
    Claim,
    Grant,
    InputProgress,
    Run,
    Token,
)
from samza_py.errors import (
    CheckpointError,
    CorruptCheckpointError,
    FencedError,
    UnavailableError,
)
from samza_py.message import END, Offset, Partition
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect, expecting, within
from samza_py.testing.conformance.harness import CheckpointsHarness

CHECKS = Checklist("CheckpointStore", CheckpointsHarness)

JOB, TASK, OTHER = "conformance", "price/0", "price/1"
STORE = "counts"


@contextlib.asynccontextmanager
async def opened(harness: CheckpointsHarness, job: str = JOB) -> AsyncGenerator[CheckpointStore]:
    """Open a store for a job, as a container does."""
    async with within(harness.patience_s, "a check"), harness.checkpoints.store(job) as store:
        yield store


def full(claim: Claim, number: int = 1) -> Checkpoint:
    """A checkpoint with something in every field."""
    orders, shard = Partition("memory", "orders", "3"), Partition("kinesis", "clicks", "shard-0")
    runs = (Run(Offset("7"), Offset("9")), Run(Offset("11"), Offset("11")))
    return Checkpoint(
        claim.epoch,
        number,
        {orders: InputProgress(Offset("5"), "lineage-1", runs), shard: InputProgress(END)},
        {"files.out": (Token('{"staged": "a/b"}'), Token("ü"))},
        {STORE: str(number)},
        {"timers": {"daily": 1_700_000_000_000}, "straight": [["3", 8]], "none": None},
    )


def plain(claim: Claim, number: int) -> Checkpoint:
    """A checkpoint told apart by its number, with the marker of its changes."""
    return Checkpoint(claim.epoch, number, stores={STORE: str(number)})


@CHECKS.check()
async def a_new_task_has_no_checkpoint(harness: CheckpointsHarness) -> None:
    """Open gives None where there has never been a checkpoint."""
    async with opened(harness) as store:
        claim, found = await store.open(Grant(TASK))
        expect(found is None, f"a task that never ran has the checkpoint {found}")
        expect(claim.task == TASK, f"claimed {TASK}, got a claim of {claim.task}")


@CHECKS.check()
async def a_checkpoint_comes_back_as_it_was(harness: CheckpointsHarness) -> None:
    """A checkpoint is read back as it was written, every field of it."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        wrote = full(claim)
        await store.write(claim, wrote)
        read = (await store.read([TASK]))[TASK]
        await store.release(claim)
        _, found = await store.open(Grant(TASK))
        expect(read == wrote, f"wrote {wrote}, read {read}")
        expect(found == wrote, f"wrote {wrote}, the next owner found {found}")


@CHECKS.check(Capability.REOPENS)
async def a_checkpoint_outlives_its_store(harness: CheckpointsHarness) -> None:
    """A write is durable on return."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        for number in (1, 2):
            await store.write(claim, plain(claim, number))
    async with opened(harness) as store:
        _, found = await store.open(Grant(TASK))
        last = None if found is None else found.number
        expect(last == 2, f"wrote 1 and 2, a new store found {last}")


@CHECKS.check()
async def the_newest_checkpoint_counts(harness: CheckpointsHarness) -> None:
    """The newest checkpoint is the one that counts."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        for number in range(1, 12):
            await store.write(claim, plain(claim, number))
        read = (await store.read([TASK]))[TASK]
        expect(read.number == 11, f"wrote 1 to 11, read {read.number}")


@CHECKS.check()
async def epochs_only_grow(harness: CheckpointsHarness) -> None:
    """The epoch is above all earlier ones, also after a release."""
    epochs: list[int] = []
    async with opened(harness) as store:
        for number in range(1, 5):
            claim, _ = await store.open(Grant(TASK))
            epochs.append(claim.epoch)
            await store.write(claim, plain(claim, number))
            if number % 2:
                await store.release(claim)
    expect(epochs == sorted(set(epochs)), f"the epochs of one task were {epochs}")


@CHECKS.check(Capability.REOPENS)
async def epochs_grow_over_restarts(harness: CheckpointsHarness) -> None:
    """Epochs grow over all stores that are opened."""
    epochs: list[int] = []
    for _ in range(4):
        async with opened(harness) as store:
            claim, _ = await store.open(Grant(TASK))
            epochs.append(claim.epoch)
    expect(epochs == sorted(set(epochs)), f"over four restarts the epochs were {epochs}")


@CHECKS.check()
async def an_older_claim_writes_nothing(harness: CheckpointsHarness) -> None:
    """No write of an older claim takes effect once a newer one is open."""
    async with opened(harness) as store:
        older, _ = await store.open(Grant(TASK))
        await store.write(older, plain(older, 1))
        newer, _ = await store.open(Grant(TASK))
        with contextlib.suppress(FencedError):  # a store that only appends may find out later
            await store.write(older, plain(older, 2))
        _, found = await store.open(Grant(TASK))
        number = None if found is None else found.number
        expect(number == 1, f"2 was written by an older claim than {newer}, {number} is there")


@CHECKS.check(Capability.FENCES)
async def an_older_claim_is_told(harness: CheckpointsHarness) -> None:
    """Write raises FencedError where a newer claim exists."""
    async with opened(harness) as here, opened(harness) as there:
        older, _ = await here.open(Grant(TASK))
        await here.write(older, plain(older, 1))
        newer, _ = await there.open(Grant(TASK))
        async with expecting(FencedError, "a write by an older claim"):
            await here.write(older, plain(older, 5))
        await there.write(newer, plain(newer, 6))
        number = (await there.read([TASK]))[TASK].number
        expect(number == 6, f"the newer owner wrote 6, {number} is there")


@CHECKS.check()
async def tasks_do_not_fence_each_other(harness: CheckpointsHarness) -> None:
    """The claims of one task do not touch another's."""
    async with opened(harness) as store:
        one, _ = await store.open(Grant(TASK))
        for _ in range(3):
            await store.open(Grant(OTHER))
        await store.write(one, plain(one, 1))
        read = await store.read([TASK, OTHER])
        expect(set(read) == {TASK}, f"{TASK} wrote beside the claims of {OTHER}, read {read}")


@CHECKS.check()
async def jobs_are_kept_apart(harness: CheckpointsHarness) -> None:
    """A store is that of one job; another's is refused, or not seen."""
    async with opened(harness, "first") as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1))
    found: Checkpoint | None = None
    with contextlib.suppress(CheckpointError):
        async with opened(harness, "second") as store:
            _, found = await store.open(Grant(TASK))
    theirs = found is not None and found.number == 1
    expect(not theirs, f"another job's checkpoint was found: {found}")


@CHECKS.check()
async def reading_claims_nothing(harness: CheckpointsHarness) -> None:
    """Read claims nothing, and gives the tasks that have a checkpoint."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1))
        everything, nothing = await store.read(), await store.read([OTHER])
        await store.write(claim, plain(claim, 2))
        expect(set(everything) == {TASK}, f"only {TASK} has a checkpoint, read {everything}")
        expect(not nothing, f"{OTHER} has no checkpoint, read {nothing}")


@CHECKS.check(Capability.REOPENS)
async def reading_sees_what_others_wrote(harness: CheckpointsHarness) -> None:
    """Read sees what other stores have written."""
    async with opened(harness) as store:
        for task in (TASK, OTHER):
            claim, _ = await store.open(Grant(task))
            await store.write(claim, plain(claim, 4))
    async with opened(harness) as store:
        read = await store.read()
        numbers = {task: checkpoint.number for task, checkpoint in read.items()}
        expect(numbers == {TASK: 4, OTHER: 4}, f"both tasks wrote 4, read {numbers}")


@CHECKS.check(Capability.LOSES_ANSWERS)
async def a_read_decides_a_write_of_unknown_outcome(harness: CheckpointsHarness) -> None:
    """Once read has answered, a write of unknown outcome takes effect no more."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 4))
        await harness.lose_answer()
        async with expecting(UnavailableError, "a write whose answer is lost"):
            await store.write(claim, plain(claim, 5))
        told = (await store.read([TASK]))[TASK].number
        await asyncio.sleep(harness.quiet_s)
        later = (await store.read([TASK]))[TASK].number
        expect(told == later, f"after a write without an answer read told {told}, and then {later}")


@CHECKS.check()
async def a_task_may_be_released_twice(harness: CheckpointsHarness) -> None:
    """Release is idempotent, and a successor may open."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1))
        for _ in range(2):
            await store.release(claim)
        later, found = await store.open(Grant(TASK))
        await store.release(claim)  # too late to matter
        await store.write(later, plain(later, 2))
        expect(found == plain(claim, 1), f"released with 1, the successor found {found}")


@CHECKS.check(Capability.DAMAGE)
async def damage_is_said(harness: CheckpointsHarness) -> None:
    """Damage is CorruptCheckpointError, never an empty start."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        for number in (1, 2, 3):
            await store.write(claim, full(claim, number))
    await harness.damage(JOB)
    spoilt = expecting(CorruptCheckpointError, "opening a damaged checkpoint")
    async with spoilt, opened(harness) as store:
        await store.open(Grant(TASK))
