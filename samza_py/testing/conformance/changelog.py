"""What ``CheckpointStore`` promises about the changes that are written beside a checkpoint."""

from __future__ import annotations

import contextlib

from samza_py.checkpoint import Change, Changes, Checkpoint, CheckpointStore, Claim, Grant
from samza_py.errors import CheckpointError, FencedError
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect, expecting
from samza_py.testing.conformance.checkpoints import OTHER, STORE, TASK, opened, plain
from samza_py.testing.conformance.harness import CheckpointsHarness

CHECKS = Checklist("CheckpointStore", CheckpointsHarness, Capability.CHANGELOG)


async def restored(store: CheckpointStore, claim: Claim, marker: str) -> dict[bytes, bytes]:
    """The entries as of a marker, later changes over earlier ones."""
    entries: dict[bytes, bytes] = {}
    async for batch in store.restore(claim, STORE, marker):
        for key, value in batch:
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = value
    return entries


def changed(*changes: Change) -> Changes:
    """The changes of one store."""
    return {STORE: changes}


@CHECKS.check()
async def changes_come_back_with_their_checkpoint(harness: CheckpointsHarness) -> None:
    """The changes are those of the checkpoint beside them."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1), changed((b"a", b"1"), (b"b", b"1")))
        await store.write(claim, plain(claim, 2), changed((b"b", b"2"), (b"c", b"2")))
        entries = await restored(store, claim, "2")
        want = {b"a": b"1", b"b": b"2", b"c": b"2"}
        expect(entries == want, f"{want} were written up to marker 2, restored {entries}")


@CHECKS.check()
async def deleted_entries_stay_away(harness: CheckpointsHarness) -> None:
    """An entry that was deleted stays away."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1), changed((b"a", b"1"), (b"b", b"")))
        await store.write(claim, plain(claim, 2), changed((b"a", None), (b"z", None)))
        entries = await restored(store, claim, "2")
        expect(entries == {b"b": b""}, f"a is deleted, b is empty text, restored {entries}")


@CHECKS.check(Capability.REOPENS)
async def changes_outlive_their_store(harness: CheckpointsHarness) -> None:
    """The next owner restores what was written."""
    many = {b"key-%d" % n: b"x" * 200 for n in range(500)}
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1), {STORE: list(many.items())})
    async with opened(harness) as store:
        claim, found = await store.open(Grant(TASK))
        marker = found.stores[STORE] if found is not None else ""
        entries = await restored(store, claim, marker)
        expect(entries == many, f"{len(many)} entries were written, {len(entries)} restored")


@CHECKS.check()
async def an_older_claim_changes_nothing(harness: CheckpointsHarness) -> None:
    """An older claim's changes do not take effect either."""
    async with opened(harness) as store:
        older, _ = await store.open(Grant(TASK))
        await store.write(older, plain(older, 1), changed((b"a", b"1")))
        newer, _ = await store.open(Grant(TASK))
        with contextlib.suppress(FencedError):
            await store.write(older, plain(older, 2), changed((b"a", b"older")))
        await store.write(newer, plain(newer, 2), changed((b"b", b"2")))
        entries = await restored(store, newer, "2")
        want = {b"a": b"1", b"b": b"2"}
        expect(entries == want, f"an older claim wrote a, restored {entries}")


@CHECKS.check()
async def a_store_without_a_marker_is_forgotten(harness: CheckpointsHarness) -> None:
    """The entries of a store that a checkpoint has no marker for do not come back."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1), changed((b"a", b"old")))
        await store.write(claim, Checkpoint(claim.epoch, 2))
        await store.write(claim, plain(claim, 3), changed((b"b", b"new")))
        entries = await restored(store, claim, "3")
        want = {b"b": b"new"}
        expect(entries == want, f"a was written before the store was left out, restored {entries}")


@CHECKS.check()
async def tasks_have_their_own_entries(harness: CheckpointsHarness) -> None:
    """A store's changes are its own task's."""
    async with opened(harness) as store:
        one, _ = await store.open(Grant(TASK))
        await store.write(one, plain(one, 1), changed((b"a", b"one")))
        other, _ = await store.open(Grant(OTHER))
        await store.write(other, plain(other, 1), changed((b"b", b"other")))
        mine, others = await restored(store, one, "1"), await restored(store, other, "1")
        kept = mine == {b"a": b"one"} and others == {b"b": b"other"}
        expect(kept, f"two tasks wrote a and b, restored {mine} and {others}")


@CHECKS.check()
async def an_unknown_marker_is_an_error(harness: CheckpointsHarness) -> None:
    """A marker that cannot be restored is CheckpointError."""
    async with opened(harness) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, plain(claim, 1), changed((b"a", b"1")))
        async with expecting(CheckpointError, "restoring a marker that was never written"):
            await restored(store, claim, "no marker")
