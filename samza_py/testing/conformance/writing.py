"""What ``Producer`` promises about what it takes over: settled, in order, failing by index."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable, Sequence

from samza_py.errors import UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Receipt, Rejected, Requests, Retry, Unknown
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect, within
from samza_py.testing.conformance.harness import ConnectorHarness
from samza_py.testing.conformance.sessions import AMOUNTS, Writing, arrived, cancelled, writing

CHECKS = Checklist("Producer", ConnectorHarness, Capability.WRITES)
"""For every output; one that stages its writes is staged and finished before one looks."""


@CHECKS.check()
async def what_is_settled_has_arrived(harness: ConnectorHarness) -> None:
    """A message without a failure is durable."""
    async with writing(harness) as it:
        await it.put(range(3))
        await it.put(range(3, 6))
        numbers = await it.arrived()
        expect(numbers == list(range(6)), f"0 to 5 were settled, {numbers} arrived")


@CHECKS.check()
async def what_is_settled_outlives_the_producer(harness: ConnectorHarness) -> None:
    """What was settled is there for others after the producer has closed."""
    async with writing(harness) as it:
        await it.put(range(3))
        await it.publish()
    numbers = await arrived(harness)
    expect(numbers == [0, 1, 2], f"0 to 2 were settled, {numbers} is there after closing")


@CHECKS.check()
async def a_lane_keeps_its_order(harness: ConnectorHarness) -> None:
    """The messages of a lane keep their order."""
    async with writing(harness) as it:
        for start in (0, 10, 20):
            await it.put(range(start, start + 10))
        await _expect_order(it, range(30))


@CHECKS.check()
async def writes_ahead_keep_the_order(harness: ConnectorHarness) -> None:
    """Writes ahead, as far as `requests` and `limits` allow, keep a lane's order."""
    async with writing(harness) as it:
        ahead = it.producer.limits.in_flight if it.producer.requests is Requests.ORDERED else 0
        receipts = [
            await it.producer.write([harness.message(2 * i), harness.message(2 * i + 1)])
            for i in range(ahead)
        ]
        async with within(harness.patience_s, f"settling {ahead} writes"):
            for receipt in receipts:
                failures = await receipt
                expect(not failures, f"nothing was wrong, but {dict(failures)} failed")
        await it.put(range(2 * ahead, 2 * ahead + 4))
        await _expect_order(it, range(2 * ahead + 4))


@CHECKS.check()
async def a_lane_is_a_pure_function(harness: ConnectorHarness) -> None:
    """Lane is a pure function of the message."""
    async with writing(harness) as it:
        lanes: list[list[Hashable]] = []
        for _ in range(2):
            lanes.append([it.producer.lane(harness.message(n)) for n in range(6)])
            await it.put(range(6))
        expect(lanes[0] == lanes[1], f"the same messages had the lanes {lanes[0]}, {lanes[1]}")
        hash(tuple(lanes[0]))


@CHECKS.check()
async def a_full_batch_is_taken(harness: ConnectorHarness) -> None:
    """A batch as large as `limits.messages` is taken."""
    async with writing(harness) as it:
        limits = it.producer.limits
        expect(min(limits.messages, limits.bytes, limits.in_flight) >= 1, f"{limits} are below 1")
        count = min(limits.messages, max(1, limits.bytes // (2 * harness.message(9999).size)))
        await it.put(range(count))
        numbers = await it.arrived()
        expect(numbers == list(range(count)), f"a batch of {count}: {len(numbers)} arrived")


@CHECKS.check()
async def a_message_over_the_limit_is_settled(harness: ConnectorHarness) -> None:
    """A message above `limits.bytes` comes alone, and is settled or rejected."""
    async with writing(harness) as it:
        size = it.producer.limits.bytes + 1
        failures = await it.write([harness.message(1, size)])
        kinds = {index: type(failure) for index, failure in failures.items()}
        expect(kinds in ({}, {0: Rejected}), f"a message of {size} bytes: {dict(failures)}")
        numbers, want = await it.arrived(), [] if failures else [1]
        expect(numbers == want, f"a large message: {dict(failures)}, {numbers} arrived")


@CHECKS.check()
async def flushing_sends_what_is_held_back(harness: ConnectorHarness) -> None:
    """Flush sends what is held back."""
    async with writing(harness) as it:
        await it.producer.flush()
        receipt = await it.producer.write([harness.message(0)])
        async with within(harness.patience_s, "flushing and settling one message"):
            await it.producer.flush()
            failures = await receipt
        numbers = await it.arrived()
        expect(not failures and numbers == [0], f"flushed: {dict(failures)}, {numbers} arrived")


@CHECKS.check()
async def a_cancelled_wait_changes_nothing(harness: ConnectorHarness) -> None:
    """Cancelling the wait for a receipt changes nothing about the writing."""
    for amount in AMOUNTS:
        async with writing(harness) as it:
            receipt = await it.producer.write([harness.message(amount)])
            await cancelled(_settled(receipt), harness, amount)
            if Capability.TWO_PHASE in harness.capabilities:
                await asyncio.sleep(harness.quiet_s)  # staging needs it settled
            await it.publish()
            numbers = await _arrived_at_last(harness, amount + 1)
        want = list(range(amount + 1))
        expect(numbers == want, f"{want} were written, waits were cancelled, {numbers} arrived")


async def _settled(receipt: Receipt) -> Failures:
    return await receipt


@CHECKS.check()
async def a_cancelled_write_leaves_the_producer_whole(harness: ConnectorHarness) -> None:
    """A cancelled write may or may not have been accepted; the producer goes on."""
    wanted: list[int] = []
    for amount in AMOUNTS:
        async with writing(harness) as it:
            lost = harness.message(1000 + amount)
            await cancelled(it.producer.write([lost]), harness, amount)
            candidates = range(100 * amount, 100 * amount + 20)
            lanes = {n: it.producer.lane(harness.message(n)) for n in candidates}
            other = [n for n in candidates if lanes[n] != it.producer.lane(lost)]
            wanted.append((other or candidates)[0])  # the lost one still holds its lane
            await it.put(wanted[-1:])
            numbers = await it.arrived()
        numbers = [number for number in numbers if number in wanted]
        expect(numbers == sorted(wanted), f"after cancelled writes {numbers} of {wanted} arrived")


@CHECKS.check(Capability.REJECTS)
async def a_rejected_message_is_named_by_its_index(harness: ConnectorHarness) -> None:
    """Failures are named by index; `requests` says what fails with them."""
    async with writing(harness) as it:
        batch = [harness.message(0), harness.unacceptable(1), harness.message(2)]
        failures = await it.write(batch)
        kinds = {index: type(failure) for index, failure in failures.items()}
        right = kinds == {1: Rejected}
        if it.producer.requests is Requests.WHOLE:  # the others may have failed with it
            right = right or kinds == {0: Retry, 1: Rejected, 2: Retry}
        expect(right, f"message 1 of 0 to 2 is never taken: {dict(failures)}")


@CHECKS.check(Capability.REJECTS)
async def what_failed_is_not_written(harness: ConnectorHarness) -> None:
    """What was rejected, or is to be sent again, was surely not written."""
    async with writing(harness) as it:
        batch = [harness.message(0), harness.unacceptable(1), harness.message(2)]
        failures = await it.write(batch)
        again = [index for index, failure in failures.items() if not isinstance(failure, Rejected)]
        numbers = await it.arrived()
        written = {1, *again} & set(numbers)
        expect(not written, f"{dict(failures)}, but {written} arrived")
        await it.put(again)
        numbers = await it.arrived()
        expect(numbers == [0, 2], f"{again} were sent again, 1 is never taken: {numbers} arrived")


@CHECKS.check(Capability.WRITE_FAULTS)
async def a_write_that_failed_can_be_written_again(harness: ConnectorHarness) -> None:
    """What failed can be written again, and arrives once."""
    async with writing(harness) as it:
        await it.put([0])
        await harness.fail_writing()
        try:
            failures = await it.write([harness.message(1), harness.message(2)])
        except UnavailableError:
            failures = {0: Retry(UnavailableError("")), 1: Retry(UnavailableError(""))}
        kinds = {index: type(failure) for index, failure in failures.items()}
        both = kinds.keys() == {0, 1} and set(kinds.values()) <= {Retry, Unknown}
        expect(both, f"writing failed for now, but the outcome is {dict(failures)}")
        await harness.heal()
        if Unknown not in kinds.values():
            expect(await it.arrived() == [0], f"{dict(failures)}, but {await it.arrived()}")
        await it.put([1, 2])
        numbers = await it.arrived()
        once = numbers == [0, 1, 2] or (Unknown in kinds.values() and set(numbers) == {0, 1, 2})
        expect(once, f"written again after {dict(failures)}, {numbers} arrived")


@CHECKS.check(Capability.KEEPS_TOMBSTONES)
async def nothing_is_written_as_nothing(harness: ConnectorHarness) -> None:
    """A key that is not there stays away, and a tombstone has no value."""
    async with writing(harness) as it:
        no_key, no_value = harness.message(0), harness.message(1)
        no_key.key, no_value.value = None, None
        failures = await it.write([no_key, no_value])
        expect(not failures, f"nothing was wrong, but {dict(failures)} failed")
        await it.publish()
        seen = {(m.key, m.value) for part in (await harness.arrived()).values() for m in part}
        want = {(m.key, m.value) for m in (no_key, no_value)}
        expect(seen == want, f"wrote {want}, {seen} arrived")


@CHECKS.check()
async def a_message_arrives_as_it_was(harness: ConnectorHarness) -> None:
    """A message arrives as it was: key, headers, timestamp as far as they are kept."""
    async with writing(harness) as it:
        await it.put(range(3))
        await it.publish()
        for part in (await harness.arrived()).values():
            for got in part:
                _expect_kept(harness, got, harness.message(harness.number(got.value)))


@CHECKS.check(Capability.CHOOSES_PARTITION)
async def a_chosen_partition_is_kept(harness: ConnectorHarness) -> None:
    """A partition that the sender chose is kept."""
    async with harness.admin() as admin, writing(harness) as it:
        wanted: dict[int, str] = {}
        for number, partition in enumerate(await admin.partitions(harness.target.name)):
            for place in (number, number + 100):
                wanted[place] = partition.id
        messages = [harness.message(number) for number in wanted]
        for message, id_ in zip(messages, wanted.values(), strict=True):
            message.partition = id_
        await it.write(messages)
        await it.publish()
        seen = {
            harness.number(message.value): id_
            for id_, part in (await harness.arrived()).items()
            for message in part
        }
        expect(seen == wanted, f"wanted in {wanted}, arrived in {seen}")


@CHECKS.check(Capability.IDEMPOTENT)
async def a_message_sent_again_is_there_once(harness: ConnectorHarness) -> None:
    """A message that is sent again replaces itself."""
    for _ in range(2):
        async with writing(harness) as it:
            for _ in range(2):
                await it.put(range(4))
            await it.publish()
    numbers = await arrived(harness)
    expect(numbers == [0, 1, 2, 3], f"0 to 3 were sent four times, {numbers} arrived")


async def _expect_order(it: Writing, numbers: Sequence[int]) -> None:
    """Fail unless all of these have arrived, each lane in the order of its numbers."""
    lanes: dict[Hashable, list[int]] = {}
    await it.publish()
    for partition in (await it.harness.arrived()).values():
        for message in partition:
            number = it.harness.number(message.value)
            lanes.setdefault(it.producer.lane(it.harness.message(number)), []).append(number)
    got = sorted(number for lane in lanes.values() for number in lane)
    for lane, in_lane in lanes.items():
        expect(in_lane == sorted(in_lane), f"written in order, lane {lane!r} arrived as {in_lane}")
    expect(got == list(numbers), f"{list(numbers)} were written, {got} arrived")


def _expect_kept(harness: ConnectorHarness, got: Outgoing, sent: Outgoing) -> None:
    can = harness.capabilities
    if Capability.KEEPS_KEYS in can:
        expect(got.key == sent.key, f"the key {sent.key!r} arrived as {got.key!r}")
    if Capability.KEEPS_HEADERS in can:
        same = tuple(got.headers) == tuple(sent.headers)
        expect(same, f"the headers {sent.headers} arrived as {got.headers}")
    if Capability.KEEPS_TIMESTAMPS in can:
        same = got.timestamp_ms == sent.timestamp_ms
        expect(same, f"the timestamp {sent.timestamp_ms} arrived as {got.timestamp_ms}")


async def _arrived_at_last(harness: ConnectorHarness, count: int) -> list[int]:
    """What has arrived once there is enough of it, or once patience is over."""
    numbers: list[int] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(harness.patience_s):
            while len(numbers) < count:
                numbers = await arrived(harness)
                await asyncio.sleep(0)
    return numbers
