"""The memory consumer: waits for records by being told of them, and takes them in slices."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from samza_py.checkpoint import Claim
from samza_py.connectors.memory.broker import Link
from samza_py.connectors.memory.log import Log, parsed
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.errors import PositionLostError
from samza_py.message import END, Offset, Position, TaskPartition
from samza_py.system import Input


class _Seat:
    """Where one task stands in one partition.

    A seek makes a new seat, so that an older look can be told by the seat it was made from.
    """

    __slots__ = ("at_head", "log", "next", "over")

    def __init__(self, log: Log, next_offset: int | None) -> None:
        self.log = log
        self.next = next_offset  # None behind the END
        self.at_head = False
        self.over = False  # its end or its error was told


_Look = tuple[_Seat, int | None, Fetched]


class MemoryConsumer(Consumer):
    """Reads committed records of a broker.

    Args:
        link: the line to the broker.
        inputs: what it may be asked for, by logical name.
    """

    def __init__(self, link: Link, inputs: Mapping[str, Input[Any, Any]]) -> None:
        self._link = link
        self._inputs = inputs
        self._seats: dict[TaskPartition, _Seat] = {}
        self._waiter: asyncio.Future[None] | None = None

    async def aopen(self) -> None:
        """Reach the broker."""
        await self._link.before("open")

    async def aclose(self) -> None:
        """Forget all positions."""
        self._seats.clear()
        self._wake()

    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        """Start reading just after these positions.

        Raises:
            UnavailableError: nothing was assigned.
            ConnectorError: a stream or a partition is not there.
            CorruptCheckpointError: a position is not an offset of this system.
        """
        await self._link.before("assign")
        seats: dict[TaskPartition, _Seat] = {}
        for key, position in positions.items():
            topic = self._link.broker.topic(self._inputs[key.partition.stream].physical)
            log = topic.log(key.partition.id)
            if topic.finite:
                topic.close()
            seats[key] = _Seat(log, None if position is END else parsed(position) + 1)
        self._seats.update(seats)
        self._wake()
        if self._link.watched:
            await self._link.after("assign")

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        """Stop reading these."""
        for key in partitions:
            self._seats.pop(key, None)
        self._wake()

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Mapping[TaskPartition, Fetched]:
        """Wait until there is something to say of a wanted partition; see ``Consumer.poll``.

        Waits without a limit. Gives nothing at once when none of the wanted is assigned any more.

        Raises:
            UnavailableError: the line is down; nothing was taken.
        """
        await self._link.before("poll")
        while True:
            looks = self._look(wanted)
            if looks and self._link.watched:
                await self._link.after("poll")
                # The wait may have brought a seek: what was found from an older seat is dropped.
                seats = self._seats
                looks = {key: look for key, look in looks.items() if seats.get(key) is look[0]}
                if not looks:
                    continue
            if looks:
                return {key: _take(look) for key, look in looks.items()}
            if not any(key in self._seats for key in wanted):
                return {}
            await self._wait(wanted)

    async def on_checkpoint(self, positions: Mapping[TaskPartition, Position]) -> None:
        """Keep the positions beside the streams, where ``Memory.committed`` shows them."""
        await self._link.before("on_checkpoint")
        self._link.broker.committed.update(positions)

    def _look(self, wanted: Mapping[TaskPartition, Room]) -> dict[TaskPartition, _Look]:
        looks: dict[TaskPartition, _Look] = {}
        for key, room in wanted.items():
            seat = self._seats.get(key)
            if seat is not None and not seat.over:
                look = self._look_at(key, seat, room)
                if look is not None:
                    looks[key] = look
        return looks

    def _look_at(self, key: TaskPartition, seat: _Seat, room: Room) -> _Look | None:
        at, log = seat.next, seat.log
        if at is None:
            return seat, None, Fetched((), END, at_head=True, finished=True, remaining=0)
        faults = self._link.broker.faults
        error = faults.partition(self._link.client, key.partition) if faults is not None else None
        failure = error or _lost(key, log, at)
        if failure is not None:
            return seat, at, Fetched((), Offset(str(at - 1)), error=failure)
        stable = log.stable
        if at == stable and seat.at_head and not log.closed:
            return None
        found, after = log.read(key.partition, at, room.messages, room.bytes)
        at_head = after == stable
        finished = log.closed and after == log.end
        if after == at and at_head == seat.at_head and not finished:
            return None
        left = 0 if at_head else log.visible(after)
        broken = faults.broken_off(self._link.client, key.partition) if faults and found else None
        if broken is not None:
            return seat, after, Fetched(found, found[-1].offset, error=broken, remaining=left)
        position = END if finished else Offset(str(after - 1))
        return seat, after, Fetched(found, position, at_head, finished, None, left)

    async def _wait(self, wanted: Mapping[TaskPartition, Room]) -> None:
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        logs = {seat.log for key in wanted if (seat := self._seats.get(key)) is not None}
        for log in logs:
            log.add_waiter(waiter)
        try:
            await self._link.wait(waiter)
        finally:
            self._waiter = None
            for log in logs:
                log.remove_waiter(waiter)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _take(look: _Look) -> Fetched:
    seat, after, fetched = look
    seat.next = after
    seat.at_head = fetched.at_head
    seat.over = fetched.finished or fetched.error is not None
    return fetched


def _lost(key: TaskPartition, log: Log, at: int) -> PositionLostError | None:
    if log.gone:
        return PositionLostError(f"{key.partition}: the stream was deleted or made again")
    if log.base <= at <= log.end:
        return None
    there = f"{log.base} to {log.end - 1}" if log.end > log.base else "nothing"
    return PositionLostError(
        f"{key.partition}: reading should go on after offset {at - 1}, but there is {there}"
    )
