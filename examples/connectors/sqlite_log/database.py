"""The SQL, each question a plain function; and the one place where questions are run, off the loop.

SQLite blocks, so no line of SQL runs on the loop. Each question gets a thread and a connection of
its own: a connection costs some 0.1 ms, and in return a thread that a cancelled call leaves behind
can disturb nobody.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import msgspec

from samza_py.consumer import Fetched, Room
from samza_py.errors import (
    ConnectorError,
    CorruptCheckpointError,
    PositionLostError,
    UnavailableError,
)
from samza_py.message import END, Message, Offset, Outgoing, Partition, size_of
from samza_py.seam import seam

T = TypeVar("T")

# `next` and `oldest` stand beside the messages: they must be known when every message was trimmed.
TABLES = (
    """CREATE TABLE IF NOT EXISTS partitions (
        stream TEXT, id TEXT,
        next INTEGER DEFAULT 0, oldest INTEGER DEFAULT 0, ended INTEGER DEFAULT 0,
        PRIMARY KEY (stream, id)
    )""",
    """CREATE TABLE IF NOT EXISTS messages (
        stream TEXT, partition TEXT, offset INTEGER,
        key BLOB, value BLOB, timestamp_ms INTEGER, headers BLOB,
        PRIMARY KEY (stream, partition, offset)
    ) WITHOUT ROWID""",
)


class Database:
    """The file, as the three things that use it see it.

    Args:
        path: the file; SQLite makes it when it is not there.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path

    async def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Run one question as one transaction, in a thread.

        Raises:
            UnavailableError: the file is locked, or cannot be reached now.
            ConnectorError: anything else that SQLite complains of.
        """
        return await seam().in_thread(self._ask, question)

    def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        with self._errors(), closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            answer = question(db)
            db.execute("COMMIT")  # where the question raised, closing rolls back
            return answer

    @contextmanager
    def _errors(self) -> Generator[None]:
        # A client's errors become ours in exactly one place, and with `from`: the runtime decides
        # by their class what it tries again.
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UnavailableError(f"sqlite {self.path}: {error}") from error
        except sqlite3.Error as error:
            raise ConnectorError(f"sqlite {self.path}: {error}") from error


class AppendError(Exception):
    """One message of a batch cannot be written, so nothing of the batch was.

    Args:
        index: its place in the batch.
        why: the reason, for the dead letter.
    """

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index = index


def make_tables(db: sqlite3.Connection) -> None:
    """Make the tables where they are missing."""
    for statement in TABLES:
        db.execute(statement)


def state(db: sqlite3.Connection, stream: str, id_: str) -> tuple[int, int, bool]:
    """The oldest offset of a partition, the next one, and whether it has ended."""
    sql = "SELECT oldest, next, ended FROM partitions WHERE stream = ? AND id = ?"
    row: tuple[int, int, int] | None = db.execute(sql, (stream, id_)).fetchone()
    if row is None:
        raise ConnectorError(f"sqlite has no partition {stream}[{id_}]")
    return row[0], row[1], bool(row[2])


def fetch(
    db: sqlite3.Connection, stream: str, partition: Partition, after: int, room: Room
) -> Fetched:
    """The messages behind an offset, as many as there is room for."""
    oldest, upcoming, ended = state(db, stream, partition.id)
    if after < oldest - 1:
        # To go on at the oldest would lose messages without a word.
        raise PositionLostError(f"{partition}: {after} was trimmed, the oldest is {oldest}")
    sql = (
        "SELECT offset, key, value, timestamp_ms, headers FROM messages"
        " WHERE stream = ? AND partition = ? AND offset > ? ORDER BY offset LIMIT ?"
    )
    messages: list[Message[Any, Any]] = []
    size, position = 0, after
    for row in db.execute(sql, (stream, partition.id, after, room.messages)):
        position, key, value, timestamp_ms, packed = row
        headers = msgspec.msgpack.decode(packed, type=list[tuple[str, bytes]])
        messages.append(Message(partition, offset_of(position), key, value, timestamp_ms, headers))
        size += size_of(messages[-1])
        if size >= room.bytes:  # this one passed the room: it still comes, the next does not
            break
    left = upcoming - 1 - position
    finished = ended and left == 0
    after_these = END if finished else offset_of(position)
    return Fetched(messages, after_these, left == 0, finished, remaining=left)


def append(db: sqlite3.Connection, batch: Sequence[tuple[str, Outgoing]]) -> None:
    """Write messages behind the last ones of their partitions."""
    advance = (
        "UPDATE partitions SET next = next + 1 WHERE stream = ? AND id = ? AND NOT ended"
        " RETURNING next - 1"
    )
    for index, (stream, message) in enumerate(batch):
        id_ = message.partition or partition_of(db, stream, message.key)
        row = db.execute(advance, (stream, id_)).fetchone()
        if row is None:
            raise AppendError(index, f"sqlite has no open partition {stream}[{id_}]")
        headers = msgspec.msgpack.encode(list(message.headers))
        db.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)",
            (stream, id_, row[0], message.key, message.value, message.timestamp_ms, headers),
        )


def partition_of(db: sqlite3.Connection, stream: str, key: bytes | None) -> str:
    """The partition of a key. Not by ``hash()``: that differs from one process to the next."""
    sql = "SELECT id FROM partitions WHERE stream = ? ORDER BY CAST(id AS INTEGER)"
    ids = [str(id_) for (id_,) in db.execute(sql, (stream,))]
    if not ids:
        raise ConnectorError(f"sqlite has no stream {stream!r}")
    return ids[crc32(key or b"") % len(ids)]


def offset_of(number: int) -> Offset:
    """Offsets are text to everyone else, and numbers here."""
    return Offset(str(number))


def number_of(offset: str) -> int:
    """The number behind an offset.

    Raises:
        CorruptCheckpointError: it is none: the checkpoint it came from is not of this system.
    """
    try:
        return int(offset)
    except ValueError as error:
        raise CorruptCheckpointError(f"{offset!r} is not an offset of a SqliteLog") from error
