"""What ``Admin`` promises: partitions, bounds, starts, order, making and trimming streams."""

from __future__ import annotations

from itertools import pairwise

from samza_py.admin import AtOffset, AtTime, Newest, Oldest
from samza_py.errors import ConnectorError, CorruptCheckpointError, PositionLostError
from samza_py.message import END, Offset, Received
from samza_py.system import AnyStream
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect, expecting
from samza_py.testing.conformance.harness import ConnectorHarness
from samza_py.testing.conformance.sessions import Reading, offset, reading

CHECKS = Checklist("Admin", ConnectorHarness, Capability.READS)

NO_OFFSET = Offset("\\no offset of any system\\")


@CHECKS.check()
async def partitions_are_the_same_for_everyone(harness: ConnectorHarness) -> None:
    """Partitions are the same for everyone who asks, by the logical name."""
    name = harness.source.name
    async with harness.admin() as first, harness.admin() as second:
        one = await first.partitions(name)
        expect(list(one) and one.keys() == (await first.partitions(name)).keys(), "they changed")
        two = await second.partitions(name)
        expect(one.keys() == two.keys(), f"one admin says {set(one)}, another {set(two)}")
        for partition in one:
            named = partition.system == harness.system.name and partition.stream == name
            expect(named, f"{partition} is not a partition of {harness.source}")


@CHECKS.check(Capability.TELLS_MISSING)
async def a_missing_stream_is_an_error(harness: ConnectorHarness) -> None:
    """A stream that does not exist is an error that names it."""
    missing = _missing(harness)
    async with harness.admin() as admin:
        try:
            found = await admin.partitions(missing.name)
        except ConnectorError as error:
            expect(missing.physical in str(error), f"{missing.physical} is not named in: {error}")
        else:
            expect(False, f"{missing} does not exist, but has the partitions {list(found)}")


@CHECKS.check(Capability.GROWS)
async def bounds_are_where_reading_begins(harness: ConnectorHarness) -> None:
    """Reading after the bounds gives the oldest message, and only what comes later."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        oldest, newest = (await it.admin.bounds([it.partitions[0]]))[it.partitions[0]]
        first = await it.first_after(oldest)
        await it.put(0, [3])
        later = await it.first_after(newest)
        expect(first == [0], f"0 to 2 are there, after the oldest bound comes {first}")
        expect(later == [3], f"0 to 2 were there, after the newest bound comes {later}")


@CHECKS.check()
async def oldest_starts_at_the_oldest(harness: ConnectorHarness) -> None:
    """Oldest is the oldest message that is there."""
    async with reading(harness) as it:
        before = await it.admin.start_position(it.partitions[0], Oldest())
        await it.put(0, range(3))
        was_empty = await it.first_after(before)
        after = await it.admin.start_position(it.partitions[0], Oldest())
        was_filled = await it.first_after(after)
        expect(was_empty == [0], f"resolved while it was empty, Oldest leads to {was_empty}")
        expect(was_filled == [0], f"0 to 2 are there, Oldest leads to {was_filled}")


@CHECKS.check(Capability.GROWS)
async def newest_starts_behind_the_newest(harness: ConnectorHarness) -> None:
    """Newest is behind the newest message."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        after = await it.admin.start_position(it.partitions[0], Newest())
        await it.put(0, [3])
        numbers = await it.first_after(after)
        expect(numbers == [3], f"0 to 2 were there, Newest leads to {numbers}")


@CHECKS.check()
async def an_offset_starts_after_it(harness: ConnectorHarness) -> None:
    """AtOffset is just after the offset; other partitions start at oldest."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await it.start(it.key())
        first = (await it.take(it.key(), 1))[0].offset
        here = AtOffset({it.partitions[0].id: first})
        after = await it.first_after(await it.admin.start_position(it.partitions[0], here))
        elsewhere = AtOffset({"another partition": first})
        oldest = await it.first_after(await it.admin.start_position(it.partitions[0], elsewhere))
        expect(after == [1], f"AtOffset behind 0 leads to {after}")
        expect(oldest == [0], f"an AtOffset of another partition leads to {oldest}")


@CHECKS.check(Capability.TRIMS)
async def an_offset_that_is_gone_is_lost(harness: ConnectorHarness) -> None:
    """An AtOffset that is not there is PositionLostError."""
    async with reading(harness) as it:
        messages = await _five(it)
        await it.admin.trim({it.partitions[0]: messages[3].offset})
        start = AtOffset({it.partitions[0].id: messages[0].offset})
        async with expecting(PositionLostError, "an AtOffset far below what was trimmed"):
            await it.admin.start_position(it.partitions[0], start)


@CHECKS.check(Capability.FINDS_TIMES)
async def a_time_starts_at_the_first_message_of_it(harness: ConnectorHarness) -> None:
    """AtTime is the first message of this time or later."""
    async with reading(harness) as it:
        await it.put(0, range(4))
        for number in range(4):
            time = harness.message(number).timestamp_ms
            for asked in (time - 1, time):
                position = await it.admin.start_position(it.partitions[0], AtTime(asked))
                got = await it.first_after(position)
                expect(got == [number], f"the first at {asked} or later is {number}, not {got}")


@CHECKS.check()
async def offsets_compare_as_they_are_read(harness: ConnectorHarness) -> None:
    """Compare is a total order, that of reading."""
    async with reading(harness) as it:
        await it.put(0, range(15))
        await it.start(it.key())
        offsets = [message.offset for message in await it.take(it.key(), 15)]
        for i, first in enumerate(offsets):
            for k, second in enumerate(offsets):
                said, want = it.admin.compare(first, second), (i > k) - (i < k)
                right = (said > 0) - (said < 0) == want
                expect(right, f"compare({first}, {second}) is {said}; read as {i} and {k}")


@CHECKS.check()
async def positions_compare_with_offsets(harness: ConnectorHarness) -> None:
    """Compare takes positions too: the oldest bound is before every message."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await it.start(it.key())
        oldest = offset((await it.admin.bounds(it.partitions[:1]))[it.partitions[0]].oldest)
        for message in await it.take(it.key(), 3):
            at = message.offset
            said, turned = it.admin.compare(oldest, at), it.admin.compare(at, oldest)
            expect(said < 0 < turned, f"{oldest} is before {at}; compared: {said}, {turned}")


@CHECKS.check()
async def an_offset_of_no_system_is_corrupt(harness: ConnectorHarness) -> None:
    """What is no offset of this system is a corrupt checkpoint."""
    async with reading(harness) as it:
        await it.put(0, range(1))
        await it.start(it.key())
        good = (await it.take(it.key(), 1))[0].offset
        for first, second in ((good, NO_OFFSET), (NO_OFFSET, good)):
            async with expecting(CorruptCheckpointError, f"compare({first}, {second})"):
                it.admin.compare(first, second)


@CHECKS.check(Capability.CREATES)
async def creating_makes_what_is_missing(harness: ConnectorHarness) -> None:
    """Create makes what is missing, and says what it made."""
    missing = _missing(harness)
    async with harness.admin() as admin:
        made = list(await admin.create([harness.source.name, missing.name]))
        again = list(await admin.create([harness.source.name, missing.name]))
        expect(made == [missing.name], f"only {missing.name} was missing, create made {made}")
        expect(again == [], f"nothing was missing, create made {again}")
        expect(await admin.partitions(missing.name), "a created stream has no partition")


@CHECKS.check()
async def trimming_leaves_what_is_behind(harness: ConnectorHarness) -> None:
    """Trim forgets up to and including the offset, and nothing behind it."""
    async with reading(harness) as it:
        messages = await _five(it)
        await it.admin.trim({it.partitions[0]: messages[0].offset})
        numbers = await it.first_after(messages[0].offset, 4)
        expect(numbers == [1, 2, 3, 4], f"trimmed up to 0, then {numbers} was read")


@CHECKS.check(Capability.TRIMS)
async def what_is_trimmed_is_gone(harness: ConnectorHarness) -> None:
    """What is trimmed is gone, and the oldest bound is behind it."""
    async with reading(harness) as it:
        messages = await _five(it)
        await it.admin.trim({it.partitions[0]: messages[1].offset})
        bounds = await it.admin.bounds([it.partitions[0]])
        numbers = await it.first_after(bounds[it.partitions[0]].oldest)
        expect(numbers == [2], f"trimmed up to 1, the oldest is {numbers}")


@CHECKS.check(Capability.ENDS)
async def an_ended_partition_is_still_there(harness: ConnectorHarness) -> None:
    """Closed partitions that still hold messages are partitions."""
    async with reading(harness) as it:
        await it.put(0, range(2))
        await harness.end(it.partitions[0].id)
        found = await it.admin.partitions(harness.source.name)
        expect(it.partitions[0] in found, "an ended partition with messages is not listed")


@CHECKS.check(Capability.PARENTS)
async def children_name_their_parents(harness: ConnectorHarness) -> None:
    """A partition that follows others names them as parents."""
    async with reading(harness) as it:
        await it.put(0, range(2))
        parent = it.partitions[0]
        children = [harness.partition(id_) for id_ in await harness.follow(parent.id)]
        found = await it.admin.partitions(harness.source.name)
        expect(parent in found, "a parent that still holds messages is not listed")
        for child in children:
            expect(child in found, f"the child {child} is not listed")
            waits = found[child].parents.get(parent)
            expect(waits is END, f"{child} should wait for END of {parent}, waits for {waits}")


@CHECKS.check(Capability.LINEAGE)
async def lineage_tells_a_stream_made_again(harness: ConnectorHarness) -> None:
    """Lineage changes when a stream is made again, and only then."""

    async def lineages() -> set[str]:
        async with harness.admin() as admin:
            found = await admin.partitions(harness.source.name)
            return {info.lineage for info in found.values()}

    first, second = await lineages(), await lineages()
    await harness.recreate()
    third = await lineages()
    expect(first == second, f"the lineage changed by itself: {first}, {second}")
    expect(not first & third, f"the stream was made again, its lineage is still {third}")


def _missing(harness: ConnectorHarness) -> AnyStream:
    if harness.missing is None:
        raise NotImplementedError("the harness needs a `missing` stream for this check")
    return harness.missing


async def _five(it: Reading) -> list[Received]:
    """Put and read 0 to 4, and check the order that the trims rely on."""
    await it.put(0, range(5))
    await it.start(it.key())
    messages = await it.take(it.key(), 5)
    for before, after in pairwise(messages):
        expect(it.admin.compare(before.offset, after.offset) < 0, "offsets are out of order")
    return messages
