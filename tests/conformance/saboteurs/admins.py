"""Admins that break one promise each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from weakref import WeakKeyDictionary

import msgspec

from samza_py.admin import AtOffset, AtTime, Bounds, Newest, Oldest, PartitionInfo, StartAt
from samza_py.errors import ConnectorError, CorruptCheckpointError, PositionLostError
from samza_py.message import END, Offset, Partition, Position
from tests.conformance.memory_harness import MemoryHarness
from tests.conformance.saboteurs.around import AdminAround, breaks

opened: WeakKeyDictionary[MemoryHarness, Counter[str]] = WeakKeyDictionary()


def moved(position: Position, by: int) -> Position:
    """Another position of a memory system."""
    return position if position is END else Offset(str(int(position) + by))


@breaks("partitions_are_the_same_for_everyone")
class SeesMoreLater(AdminAround):
    """A partition that only those see who ask later."""

    async def aopen(self) -> None:
        await super().aopen()
        self.number = opened.setdefault(self.harness, Counter())["admin"]
        opened[self.harness]["admin"] += 1

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        found = dict(await super().partitions(stream))
        one = next(iter(found))
        if self.number % 2:
            found[msgspec.structs.replace(one, id="phantom")] = found[one]
        return found


@breaks("a_missing_stream_is_an_error")
class FindsNothing(AdminAround):
    """No partitions where there is no stream."""

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        try:
            return await super().partitions(stream)
        except ConnectorError:
            return {}


@breaks("bounds_are_where_reading_begins")
class LastMessageIsNewest(AdminAround):
    """The newest bound lies before the last message."""

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        found = await super().bounds(partitions)
        return {
            p: Bounds(oldest, moved(newest, -1 if newest != oldest else 0))
            for p, (oldest, newest) in found.items()
        }


@breaks("oldest_starts_at_the_oldest")
class OldestIsTheSecond(AdminAround):
    """An oldest start skips a message."""

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        found = await super().start_position(partition, start)
        return moved(found, 1) if isinstance(start, Oldest) else found


@breaks("newest_starts_behind_the_newest")
class NewestIsOldest(AdminAround):
    """A newest start reads everything."""

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        wanted = Oldest() if isinstance(start, Newest) else start
        return await super().start_position(partition, wanted)


@breaks("an_offset_starts_after_it")
class OffsetIsReadAgain(AdminAround):
    """A start at an offset is taken for the first one to read."""

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        found = await super().start_position(partition, start)
        named = isinstance(start, AtOffset) and partition.id in start.after
        return moved(found, -1) if named else found


@breaks("an_offset_that_is_gone_is_lost")
class OffsetIsTakenOnTrust(AdminAround):
    """A start at an offset is not looked up."""

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        try:
            return await super().start_position(partition, start)
        except PositionLostError:
            assert isinstance(start, AtOffset)
            return Offset(start.after[partition.id])


@breaks("a_time_starts_at_the_first_message_of_it")
class TimeIsExclusive(AdminAround):
    """A start at a time begins behind the message of that time."""

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        later = AtTime(start.timestamp_ms + 1) if isinstance(start, AtTime) else start
        return await super().start_position(partition, later)


@breaks("offsets_compare_as_they_are_read")
class ComparesText(AdminAround):
    """Offsets are compared as text, so that 10 comes before 9."""

    def compare(self, first: Offset, second: Offset) -> int:
        super().compare(first, second)
        return (first > second) - (first < second)


@breaks("positions_compare_with_offsets")
class ComparesUnsigned(AdminAround):
    """The position before everything, -1, is taken for the largest number there is."""

    def compare(self, first: Offset, second: Offset) -> int:
        super().compare(first, second)
        return int(first) % (1 << 64) - int(second) % (1 << 64)


@breaks("an_offset_of_no_system_is_corrupt")
class ComparesWithoutCare(AdminAround):
    """What is no offset raises the error of whoever reads numbers."""

    def compare(self, first: Offset, second: Offset) -> int:
        try:
            return super().compare(first, second)
        except CorruptCheckpointError as error:
            raise ValueError(str(error)) from error


@breaks("creating_makes_what_is_missing")
class ClaimsToHaveMadeAll(AdminAround):
    """Streams that were there are said to be made."""

    async def create(self, streams: Collection[str]) -> Sequence[str]:
        await super().create(streams)
        return list(streams)


@breaks("trimming_leaves_what_is_behind")
class TrimsZeroAsOne(AdminAround):
    """Offset 0 is taken for none given, and the next one trimmed."""

    async def trim(self, up_to: Mapping[Partition, Offset]) -> None:
        await super().trim({p: Offset(str(int(offset) or 1)) for p, offset in up_to.items()})


@breaks("what_is_trimmed_is_gone")
class BoundsForgetTheTrim(AdminAround):
    """The oldest bound stays where it was before a trim."""

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        found = await super().bounds(partitions)
        return {p: Bounds(Offset("-1"), bounds.newest) for p, bounds in found.items()}


@breaks("an_ended_partition_is_still_there")
class HidesTheEnded(AdminAround):
    """Partitions that have ended are left out, with what they still hold."""

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        found = await super().partitions(stream)
        parents = {parent for info in found.values() for parent in info.parents}
        logs = self.harness.system.broker.topic(self.harness.source.physical).logs
        if stream != self.harness.source.name:
            return found
        return {p: i for p, i in found.items() if p in parents or not logs[p.id].closed}


@breaks("children_name_their_parents")
class ForgetsParents(AdminAround):
    """Partitions that follow others do not say so."""

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        found = await super().partitions(stream)
        return {p: PartitionInfo(info.lineage) for p, info in found.items()}


@breaks("lineage_tells_a_stream_made_again")
class LineageIsTheName(AdminAround):
    """The incarnation of a stream is taken for its name."""

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        found = await super().partitions(stream)
        return {p: PartitionInfo(stream, info.parents) for p, info in found.items()}
