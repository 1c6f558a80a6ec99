"""Reads topics by manual assignment: the runtime says who reads what, and from where."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from samza_py.checkpoint import Claim
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.lag import GroupOffsets
from samza_py.connectors.kafka.offsets import parsed
from samza_py.connectors.kafka.reader import Reader, topic_partition
from samza_py.connectors.kafka.seat import Seat
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.message import END, Position, TaskPartition


class KafkaConsumer(Consumer):
    """Reads the topics of a job's inputs.

    A client of aiokafka knows one position a partition. Where two tasks read the same partition,
    the second one reads it through a client of its own.

    Args:
        cluster: where to read.
        physical: the broker's name of each input, by logical name.
    """

    def __init__(self, cluster: Cluster, physical: Mapping[str, str]) -> None:
        self._cluster = cluster
        self._physical = physical
        self._readers: list[Reader] = []
        self._seats: dict[TaskPartition, tuple[Reader, Seat]] = {}
        self._ended: set[TaskPartition] = set()
        self._assigning = asyncio.Lock()
        self._group = ""
        self._offsets = GroupOffsets(cluster, physical)

    async def aopen(self) -> None:
        """Connect.

        Raises:
            UnavailableError: no broker can be reached.
            ConnectorError: the brokers refuse us.
        """
        await self._another_reader()

    async def aclose(self) -> None:
        """Disconnect, within a bound."""
        await self._offsets.aclose()
        readers, self._readers = self._readers, []
        for reader in readers:
            await reader.aclose()

    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        """Start reading after each position.

        That a position is there is known by the first fetch: what is not there comes with the
        next poll, as a ``PositionLostError`` of the partition.

        Raises:
            UnavailableError: another client was needed, and no broker can be reached.
            CorruptCheckpointError: a position is no offset of Kafka.
        """
        self._group = claim.job
        starts = {key: _start(position) for key, position in positions.items()}
        seats = {key: self._seat(key, start) for key, start in starts.items() if start is not None}
        async with self._assigning:  # else two tasks could be given one place in a reader
            homes = await self._homes(seats)
            # From here on without an await: a poll must not see seats that nobody reads.
            self._forget(starts.keys() - seats.keys())
            self._ended = (self._ended - seats.keys()) | (starts.keys() - seats.keys())
            placed: dict[Reader, list[Seat]] = {}
            for key, reader in homes.items():
                reader.place(seats[key])
                self._seats[key] = (reader, seats[key])
                placed.setdefault(reader, []).append(seats[key])
            for reader, some in placed.items():
                reader.read_on(some)

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        """Stop reading these."""
        self._forget(partitions)
        self._ended.difference_update(partitions)
        for key in partitions:
            self._offsets.forget(key)

    async def on_checkpoint(self, positions: Mapping[TaskPartition, Position]) -> None:
        """Show them to lag monitors, in a while."""
        if self._group:
            self._offsets.note(self._group, positions)

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Mapping[TaskPartition, Fetched]:
        """Take what was read; waits, for half a second at most, until there is something.

        Raises:
            UnavailableError: the brokers have not answered for some time.
            ConnectorError: the client is of no more use.
        """
        found = self._take(wanted)
        if not found:
            await self._fill()
            found = self._take(wanted)
        for reader in self._readers:
            reader.pause()
        return found

    def _take(self, wanted: Mapping[TaskPartition, Room]) -> dict[TaskPartition, Fetched]:
        found: dict[TaskPartition, Fetched] = {}
        for key, room in wanted.items():
            if key in self._ended:
                self._ended.discard(key)
                found[key] = Fetched((), END, at_head=True, finished=True, remaining=0)
            elif key in self._seats:
                fetched = self._seats[key][1].take(room)
                if fetched is not None:
                    found[key] = fetched
        return found

    async def _fill(self) -> None:
        """Let each reader drain what it has; what they raise comes once the others have, too."""
        if len(self._readers) == 1:
            await self._readers[0].fill()
            return
        fills = [asyncio.ensure_future(reader.fill()) for reader in self._readers]
        try:
            await asyncio.wait(fills, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for fill in fills:
                fill.cancel()  # what it has drained is in the seats
            await asyncio.wait(fills)
        for fill in fills:
            if not fill.cancelled():
                fill.result()

    def _forget(self, keys: Collection[TaskPartition]) -> None:
        dropped: dict[Reader, list[Any]] = {}
        for key in keys:
            if key in self._seats:
                reader, seat = self._seats.pop(key)
                dropped.setdefault(reader, []).append(seat.topic)
        for reader, topics in dropped.items():
            reader.drop(topics)

    def _seat(self, key: TaskPartition, start: int) -> Seat:
        topic = topic_partition(self._physical[key.partition.stream], int(key.partition.id))
        return Seat(key.partition, topic, start)

    async def _homes(self, seats: Mapping[TaskPartition, Seat]) -> dict[TaskPartition, Reader]:
        """The reader of each: the one it has, or the first that does not read its partition."""
        homes: dict[TaskPartition, Reader] = {}
        taken: set[tuple[Reader, Any]] = set()
        for key, seat in seats.items():
            if key in self._seats:
                home = self._seats[key][0]
            else:
                free = (
                    reader
                    for reader in self._readers
                    if not reader.has(seat.topic) and (reader, seat.topic) not in taken
                )
                home = next(free, None) or await self._another_reader()
            homes[key] = home
            taken.add((home, seat.topic))
        return homes

    async def _another_reader(self) -> Reader:
        reader = Reader(self._cluster)
        await reader.aopen()
        self._readers.append(reader)
        return reader


def _start(position: Position) -> int | None:
    """The offset to read first; None where all is read."""
    return None if position is END else parsed(position) + 1
