"""What ``Transaction`` promises: all of it or nothing, and nothing for an older owner."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from samza_py.checkpoint import Checkpoint, CheckpointStore, Claim, Grant
from samza_py.errors import ConnectorError, FencedError
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect
from samza_py.testing.conformance.harness import ConnectorHarness
from samza_py.testing.conformance.sessions import Writing, arrived
from samza_py.transaction import Transaction

CHECKS = Checklist("Transaction", ConnectorHarness, Capability.WRITES, Capability.TRANSACTIONAL)

TASK = "writer/0"
JOB = "transactions"


class Owner(Writing):
    """One owner of the task: its claim, its store, its transaction and its producer."""

    def __init__(
        self,
        harness: ConnectorHarness,
        claim: Claim,
        store: CheckpointStore,
        transaction: Transaction,
    ) -> None:
        super().__init__(harness, harness.producer(claim))
        self.claim = claim
        self.store = store
        self.transaction = transaction

    async def put_inside(self, numbers: range) -> None:
        """Write messages of these numbers within the open transaction."""
        await self.put(numbers, self.transaction)

    async def checkpoint(self, number: int) -> None:
        """Write a checkpoint of this number within the open transaction."""
        checkpoint = Checkpoint(self.claim.epoch, number)
        await self.store.write(self.claim, checkpoint, None, self.transaction)

    async def number(self) -> int | None:
        """The number of the checkpoint that is there now."""
        found = (await self.store.read([TASK])).get(TASK)
        return None if found is None else found.number


@contextlib.asynccontextmanager
async def owning(harness: ConnectorHarness) -> AsyncGenerator[Owner]:
    """Become the owner of the task, as the runtime does it."""
    async with contextlib.AsyncExitStack() as stack:
        store = await stack.enter_async_context(harness.checkpoint_store(JOB))
        claim, _ = await store.open(Grant(TASK))
        transaction = await stack.enter_async_context(harness.transaction(claim))
        owner = Owner(harness, claim, store, transaction)
        await stack.enter_async_context(owner.producer)
        yield owner


@CHECKS.check()
async def nothing_is_seen_before_the_commit(harness: ConnectorHarness) -> None:
    """What is written within it is invisible before its commit."""
    async with owning(harness) as it:
        await it.transaction.begin()
        await it.put_inside(range(3))
        numbers = await arrived(harness)
        await it.transaction.abort()
        expect(not numbers, f"not committed, but {numbers} can be seen")


@CHECKS.check()
async def all_is_seen_after_the_commit(harness: ConnectorHarness) -> None:
    """Commit makes all that was written within it visible."""
    async with owning(harness) as it:
        for start in (0, 3):
            await it.transaction.begin()
            await it.put_inside(range(start, start + 2))
            await it.put_inside(range(start + 2, start + 3))
            await it.transaction.commit()
        numbers = await arrived(harness)
        expect(numbers == list(range(6)), f"0 to 5 were committed, {numbers} can be seen")


@CHECKS.check()
async def nothing_is_seen_after_an_abort(harness: ConnectorHarness) -> None:
    """Abort undoes all that was written within it."""
    async with owning(harness) as it:
        await it.transaction.begin()
        await it.put_inside(range(3))
        await it.transaction.abort()
        await it.transaction.begin()
        await it.put_inside(range(5, 7))
        await it.transaction.commit()
        numbers = await arrived(harness)
        expect(numbers == [5, 6], f"0 to 2 were aborted, 5 and 6 committed: {numbers} is seen")


@CHECKS.check()
async def an_abort_without_a_transaction_is_safe(harness: ConnectorHarness) -> None:
    """Abort is safe when none is open."""
    async with owning(harness) as it:
        await it.transaction.abort()
        await it.transaction.begin()
        await it.put_inside(range(1))
        await it.transaction.commit()
        await it.transaction.abort()
        numbers = await arrived(harness)
        expect(numbers == [0], f"0 was committed between two aborts, {numbers} can be seen")


@CHECKS.check()
async def a_checkpoint_takes_effect_with_the_commit(harness: ConnectorHarness) -> None:
    """A checkpoint written within it takes effect with its commit, and not before."""
    async with owning(harness) as it:
        await it.transaction.begin()
        await it.put_inside(range(1))
        await it.checkpoint(1)
        before = await it.number()
        await it.transaction.commit()
        after = await it.number()
        expect(before is None, f"checkpoint {before} is there before the commit")
        expect(after == 1, f"checkpoint 1 was committed, {after} is there")


@CHECKS.check()
async def a_checkpoint_goes_with_the_abort(harness: ConnectorHarness) -> None:
    """A checkpoint within an aborted one has no effect."""
    async with owning(harness) as it:
        await it.transaction.begin()
        await it.checkpoint(1)
        await it.transaction.abort()
        number = await it.number()
        expect(number is None, f"checkpoint {number} was aborted, but is there")


@CHECKS.check()
async def an_older_owner_cannot_commit(harness: ConnectorHarness) -> None:
    """A claim that another follows can commit nothing any more."""
    async with owning(harness) as older:
        await older.transaction.begin()
        await older.put_inside(range(2))
        await older.checkpoint(1)
        async with owning(harness) as newer:
            fenced = await _is_fenced(older)
            numbers, number = await arrived(harness), await newer.number()
        expect(not numbers, f"an older owner committed {numbers}")
        expect(number is None, f"an older owner committed the checkpoint {number}")
        expect(fenced, "an older owner's commit returned as if it had taken effect")


@CHECKS.check()
async def a_newer_owner_goes_on(harness: ConnectorHarness) -> None:
    """Opening ends what an older claim left open, and goes on from there."""
    async with owning(harness) as older:
        await older.transaction.begin()
        await older.put_inside(range(2))
        async with owning(harness) as newer:
            await newer.transaction.begin()
            await newer.put_inside(range(7, 8))  # of the same key as 0, so in its partition
            await newer.checkpoint(2)
            await newer.transaction.commit()
            numbers, number = await arrived(harness), await newer.number()
            expect(numbers == [7], f"0 and 1 were left open, 7 committed: {numbers} is seen")
            expect(number == 2, f"checkpoint 2 was committed, {number} is there")


@CHECKS.check()
async def an_older_owner_cannot_begin(harness: ConnectorHarness) -> None:
    """Begin raises FencedError where a newer claim exists."""
    async with owning(harness) as older, owning(harness):
        try:
            await older.transaction.begin()
        except FencedError:
            return
        except ConnectorError as error:
            expect(False, f"begin of an older owner raised {error!r}, not FencedError")
        # A system may find out as late as at the commit, but then it must.
        expect(await _is_fenced(older), "an older owner began and committed a transaction")


async def _is_fenced(owner: Owner) -> bool:
    try:
        await owner.transaction.commit()
    except FencedError:
        return True
    return False
