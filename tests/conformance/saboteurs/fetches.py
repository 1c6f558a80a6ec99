"""Consumers that break one promise each about what a fetch holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from samza_py.checkpoint import Claim
from samza_py.consumer import Fetched, Room
from samza_py.message import END, Offset, Position, Received, TaskPartition, Undecodable
from tests.conformance.saboteurs.around import ConsumerAround, Said, breaks

MUCH = 20


@breaks("messages_come_in_order")
class TurnsAround(ConsumerAround):
    """Large fetches come the wrong way round."""

    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        many = len(fetched.messages) >= MUCH
        return replace(fetched, messages=fetched.messages[::-1]) if many else fetched


@breaks("no_message_is_left_out_or_comes_twice")
class LosesOne(ConsumerAround):
    """Large fetches lack a message."""

    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        messages = list(fetched.messages)
        if len(messages) >= MUCH:
            del messages[10]
        return replace(fetched, messages=messages)


class EachMessage(ConsumerAround):
    """Something is done to each message."""

    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        return replace(fetched, messages=[self.spoilt(m) for m in fetched.messages])

    def spoilt(self, message: Received) -> Received:
        """What is made of a message."""
        return message


@breaks("a_message_names_its_partition")
class NamesThePhysicalStream(EachMessage):
    def spoilt(self, message: Received) -> Received:
        name = self.harness.source.physical
        message.partition = msgspec.structs.replace(message.partition, stream=name)
        return message


@breaks("keys_are_read_as_they_are")
class LosesKeys(EachMessage):
    def spoilt(self, message: Received) -> Received:
        message.raw_key = None
        return message


@breaks("headers_are_read_as_they_are")
class HeadersAreADict(EachMessage):
    def spoilt(self, message: Received) -> Received:
        message.headers = tuple(dict(message.headers).items())
        return message


@breaks("timestamps_are_read_as_they_are")
class TimestampsAreSeconds(EachMessage):
    def spoilt(self, message: Received) -> Received:
        message.timestamp_ms //= 1000
        return message


@breaks("tombstones_are_read_as_none")
class TombstonesAreEmpty(EachMessage):
    def spoilt(self, message: Received) -> Received:
        if message.raw_value is None:
            message.raw_value = b""
        return message


@breaks("a_partition_left_out_stays_unread")
class ReadsOthersMeanwhile(ConsumerAround):
    """Where the wanted have nothing, it gives what others have."""

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        try:
            async with asyncio.timeout(0.005):
                return await super().poll(wanted)
        except TimeoutError:
            return await super().poll(dict.fromkeys(self.positions, Room(1, 1000)))


@breaks("room_in_messages_is_kept")
class RoundsRoomUp(ConsumerAround):
    """Room is made a power of two, as its buffers are."""

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        rounded = {
            key: Room(1 << (room.messages - 1).bit_length(), room.bytes)
            for key, room in wanted.items()
        }
        return await super().poll(rounded)


@breaks("room_in_bytes_is_passed_by_one_message")
class CountsNoBytes(ConsumerAround):
    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        return await super().poll({k: Room(room.messages, 1 << 60) for k, room in wanted.items()})


@breaks("a_message_larger_than_the_room_gets_through")
class WaitsForMoreRoom(ConsumerAround):
    """A message that is larger than the room waits for more of it."""

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        fitting = {key: room for key, room in wanted.items() if room.bytes >= 100}
        if not fitting:
            await asyncio.sleep(0.005)
            return {}
        return await super().poll(fitting)


@breaks("the_position_covers_what_was_returned")
class PositionIsOfTheFirst(ConsumerAround):
    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        if len(fetched.messages) < 2 or fetched.finished:
            return fetched
        return replace(fetched, position=fetched.messages[0].offset)


@breaks("at_head_is_said_at_the_head")
class AlwaysAtHead(ConsumerAround):
    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        return replace(fetched, at_head=True)


@breaks("remaining_counts_down_to_nothing")
class CountsWhatItReturns(ConsumerAround):
    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        left = fetched.remaining
        return replace(fetched, remaining=None if left is None else left + len(fetched.messages))


@breaks("a_poll_waits_for_messages")
class NeverWaits(ConsumerAround):
    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        return {} if self.has_nothing(wanted) else await super().poll(wanted)


@breaks("the_end_comes_with_the_position_end")
class EndsAtTheLastOffset(ConsumerAround):
    """The last position of a finished partition is that of its last message."""

    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        if fetched.finished and fetched.messages:
            return replace(fetched, position=fetched.messages[-1].offset)
        return fetched


@breaks("the_end_comes_after_all_messages")
class EndsAtOnce(ConsumerAround):
    """A partition that has been closed is said to be finished with its first fetch."""

    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        topic = self.harness.system.broker.topic(self.harness.source.physical)
        if not topic.log(key.partition.id).closed:
            return fetched
        return replace(fetched, finished=True, position=END)


@breaks("one_partition_fails_alone")
class FailsAsAWhole(ConsumerAround):
    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        said = await super().poll(wanted)
        errors = [fetched.error for fetched in said.values() if fetched.error is not None]
        if errors and len(wanted) > 1:
            raise errors[0]
        return said


@breaks("a_failed_partition_goes_on_when_assigned_again")
class SkipsAfterAFailure(ConsumerAround):
    """After a failure it goes on behind the message that it takes for the cause."""

    failed: TaskPartition | None = None

    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        self.failed = key if fetched.error is not None else self.failed
        return fetched

    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        further = {
            key: Offset(str(int(str(after)) + 1)) if key == self.failed else after
            for key, after in positions.items()
        }
        await super().assign(claim, further)


@breaks("the_undecodable_stands_in_its_place")
class DropsTheUndecodable(ConsumerAround):
    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        kept = [m for m in fetched.messages if not isinstance(m, Undecodable)]
        return replace(fetched, messages=kept)
