"""Wrote the files in `written/` that are named `kafka`: a topic of checkpoints, record for record.

    python -m tests.compat.write_kafka FOLDER

A line for each record, with its partition and its value in base64 (none: a deletion). What writes
them is what writes to a broker; the log is a list.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

from samza_py.checkpoint import Checkpoint, InputProgress, Run
from samza_py.connectors.kafka.brokers import Brokers
from samza_py.connectors.kafka.checkpoint_log import Records, TopicLog
from samza_py.connectors.kafka.checkpoint_owner import Owner
from samza_py.connectors.kafka.checkpoint_records import VERSION, Named, Record, encode, new_key
from samza_py.connectors.kafka.offsets import before
from samza_py.connectors.kafka.topic_ids import topics_found
from samza_py.message import Offset, Partition

JOB, TASK, STORE = "pricing", "price/0", "counts"
NAME = "kafka.v1.jsonl"
TOPIC_ID = uuid.UUID("f47ac10b-58cc-4372-a567-0e02b2c3d479")


class ListLog:
    """A topic in memory.

    Attributes:
        records: by partition.
    """

    def __init__(self) -> None:
        self.records: dict[int, list[Record]] = {}

    @property
    def topic(self) -> TopicLog:
        """As its owners want it."""
        return cast("TopicLog", self)

    def place(self, partition: int) -> str:
        return f"list[{partition}]"

    async def end(self, partition: int) -> int:
        return len(self.records.get(partition, []))

    async def append(self, partition: int, records: Records) -> int:
        log = self.records.setdefault(partition, [])
        first = len(log)
        log += [Record(first + n, key, value) for n, (key, value) in enumerate(records)]
        return first

    async def read(
        self, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Record], None]:
        yield self.records.get(partition, [])[start:end]


async def lineage(topic: str) -> str:
    """Of a topic with that id, as the brokers tell it."""
    found: dict[str, Any] = {"topic": topic, "topic_id": TOPIC_ID.bytes}
    found |= {"error_code": 0, "partitions": []}
    answer = SimpleNamespace(to_object=mock.Mock(return_value={"topics": [found]}))
    brokers = cast("Brokers", SimpleNamespace(ask=mock.AsyncMock(return_value=answer)))
    return (await topics_found(brokers, [topic]))[topic].id


async def full(epoch: int, number: int) -> Checkpoint:
    """A checkpoint of a task that reads a topic."""
    runs = (Run(Offset("884"), Offset("890")),)
    read = InputProgress(before(882), await lineage("orders"), runs)
    new = InputProgress(before(0), await lineage("prices"))
    return Checkpoint(
        epoch,
        number,
        {Partition("kafka", "orders", "3"): read, Partition("kafka", "prices", "3"): new},
        {},
        {STORE: str(number)},
    )


async def write_log() -> ListLog:
    """The directory, and the partition of a task that had two owners."""
    log = ListLog()
    await log.append(0, [(new_key("task"), encode(Named(VERSION, JOB, TASK)))])
    for first in (1, 4):
        owner = Owner(log.topic, 1, TASK)
        await owner.claim()
        for number in range(first, first + 3):
            changes = {STORE: [(b"k%d" % (number % 4), b"v%d" % number), (b"gone", None)]}
            await owner.write(await full(owner.epoch, number), changes)
    return log


def loaded(path: Path) -> ListLog:
    """The topic in a file."""
    log = ListLog()
    for line in path.read_text("utf-8").splitlines():
        partition, key, value = json.loads(line)
        records = log.records.setdefault(partition, [])
        data = None if value is None else base64.b64decode(value)
        records.append(Record(len(records), key.encode(), data))
    return log


def _lines(log: ListLog) -> Iterator[str]:
    for partition, records in log.records.items():
        for _, key, value in records:
            data = None if value is None else base64.b64encode(value).decode()
            yield json.dumps([partition, key.decode(), data]) + "\n"


def write(folder: Path) -> None:
    """Write all files."""
    numbers = map(uuid.UUID, (f"{n:032x}" for n in count(1)))
    with mock.patch("uuid.uuid4", side_effect=numbers):
        log = asyncio.run(write_log())
    (folder / NAME).write_text("".join(_lines(log)), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
