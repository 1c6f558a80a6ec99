"""The example connector keeps every promise that it makes."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from examples.connectors.sqlite_log import SqliteLog, SqliteStream
from samza_py.message import Outgoing
from samza_py.testing import Capability, ConnectorHarness, conformance_tests


class SqliteHarness(ConnectorHarness):
    """A file of its own for each check; messages go in and out with plain SQL."""

    capabilities = (
        Capability.READS,
        Capability.WRITES,
        Capability.PARTITIONS,
        Capability.GROWS,
        Capability.ENDS,
        Capability.CHOOSES_PARTITION,
        Capability.KEEPS_KEYS,
        Capability.KEEPS_HEADERS,
        Capability.KEEPS_TIMESTAMPS,
        Capability.KEEPS_TOMBSTONES,
        Capability.TELLS_MISSING,
        Capability.FINDS_TIMES,
        Capability.CREATES,
        Capability.TRIMS,
        Capability.TELLS_REMAINING,
        Capability.REJECTS,
        Capability.READ_FAULTS,
        Capability.WRITE_FAULTS,
    )

    def __init__(self) -> None:
        self.folder = Path()

    async def aopen(self) -> None:
        self.folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
        async with self.admin() as admin:
            await admin.create([self.source.name])

    async def aclose(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.folder)

    @property
    def system(self) -> SqliteLog:
        return SqliteLog(self.folder / "log.db", poll_interval="5ms")

    @property
    def source(self) -> SqliteStream[bytes, bytes]:
        stream = self.system.stream("orders", key=bytes, value=bytes, partitions=2)
        stream.physical = "orders-v2"
        return stream

    @property
    def missing(self) -> SqliteStream[bytes, bytes]:
        return self.system.stream("nobody", key=bytes, value=bytes)

    def unacceptable(self, number: int) -> Outgoing:
        message = self.message(number)
        message.partition = "no such partition"
        return message

    async def put(self, partition: str, messages: Sequence[Outgoing]) -> None:
        place = ("orders-v2", partition)
        for message in messages:
            headers = msgspec.msgpack.encode(list(message.headers))
            row = (message.key, message.value, message.timestamp_ms, headers)
            await self.run(
                "INSERT INTO messages SELECT stream, id, next, ?, ?, ?, ? FROM partitions"
                " WHERE stream = ? AND id = ?",
                *row,
                *place,
            )
            await self.run(
                "UPDATE partitions SET next = next + 1 WHERE stream = ? AND id = ?", *place
            )

    async def arrived(self) -> Mapping[str, Sequence[Outgoing]]:
        found: dict[str, list[Outgoing]] = {}
        for id_, key, value, time, headers in await self.run(
            "SELECT partition, key, value, timestamp_ms, headers FROM messages ORDER BY offset"
        ):
            pairs = msgspec.msgpack.decode(headers, type=list[tuple[str, bytes]])
            found.setdefault(id_, []).append(Outgoing("orders", key, value, time, headers=pairs))
        return found

    async def end(self, partition: str) -> None:
        await self.run("UPDATE partitions SET ended = 1 WHERE id = ?", partition)

    async def fail_reading(self, partition: str) -> None:
        await self.run("UPDATE partitions SET stream = 'away' WHERE id = ?", partition)

    async def fail_writing(self) -> None:
        await self.run("ALTER TABLE messages RENAME TO away")

    async def heal(self) -> None:
        await self.run("UPDATE partitions SET stream = 'orders-v2' WHERE stream = 'away'")
        if await self.run("SELECT 1 FROM sqlite_master WHERE name = 'away'"):
            await self.run("ALTER TABLE away RENAME TO messages")

    async def run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        def run() -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(self.folder / "log.db")) as connection, connection:
                return connection.execute(sql, values).fetchall()

        return await asyncio.to_thread(run)


test_the_example_keeps_its_promises = conformance_tests(SqliteHarness)
