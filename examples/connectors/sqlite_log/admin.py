"""What the runtime asks while it starts; never a question per message."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence

from examples.connectors.sqlite_log import database
from examples.connectors.sqlite_log.database import Database, number_of, offset_of
from samza_py.admin import Admin, AtOffset, AtTime, Bounds, Newest, PartitionInfo, StartAt
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.message import Offset, Partition, Position
from samza_py.system import AnyStream


class SqliteAdmin(Admin):
    """Answers questions about the streams of a log.

    Args:
        db: the file.
        system: the system's name in the job.
        streams: the job's streams of this system, by logical name.
    """

    def __init__(self, db: Database, system: str, streams: Mapping[str, AnyStream]) -> None:
        self._db = db
        self._system = system
        self._streams = streams

    async def aopen(self) -> None:
        """Make the tables where they are missing."""
        await self._db.ask(database.make_tables)

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        """The partitions, ended ones too: what they hold may still be wanted."""
        physical = self._streams[stream].physical
        sql = "SELECT id FROM partitions WHERE stream = ?"
        rows = await self._db.ask(lambda db: db.execute(sql, (physical,)).fetchall())
        if not rows:
            raise ConnectorError(f"sqlite {self._db.path} has no stream {physical!r}")
        # A Partition carries the logical name: checkpoints hold it, and stay good when the stream
        # is given another physical name.
        return {Partition(self._system, stream, id_): PartitionInfo() for (id_,) in rows}

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        """Both bounds are positions to read *after*: one less than the offsets."""
        found: dict[Partition, Bounds] = {}
        for partition in partitions:
            oldest, newest = await self._after(partition)
            found[partition] = Bounds(offset_of(oldest), offset_of(newest))
        return found

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        """Turn a start into a position. Asked once in a task's life; then its checkpoint knows."""
        oldest, newest = await self._after(partition)
        if isinstance(start, Newest):
            return offset_of(newest)
        if isinstance(start, AtTime):
            return offset_of(await self._before_time(partition, start.timestamp_ms, newest))
        if isinstance(start, AtOffset) and partition.id in start.after:
            wanted = number_of(start.after[partition.id])
            if not oldest <= wanted <= newest:
                raise PositionLostError(f"{partition}: {wanted} is not in {oldest} to {newest}")
            return offset_of(wanted)
        return offset_of(oldest)

    def compare(self, first: Offset, second: Offset) -> int:
        """By number: as text, 10 would come before 9."""
        return number_of(first) - number_of(second)

    async def create(self, streams: Collection[str]) -> Sequence[str]:
        """Make the streams that are missing; what is there already is left as it is."""

        def create(db: sqlite3.Connection) -> list[str]:
            sql = "INSERT OR IGNORE INTO partitions (stream, id) VALUES (?, ?)"
            made: list[str] = []
            for name in streams:
                stream = self._streams[name]
                # `partitions` is a wish of SqliteStream; another Stream may stand in for one.
                ids = range(getattr(stream, "partitions", 1))
                if db.executemany(sql, [(stream.physical, str(id_)) for id_ in ids]).rowcount > 0:
                    made.append(name)
            return made

        return await self._db.ask(create)

    async def trim(self, up_to: Mapping[Partition, Offset]) -> None:
        """Forget messages, and remember from where on: so that a lost position can be told."""

        def trim(db: sqlite3.Connection) -> None:
            for partition, offset in up_to.items():
                stream, number = self._place(partition)
                last = number_of(offset)
                db.execute(
                    "DELETE FROM messages WHERE stream = ? AND partition = ? AND offset <= ?",
                    (stream, number, last),
                )
                db.execute(
                    "UPDATE partitions SET oldest = max(oldest, min(next, ?))"
                    " WHERE stream = ? AND id = ?",
                    (last + 1, stream, number),
                )

        await self._db.ask(trim)

    def _place(self, partition: Partition) -> tuple[str, str]:
        return self._streams[partition.stream].physical, partition.id

    async def _after(self, partition: Partition) -> tuple[int, int]:
        place = self._place(partition)
        oldest, upcoming, _ = await self._db.ask(lambda db: database.state(db, *place))
        return oldest - 1, upcoming - 1

    async def _before_time(self, partition: Partition, timestamp_ms: int, newest: int) -> int:
        place = (*self._place(partition), timestamp_ms)
        sql = (
            "SELECT min(offset) FROM messages"
            " WHERE stream = ? AND partition = ? AND timestamp_ms >= ?"
        )
        (first,) = await self._db.ask(lambda db: db.execute(sql, place).fetchone())
        return newest if first is None else int(first) - 1
