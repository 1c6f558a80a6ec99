"""Consumers that break one promise each about positions."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from samza_py.checkpoint import Claim
from samza_py.consumer import Fetched, Room
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.message import END, Offset, Position, TaskPartition
from tests.conformance.memory_harness import MemoryHarness
from tests.conformance.saboteurs.around import ConsumerAround, Said, breaks

Positions = Mapping[TaskPartition, Position]
opened: WeakKeyDictionary[MemoryHarness, Counter[str]] = WeakKeyDictionary()


def number(position: Position) -> int:
    """Where a position is; END is behind everything."""
    return 1 << 60 if position is END else int(position)


def after(position: Position, by: int) -> Position:
    """A position further on."""
    return position if position is END else Offset(str(int(position) + by))


@breaks("reading_resumes_after_every_message")
class ReadsTheEdgeAgain(ConsumerAround):
    """A segment has four messages; behind the last one of it, that one is read again."""

    async def assign(self, claim: Claim, positions: Positions) -> None:
        edge = {k: after(p, -1) if number(p) == 3 else p for k, p in positions.items()}
        await super().assign(claim, edge)


@breaks("a_position_outlives_its_consumer")
class CountsFromItsOwnStart(ConsumerAround):
    """A consumer opened later takes positions one further."""

    async def aopen(self) -> None:
        await super().aopen()
        counter = opened.setdefault(self.harness, Counter())
        counter["consumer"] += 1
        self.later = counter["consumer"] > 1

    async def assign(self, claim: Claim, positions: Positions) -> None:
        by = 1 if self.later else 0
        await super().assign(claim, {key: after(p, by) for key, p in positions.items()})


class TakesBeforeItReturns(ConsumerAround):
    """Takes messages, and then waits once more: a cancel in that moment loses them."""

    waited_first = False

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        end = self.harness.system.broker.topic(self.harness.source.physical).log("0").end
        said = await super().poll(wanted)
        log = self.harness.system.broker.topic(self.harness.source.physical).log("0")
        if (log.end != end) is self.waited_first:
            await asyncio.sleep(0)
        return said


@breaks("a_cancelled_poll_has_taken_nothing")
class TakesWhatWasThere(TakesBeforeItReturns):
    waited_first = False


@breaks("a_poll_cancelled_while_waiting_has_taken_nothing")
class TakesWhatArrived(TakesBeforeItReturns):
    waited_first = True


@breaks("a_message_wakes_a_waiting_poll")
class SleepsOn(ConsumerAround):
    """A poll that has begun to wait is woken by an assignment alone."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.assigned = asyncio.Event()

    async def assign(self, claim: Claim, positions: Positions) -> None:
        await super().assign(claim, positions)
        self.assigned.set()

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        while len(wanted) == 1 and self.has_nothing(wanted):
            self.assigned.clear()
            await self.assigned.wait()
        return await super().poll(wanted)


@breaks("a_seek_forward_skips")
class OnlySeeksBack(ConsumerAround):
    async def assign(self, claim: Claim, positions: Positions) -> None:
        new = {
            k: p
            for k, p in positions.items()
            if k not in self.positions or number(p) <= number(self.positions[k])
        }
        await super().assign(claim, new)


@breaks("a_seek_back_reads_again")
class OnlySeeksForward(ConsumerAround):
    polling = False

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        self.polling = True
        try:
            return await super().poll(wanted)
        finally:
            self.polling = False

    async def assign(self, claim: Claim, positions: Positions) -> None:
        new = {
            k: p
            for k, p in positions.items()
            if self.polling or k not in self.positions or number(p) >= number(self.positions[k])
        }
        await super().assign(claim, new)


@breaks("a_seek_during_a_poll_drops_the_older_read")
class SaysTheOlderPosition(ConsumerAround):
    """A poll during which there was a seek tells of the position before it."""

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        before = dict(self.positions)
        self.seeks = 0
        said = await super().poll(wanted)
        if not self.seeks:
            return said
        for key in said:  # take back what this poll has taken from the new position
            await self.inner.assign(Claim(key.task, 1), {key: self.sought})
        return {key: Fetched((), before[key]) for key in said}

    async def assign(self, claim: Claim, positions: Positions) -> None:
        self.seeks = 1
        self.sought = next(iter(positions.values()))
        await super().assign(claim, positions)


@breaks("a_seek_leaves_other_partitions_alone")
class SeeksAllOfTheTask(ConsumerAround):
    """A seek of one partition sends the task's others back to where they began."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.begins: dict[TaskPartition, Position] = {}

    async def assign(self, claim: Claim, positions: Positions) -> None:
        seeks = [key for key in positions if key in self.positions]
        others = {
            key: begin
            for key, begin in self.begins.items()
            if seeks and key not in positions and key.task == claim.task
        }
        for key, position in positions.items():
            self.begins.setdefault(key, position)
        await super().assign(claim, {**others, **positions})


@breaks("the_position_end_gives_one_finished_fetch")
class HasNothingToSayAtTheEnd(ConsumerAround):
    async def assign(self, claim: Claim, positions: Positions) -> None:
        await super().assign(claim, {k: p for k, p in positions.items() if p is not END})

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        if not any(key in self.positions for key in wanted):
            await asyncio.sleep(0.005)
        return await super().poll(wanted)


@breaks("two_tasks_read_one_partition_apart")
class TasksShareAPosition(ConsumerAround):
    """What one task has read is read for the other one too."""

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        said = await super().poll(wanted)
        for key, fetched in said.items():
            for other, position in list(self.positions.items()):
                same = other.partition == key.partition and other.task != key.task
                if same and number(position) < number(fetched.position):
                    await self.assign(Claim(other.task, 1), {other: fetched.position})
        return said


@breaks("a_revoked_partition_starts_where_it_is_assigned")
class RemembersTheRevoked(ConsumerAround):
    """A partition that comes back goes on where it was left."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.left: dict[TaskPartition, Position] = {}

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        self.left.update({k: self.positions[k] for k in partitions if k in self.positions})
        await super().revoke(partitions)

    async def assign(self, claim: Claim, positions: Positions) -> None:
        await super().assign(claim, {k: self.left.pop(k, p) for k, p in positions.items()})


@breaks("a_partition_revoked_during_a_poll_does_not_come")
class RevokesAfterThePoll(ConsumerAround):
    polling = False

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.later: list[TaskPartition] = []

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        self.polling = True
        try:
            return await super().poll(wanted)
        finally:
            self.polling = False
            await super().revoke(self.later)
            self.later.clear()

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        if self.polling:
            self.later += partitions
        else:
            await super().revoke(partitions)


@breaks("an_unknown_partition_may_be_revoked")
class MustKnowTheRevoked(ConsumerAround):
    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        for key in partitions:
            if key not in self.positions:
                raise ConnectorError(f"{key} is not assigned")
        await super().revoke(partitions)


@breaks("a_checkpoint_changes_nothing_about_reading")
class SeeksToTheCheckpoint(ConsumerAround):
    async def on_checkpoint(self, positions: Positions) -> None:
        for key, position in positions.items():
            await self.inner.assign(Claim(key.task, 1), {key: position})


@breaks("a_lost_position_is_said")
class SkipsWhatIsLost(ConsumerAround):
    """A position that is gone is taken for the oldest one that is there."""

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        said = await super().poll(wanted)
        lost = [k for k, fetched in said.items() if isinstance(fetched.error, PositionLostError)]
        for key in lost:
            log = self.harness.system.broker.topic("orders-v2").log(key.partition.id)
            await self.inner.assign(Claim(key.task, 1), {key: Offset(str(log.base - 1))})
        return await super().poll(wanted) if lost else said


@breaks("closing_ends_every_child")
class LeavesAChild(ConsumerAround):
    async def aopen(self) -> None:
        await super().aopen()
        self.child = asyncio.ensure_future(asyncio.get_running_loop().create_future())
        self.running = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        await self.child
