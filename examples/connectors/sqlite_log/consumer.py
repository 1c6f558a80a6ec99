"""Reading: the rows behind a position, and what a poll promises about them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from examples.connectors.sqlite_log import database
from examples.connectors.sqlite_log.database import Database, number_of
from samza_py.checkpoint import Claim
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.message import END, Partition, Position, TaskPartition
from samza_py.system import Input

LOOKS = 50
"""How often a poll looks before it returns with nothing."""


class Seat:
    """Where one task stands in one partition.

    Two seats are never equal, even at the same position: so what was read for a seat that a seek
    or a revoke has replaced meanwhile can be told, and dropped.
    """

    def __init__(self, after: Position) -> None:
        self.after = after
        self.at_head = False

    def has_news(self, fetched: Fetched) -> bool:
        """Whether a fetch says anything that was not said before."""
        moved = fetched.position != self.after or fetched.at_head != self.at_head
        return moved or fetched.finished or fetched.error is not None


class SqliteConsumer(Consumer):
    """Reads rows behind a position, and nothing ahead.

    So all its state is a seat for each task and partition, and revoking and seeking have nothing
    else to forget. A client that reads ahead must throw that away in both.
    """

    def __init__(
        self, db: Database, inputs: Mapping[str, Input[Any, Any]], poll_interval_s: float
    ) -> None:
        self._db = db
        self._inputs = inputs
        self._poll_interval_s = poll_interval_s
        self._seats: dict[TaskPartition, Seat] = {}

    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        """Begin reading behind these positions. A new seat for an old one is a seek."""
        for key, position in positions.items():
            self._seats[key] = Seat(position)

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        """Stop reading these."""
        for key in partitions:
            self._seats.pop(key, None)

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Mapping[TaskPartition, Fetched]:
        """Look at each wanted partition, again and again until there is something to say."""
        for _ in range(LOOKS):
            found: list[tuple[TaskPartition, Seat, Fetched]] = []
            for key, room in wanted.items():
                seat = self._seats.get(key)
                if seat is not None:
                    found.append((key, seat, await self._look(key.partition, seat.after, room)))
            # Nothing awaits from here to the return, and nothing was changed until here: that is
            # what makes a cancelled poll one that has taken nothing.
            said: dict[TaskPartition, Fetched] = {}
            for key, seat, fetched in found:
                if self._seats.get(key) is seat and seat.has_news(fetched):
                    seat.after, seat.at_head = fetched.position, fetched.at_head
                    said[key] = fetched
            if said:
                return said
            # SQLite tells nobody of a new row. A client that does would be waited for here.
            await asyncio.sleep(self._poll_interval_s)
        return {}  # a bounded wait is allowed, and lets the runtime want something else

    async def _look(self, partition: Partition, after: Position, room: Room) -> Fetched:
        if after is END:
            return Fetched((), END, at_head=True, finished=True, remaining=0)
        stream, number = self._inputs[partition.stream].physical, number_of(after)
        try:
            return await self._db.ask(
                lambda db: database.fetch(db, stream, partition, number, room)
            )
        except (ConnectorError, PositionLostError) as error:
            # What fails is this partition. Raised, it would stop all the others too.
            return Fetched((), after, error=error)
