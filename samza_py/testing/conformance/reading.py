"""What ``Consumer.poll`` promises about the messages it gives."""

from __future__ import annotations

from samza_py.consumer import Room
from samza_py.message import END, Position, Undecodable
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect
from samza_py.testing.conformance.harness import ConnectorHarness
from samza_py.testing.conformance.sessions import WIDE, reading

MANY = 50
"""More than most clients fetch in one go, so that the seam between two fetches is crossed."""

CHECKS = Checklist("Consumer.poll", ConnectorHarness, Capability.READS)


@CHECKS.check()
async def messages_come_in_order(harness: ConnectorHarness) -> None:
    """Messages are in offset order."""
    async with reading(harness) as it:
        await it.put(0, range(MANY))
        await it.start(it.key())
        numbers = it.numbers(await it.read(it.key(), MANY // 2, Room(MANY, 64 << 20)))
        expect(numbers == sorted(numbers), f"put in order, read as {numbers}")


@CHECKS.check()
async def no_message_is_left_out_or_comes_twice(harness: ConnectorHarness) -> None:
    """Messages are without gaps, and each comes once."""
    async with reading(harness) as it:
        await it.put(0, range(MANY))
        await it.start(it.key())
        numbers = sorted(it.numbers(await it.read(it.key(), MANY, Room(MANY, 64 << 20))))
        expect(numbers == list(range(MANY)), f"put 0 to {MANY - 1}, read {numbers}")
        more = [key for said in await it.quiet(it.key()) for key in said if said[key].messages]
        expect(not more, "messages came after all had come")


@CHECKS.check()
async def a_message_names_its_partition(harness: ConnectorHarness) -> None:
    """A message carries its partition, by the stream's logical name."""
    async with reading(harness) as it:
        await it.put(0, range(2))
        await it.start(it.key())
        for message in await it.read(it.key(), 2):
            want = it.partitions[0]
            expect(message.partition == want, f"read from {want}, says {message.partition}")


@CHECKS.check(Capability.KEEPS_KEYS)
async def keys_are_read_as_they_are(harness: ConnectorHarness) -> None:
    """A message carries its key's bytes."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await it.start(it.key())
        for number, message in enumerate(await it.read(it.key(), 3)):
            want = harness.message(number).key
            expect(message.raw_key == want, f"key {want!r} was read as {message.raw_key!r}")


@CHECKS.check(Capability.KEEPS_HEADERS)
async def headers_are_read_as_they_are(harness: ConnectorHarness) -> None:
    """Headers are names and bytes, in order."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await it.start(it.key())
        for number, message in enumerate(await it.read(it.key(), 3)):
            want, got = tuple(harness.message(number).headers), tuple(message.headers)
            expect(got == want, f"headers {want} were read as {got}")


@CHECKS.check(Capability.KEEPS_TIMESTAMPS)
async def timestamps_are_read_as_they_are(harness: ConnectorHarness) -> None:
    """Event time is in milliseconds since 1970."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await it.start(it.key())
        for number, message in enumerate(await it.read(it.key(), 3)):
            want = harness.message(number).timestamp_ms
            expect(message.timestamp_ms == want, f"{want} was read as {message.timestamp_ms}")


@CHECKS.check(Capability.KEEPS_TOMBSTONES)
async def tombstones_are_read_as_none(harness: ConnectorHarness) -> None:
    """A tombstone's value is None."""
    async with reading(harness) as it:
        tombstone = harness.message(0)
        tombstone.value = None
        await harness.put(it.partitions[0].id, [tombstone])
        await it.start(it.key())
        message = (await it.read(it.key(), 1))[0]
        expect(message.raw_value is None, f"a tombstone was read as {message.raw_value!r}")


@CHECKS.check(Capability.PARTITIONS)
async def a_partition_left_out_stays_unread(harness: ConnectorHarness) -> None:
    """A partition left out has no room and stays unread."""
    async with reading(harness) as it:
        await it.put(1, range(3))
        await it.start(it.key(0), it.key(1))
        for said in await it.quiet(it.key(0)):
            expect(it.key(1) not in said, f"{it.key(1)} was not wanted, but came")
        numbers = it.numbers(await it.read(it.key(1), 3))
        expect(numbers == [0, 1, 2], f"what was left out before is now read as {numbers}")


@CHECKS.check()
async def room_in_messages_is_kept(harness: ConnectorHarness) -> None:
    """Never more messages than there is room for."""
    async with reading(harness) as it:
        await it.put(0, range(10))
        await it.start(it.key())
        read = 0
        while read < 10:
            got = len((await it.fetch(it.key(), Room(3, 64 << 20))).messages)
            expect(got <= 3, f"there was room for 3 messages, {got} came")
            read += got


@CHECKS.check()
async def room_in_bytes_is_passed_by_one_message(harness: ConnectorHarness) -> None:
    """A consumer stops behind the message that passes the room in bytes."""
    async with reading(harness) as it:
        await it.put(0, range(10), 10_000)
        await it.start(it.key())
        read = 0
        while read < 10:
            got = len((await it.fetch(it.key(), Room(1000, 35_000))).messages)
            expect(got <= 4, f"there was room for 35 kB, {got} messages of 10 kB came")
            read += got


@CHECKS.check()
async def a_message_larger_than_the_room_gets_through(harness: ConnectorHarness) -> None:
    """A single message larger than the room still gets through."""
    async with reading(harness) as it:
        await it.put(0, range(2), 10_000)
        await it.start(it.key())
        numbers = it.numbers(await it.read(it.key(), 2, Room(5, 1)))
        expect(numbers == [0, 1], f"two large messages were read as {numbers}")


@CHECKS.check()
async def the_position_covers_what_was_returned(harness: ConnectorHarness) -> None:
    """The position covers the last message and nothing that was not returned."""
    async with reading(harness) as it:
        await it.put(0, range(6))
        await it.start(it.key())
        positions: list[tuple[Position, int]] = []
        read = 0
        while read < 6:
            fetched = await it.fetch(it.key(), Room(3, 64 << 20))
            if fetched.messages:
                read += len(fetched.messages)
                positions.append((fetched.position, read))
        for position, count in positions:
            if count < 6:
                number = (await it.first_after(position))[0]
                expect(number == count, f"behind a fetch up to {count - 1} comes {number}")


@CHECKS.check()
async def at_head_is_said_at_the_head(harness: ConnectorHarness) -> None:
    """At_head: nothing more was there at the time of the poll."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await it.start(it.key())
        read, head = 0, False
        while read < 3:
            fetched = await it.fetch(it.key(), Room(1, 64 << 20))
            read, head = read + len(fetched.messages), fetched.at_head
            expect(read == 3 or not head, f"at_head after {read} of 3 messages")
        while not head:
            head = (await it.fetch(it.key())).at_head


@CHECKS.check(Capability.TELLS_REMAINING)
async def remaining_counts_down_to_nothing(harness: ConnectorHarness) -> None:
    """Remaining is how much is left behind the position."""
    async with reading(harness) as it:
        await it.put(0, range(4))
        await it.start(it.key())
        read, counted = 0, it.consumer.remaining_unit == "messages"
        while read < 4:
            fetched = await it.fetch(it.key(), Room(1, 64 << 20))
            read += len(fetched.messages)
            left = fetched.remaining
            if left is not None:
                right = left == 4 - read if counted else (left > 0) == (read < 4)
                expect(right, f"after {read} of 4 messages, remaining is {left}")


@CHECKS.check(Capability.GROWS)
async def a_poll_waits_for_messages(harness: ConnectorHarness) -> None:
    """A poll waits where nothing is there."""
    async with reading(harness) as it:
        await it.start(it.key())
        await it.quiet(it.key())  # the first says that the head is reached
        polls = len(await it.quiet(it.key()))
        most = max(5, round(harness.quiet_s / 0.005))
        expect(polls <= most, f"{polls} polls returned in {harness.quiet_s} s with nothing there")


@CHECKS.check(Capability.ENDS)
async def the_end_comes_with_the_position_end(harness: ConnectorHarness) -> None:
    """A finished partition's position is END, after all its messages."""
    async with reading(harness) as it:
        await it.put(0, range(3))
        await harness.end(it.partitions[0].id)
        await it.start(it.key())
        for fetched in await it.read_to_end(it.key(), Room(2, 64 << 20)):
            ends = fetched.position is END
            expect(ends == fetched.finished, f"{fetched.finished=} at {fetched.position}")


@CHECKS.check(Capability.ENDS)
async def the_end_comes_after_all_messages(harness: ConnectorHarness) -> None:
    """A partition finishes only when all of it was read."""
    async with reading(harness) as it:
        await it.put(0, range(5))
        await harness.end(it.partitions[0].id)
        await it.start(it.key())
        fetches = await it.read_to_end(it.key(), Room(2, 64 << 20))
        numbers = it.numbers(m for fetched in fetches for m in fetched.messages)
        expect(numbers == list(range(5)), f"0 to 4 were there, finished after {numbers}")


@CHECKS.check(Capability.UNDECODABLE)
async def the_undecodable_stands_in_its_place(harness: ConnectorHarness) -> None:
    """What cannot be decoded stands in its place."""
    async with reading(harness) as it:
        await it.put(0, range(2))
        await harness.put_undecodable(it.partitions[0].id)
        await it.put(0, range(2, 4))
        await it.start(it.key())
        got = await it.read(it.key(), 5, WIDE)
        kinds = [type(item).__name__ for item in got]
        expect(kinds == ["Message"] * 2 + ["Undecodable"] + ["Message"] * 2, f"read {kinds}")
        bad = got[2]
        expect(isinstance(bad, Undecodable) and str(bad.error), f"{bad} does not say why")
        after = await it.first_after(bad.offset)
        expect(after == [2], f"behind what cannot be decoded comes {after}, not 2")


@CHECKS.check(Capability.READ_FAULTS, Capability.PARTITIONS)
async def one_partition_fails_alone(harness: ConnectorHarness) -> None:
    """One partition's failure does not touch the others."""
    async with reading(harness) as it:
        for index in (0, 1):
            await it.put(index, range(3))
        await it.start(it.key(0), it.key(1))
        await harness.fail_reading(it.partitions[0].id)
        failed, numbers = 0, list[int]()
        while not failed or len(numbers) < 3:
            wanted = [it.key(1), *([] if failed else [it.key(0)])]
            for key, fetched in (await it.poll(*wanted)).items():
                if key == it.key(1):
                    expect(fetched.error is None, f"{key} failed with another: {fetched.error!r}")
                    numbers += it.numbers(fetched.messages)
                failed += fetched.error is not None
        expect(numbers == [0, 1, 2], f"beside a failing partition, {numbers} was read")


@CHECKS.check(Capability.READ_FAULTS)
async def a_failed_partition_goes_on_when_assigned_again(harness: ConnectorHarness) -> None:
    """The runtime assigns a failed partition again from its own position."""
    async with reading(harness) as it:
        await it.put(0, range(4))
        await it.start(it.key())
        last = (await it.take(it.key(), 2))[-1]
        await harness.fail_reading(it.partitions[0].id)
        while (fetched := await it.fetch(it.key())).error is None:
            expect(not fetched.messages, "a failing partition gave messages and no error")
        await harness.heal()
        await it.seek(it.key(), last.offset)
        numbers = it.numbers(await it.read(it.key(), 2))
        expect(numbers == [2, 3], f"0 and 1 were read before the failure, after it {numbers}")
