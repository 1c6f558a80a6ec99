"""What most of these tests do: claim, name a partition, open a reader at a position, write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from samza_py.checkpoint import Claim
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.message import Message, Offset, Outgoing, Partition, Position, TaskPartition
from samza_py.producer import Failures, Producer
from samza_py.transaction import Transaction

ROOM = Room(100, 1 << 20)
START = Offset("-1")
CLAIM = Claim("read/0", 1, job="shop")


def key(
    stream: MemoryStream[Any, Any], partition: str = "0", task: str = "read/0"
) -> TaskPartition:
    return TaskPartition(task, Partition(stream.system.name, stream.name, partition))


@asynccontextmanager
async def reader(
    memory: Memory,
    stream: MemoryStream[Any, Any],
    positions: Mapping[TaskPartition, Position] | None = None,
) -> AsyncGenerator[Consumer, None]:
    """A consumer at the start of partition 0, unless told otherwise."""
    async with memory.consumer({stream.name: stream}) as consumer:
        await consumer.assign(CLAIM, {key(stream): START} if positions is None else positions)
        yield consumer


async def poll(consumer: Consumer, wanted: TaskPartition, room: Room = ROOM) -> Fetched:
    return (await consumer.poll({wanted: room}))[wanted]


def values(fetched: Fetched) -> list[Any]:
    return [message.raw_value for message in fetched.messages]


def out(stream: MemoryStream[Any, Any], *numbers: int, key: bytes | None = b"k") -> list[Outgoing]:
    """Messages of these numbers, each caused by a source message of the same offset."""
    return [
        Outgoing(
            stream.name,
            key,
            b"%d" % number,
            source=Message(Partition("memory", "source", "0"), Offset(str(number)), None, None),
        )
        for number in numbers
    ]


async def write(
    producer: Producer, batch: Sequence[Outgoing], within: Transaction | None = None
) -> Failures:
    return await (await producer.write(batch, within))


def stored(memory: Memory, stream: MemoryStream[Any, Any]) -> list[bytes]:
    return [message.raw_value for message in memory.read_raw(stream)]


async def turns(count: int = 5) -> None:
    """Let others run for a few turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)
