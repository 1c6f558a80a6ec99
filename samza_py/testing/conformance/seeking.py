"""What a consumer promises about positions: resuming, seeking, revoking, being cancelled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TypeAlias

from samza_py.consumer import Fetched
from samza_py.message import END, Received, TaskPartition
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect, within
from samza_py.testing.conformance.harness import ConnectorHarness
from samza_py.testing.conformance.sessions import (
    AMOUNTS,
    ONE,
    WIDE,
    Reading,
    good,
    offset,
    reading,
)

Said: TypeAlias = Mapping[TaskPartition, Fetched]

CHECKS = Checklist("Consumer", ConnectorHarness, Capability.READS)


@CHECKS.check()
async def reading_resumes_after_every_message(harness: ConnectorHarness) -> None:
    """Reading resumes just after the position, at every message."""
    async with reading(harness) as it:
        await it.put(0, range(6))
        await it.start(it.key())
        for message in (await it.take(it.key(), 6))[:-1]:
            number = harness.number(message.raw_value)
            after = await it.first_after(message.offset)
            expect(after == [number + 1], f"resumed after {number}, {after} came first")


@CHECKS.check()
async def a_position_outlives_its_consumer(harness: ConnectorHarness) -> None:
    """A position is good for a consumer opened later."""
    async with reading(harness) as first:
        await first.put(0, range(4))
        await first.start(first.key())
        position = (await first.take(first.key(), 2))[-1].offset
    async with reading(harness) as second:
        await second.seek(second.key(), position)
        numbers = second.numbers(await second.read(second.key(), 2))
        expect(numbers == [2, 3], f"0 and 1 were read before, a later consumer read {numbers}")


@CHECKS.check()
async def a_cancelled_poll_has_taken_nothing(harness: ConnectorHarness) -> None:
    """A cancelled poll has taken nothing."""
    async with reading(harness) as it:
        await it.put(0, range(len(AMOUNTS)))
        await it.start(it.key())
        numbers: list[int] = []
        for amount in AMOUNTS:
            numbers += it.numbers(await _cancelled_poll(it, amount))
        numbers += it.numbers(await it.read(it.key(), len(AMOUNTS) - len(numbers), ONE))
        expect(numbers == list(AMOUNTS), f"with polls cancelled in between, {numbers} was read")


@CHECKS.check(Capability.GROWS)
async def a_poll_cancelled_while_waiting_has_taken_nothing(harness: ConnectorHarness) -> None:
    """A poll that is cancelled while messages arrive has taken nothing."""
    async with reading(harness) as it:
        await it.start(it.key())
        numbers: list[int] = []
        for amount in AMOUNTS:
            await it.quiet(it.key())  # from here on, a poll waits
            poll = asyncio.ensure_future(it.consumer.poll({it.key(): ONE}))
            await harness.let_work(3)
            await it.put(0, [amount])
            await harness.let_work(amount)
            numbers += it.numbers(_messages(await _cancel(poll), it.key()))
            if len(numbers) <= amount:
                numbers += it.numbers(await it.take(it.key(), 1))
        expect(numbers == list(AMOUNTS), f"with polls cancelled in between, {numbers} was read")


@CHECKS.check(Capability.GROWS)
async def a_message_wakes_a_waiting_poll(harness: ConnectorHarness) -> None:
    """A poll comes back as soon as there is anything."""
    async with reading(harness) as it:
        await it.start(it.key())
        await it.quiet(it.key())
        async with within(harness.patience_s, "a message put while a poll waited"):
            poll = asyncio.ensure_future(it.consumer.poll({it.key(): ONE}))
            await harness.let_work(3)
            await it.put(0, [7])
            numbers = it.numbers(_messages(await poll, it.key()))
            while not numbers:  # the poll's own bounded wait was over just before
                numbers = it.numbers(await it.take(it.key(), 1))
        expect(numbers == [7], f"put 7, a waiting poll gave {numbers}")


@CHECKS.check()
async def a_seek_forward_skips(harness: ConnectorHarness) -> None:
    """Assigning what is assigned is a seek: forward."""
    async with reading(harness) as it:
        await it.put(0, range(8))
        await it.start(it.key(), it.key(0, "other/0"))
        target = (await it.take(it.key(0, "other/0"), 5))[-1].offset
        await it.take(it.key(), 1)
        await it.seek(it.key(), target)
        numbers = it.numbers(await it.read(it.key(), 3))
        expect(numbers == [5, 6, 7], f"sought behind 4, read {numbers}")


@CHECKS.check()
async def a_seek_back_reads_again(harness: ConnectorHarness) -> None:
    """Assigning what is assigned is a seek: back."""
    async with reading(harness) as it:
        await it.put(0, range(6))
        await it.start(it.key())
        messages = await it.take(it.key(), 5)
        await it.seek(it.key(), messages[1].offset)
        numbers = it.numbers(await it.read(it.key(), 4))
        expect(numbers == [2, 3, 4, 5], f"sought back behind 1, read {numbers}")


@CHECKS.check(Capability.GROWS)
async def a_seek_during_a_poll_drops_the_older_read(harness: ConnectorHarness) -> None:
    """Whatever an older read still brings after a seek is dropped."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await it.start(it.key())
        first, second, _ = await it.take(it.key(), 3)
        for amount in AMOUNTS[2:]:
            await it.quiet(it.key())
            poll = asyncio.ensure_future(it.consumer.poll({it.key(): ONE}))
            await harness.let_work(amount)
            sought_in_time = not poll.done()
            await it.seek(it.key(), first.offset)
            async with within(harness.patience_s, "a poll during which there was a seek"):
                said = await poll
            numbers: list[int] = []
            if sought_in_time and it.key() in said:
                numbers = it.numbers(_messages(said, it.key()))
                position = offset(said[it.key()].position)
                stale = not numbers and it.admin.compare(position, second.offset) >= 0
                expect(not stale, f"sought behind {first.offset}, a poll said {position}")
            numbers += it.numbers(await it.read(it.key(), 2 - len(numbers), ONE))
            expect(numbers == [1, 2], f"sought behind 0 while a poll waited, read {numbers}")


@CHECKS.check(Capability.PARTITIONS)
async def a_seek_leaves_other_partitions_alone(harness: ConnectorHarness) -> None:
    """A seek leaves other partitions alone."""
    async with reading(harness) as it:
        for index in (0, 1):
            await it.put(index, range(4))
        await it.start(it.key(0), it.key(1))
        first = (await it.take(it.key(0), 2))[0].offset
        await it.take(it.key(1), 2)
        await it.seek(it.key(0), first)
        numbers = it.numbers(await it.read(it.key(1), 2))
        expect(numbers == [2, 3], f"0 and 1 were read, another partition sought, then {numbers}")


@CHECKS.check(Capability.ENDS)
async def the_position_end_gives_one_finished_fetch(harness: ConnectorHarness) -> None:
    """A position of END gives one fetch that is finished."""
    async with reading(harness) as it:
        await it.put(0, range(2))
        await harness.end(it.partitions[0].id)
        await it.seek(it.key(), END)
        fetched = good(await it.fetch(it.key()))
        expect(fetched.finished, "assigned at END, the fetch is not finished")
        expect(fetched.position is END, f"assigned at END, the position is {fetched.position}")
        expect(not fetched.messages, "assigned at END, messages came")


@CHECKS.check()
async def two_tasks_read_one_partition_apart(harness: ConnectorHarness) -> None:
    """Two tasks that read the same partition have two positions in it."""
    async with reading(harness) as it:
        left, right = it.key(0, "left/0"), it.key(0, "right/0")
        await it.put(0, range(4))
        await it.start(left, right)
        mine = it.numbers(await it.take(left, 2))
        others = it.numbers(await it.take(right, 3))
        mine += it.numbers(await it.read(left, 2))
        expect(others == [0, 1, 2], f"the second task read {others}, not 0 to 2")
        expect(mine == [0, 1, 2, 3], f"the first task read {mine}, not 0 to 3")


@CHECKS.check()
async def a_revoked_partition_starts_where_it_is_assigned(harness: ConnectorHarness) -> None:
    """Revoke forgets what was read ahead."""
    async with reading(harness) as it:
        await it.put(0, range(6))
        await it.start(it.key())
        messages = await it.take(it.key(), 4)
        await it.consumer.revoke([it.key()])
        await it.seek(it.key(), messages[1].offset)
        numbers = it.numbers(await it.read(it.key(), 4))
        expect(numbers == [2, 3, 4, 5], f"revoked, then assigned behind 1: read {numbers}")


@CHECKS.check(Capability.PARTITIONS, Capability.GROWS)
async def a_partition_revoked_during_a_poll_does_not_come(harness: ConnectorHarness) -> None:
    """Revoke stops reading, also for a poll that waits."""
    async with reading(harness) as it:
        gone, kept = it.key(0), it.key(1)
        await it.start(gone, kept)
        await it.quiet(gone, kept)
        poll = asyncio.ensure_future(it.consumer.poll({gone: WIDE, kept: WIDE}))
        await harness.let_work(5)
        waited = not poll.done()
        await it.consumer.revoke([gone])
        await it.put(0, [0])
        await it.put(1, [1])
        async with within(harness.patience_s, "a poll of two partitions, one of them revoked"):
            said = await poll
        expect(not waited or gone not in said, "revoked while a poll waited, it still came")
        numbers = it.numbers(_messages(said, kept))
        numbers += it.numbers(await it.read(kept, 1 - len(numbers)))
        expect(numbers == [1], f"beside a revoked partition, {numbers} was read")


@CHECKS.check()
async def an_unknown_partition_may_be_revoked(harness: ConnectorHarness) -> None:
    """Revoke passes unknown partitions over."""
    async with reading(harness) as it:
        await it.put(0, range(2))
        await it.start(it.key())
        await it.consumer.revoke([it.key(0, "stranger/0")])
        await it.consumer.revoke([])
        numbers = it.numbers(await it.read(it.key(), 2))
        expect(numbers == [0, 1], f"a stranger was revoked, then {numbers} read")


@CHECKS.check()
async def a_checkpoint_changes_nothing_about_reading(harness: ConnectorHarness) -> None:
    """On_checkpoint changes nothing about what is read."""
    async with reading(harness) as it:
        await it.put(0, range(4))
        await it.start(it.key())
        messages = await it.take(it.key(), 3)
        await it.consumer.on_checkpoint({it.key(): messages[1].offset})
        number = it.numbers(await it.take(it.key(), 1))[0]
        expect(number == 3, f"0 to 2 were read, a checkpoint written, then {number} came")


@CHECKS.check(Capability.TRIMS)
async def a_lost_position_is_said(harness: ConnectorHarness) -> None:
    """A position that is no longer there is an error, never a skip."""
    async with reading(harness) as it:
        await it.put(0, range(6))
        await it.start(it.key())
        messages = await it.take(it.key(), 5)
        await it.admin.trim({it.partitions[0]: messages[3].offset})
        late = it.key(0, "late/0")
        await it.seek(late, messages[0].offset)
        fetched = await it.fetch(late)
        seen = it.numbers(fetched.messages)
        expect(fetched.error is not None, f"0 to 3 are gone; reading after 0 gave {seen}")


@CHECKS.check()
async def closing_ends_every_child(harness: ConnectorHarness) -> None:
    """What was made is closed, children included; it may be closed unopened."""
    before = asyncio.all_tasks()
    await harness.consumer().aclose()
    await harness.admin().aclose()
    async with reading(harness) as it:
        await it.start(it.key())
        poll = asyncio.ensure_future(it.consumer.poll({it.key(): ONE}))
        await harness.let_work(5)
        await _cancel(poll)
    await asyncio.sleep(0)  # a child cancelled last ends in this turn
    left = asyncio.all_tasks() - before
    for child in left:
        child.cancel()
    expect(not left, f"after closing, children run on: {[child.get_coro() for child in left]}")


async def _cancelled_poll(it: Reading, amount: int) -> list[Received]:
    poll = asyncio.ensure_future(it.consumer.poll({it.key(): ONE}))
    await it.harness.let_work(amount)
    return _messages(await _cancel(poll), it.key())


async def _cancel(poll: asyncio.Future[Said]) -> Said:
    """Cancel a poll; what it gave where it was faster than that."""
    poll.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await poll
    return {}


def _messages(said: Said, key: TaskPartition) -> list[Received]:
    return list(good(said[key]).messages) if key in said else []
