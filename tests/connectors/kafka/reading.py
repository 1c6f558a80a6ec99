"""Reading a topic as the runtime does, without a runtime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from samza_py.checkpoint import Claim
from samza_py.connectors.kafka import Kafka
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.message import Message, Offset, Partition, Position, Received, TaskPartition
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Brokers

TASK = "price/0"
ROOM = Room(10_000, 16 << 20)
WITHIN_S = 30.0
START: Position = Offset("-1")


def kafka_at(brokers: Brokers, **settings: object) -> Kafka:
    """The system of these brokers."""
    return Kafka(brokers.bootstrap(PLAINTEXT), **settings)  # type: ignore[arg-type]


def key_of(partition: int = 0, task: str = TASK) -> TaskPartition:
    """A partition of the one topic of a test."""
    return TaskPartition(task, Partition("kafka", "orders", str(partition)))


@asynccontextmanager
async def reading(
    system: Kafka, topic: str, positions: Mapping[TaskPartition, Position]
) -> AsyncGenerator[Consumer]:
    """A consumer of a topic, assigned."""
    stream = system.topic("orders", physical=topic)
    async with system.consumer({"orders": stream}) as consumer:
        for task in {key.task for key in positions}:
            own = {key: position for key, position in positions.items() if key.task == task}
            await consumer.assign(Claim(task, 1), own)
        yield consumer


async def polled(
    consumer: Consumer,
    rooms: Mapping[TaskPartition, Room],
    until: Callable[[Mapping[TaskPartition, list[Received]]], bool],
) -> dict[TaskPartition, list[Received]]:
    """Poll until what was read by then is enough; raises what a partition fails with."""
    found: dict[TaskPartition, list[Received]] = {key: [] for key in rooms}
    async with asyncio.timeout(WITHIN_S):
        while not until(found):
            for key, fetched in (await consumer.poll(rooms)).items():
                found[key] += fetched.messages
                if fetched.error is not None:
                    raise fetched.error
    return found


async def read_at(consumer: Consumer, key: TaskPartition, room: Room = ROOM) -> list[Received]:
    """What a partition has up to its head."""
    found: list[Received] = []
    async for fetched in fetches(consumer, key, room):
        found += fetched.messages
        if fetched.at_head:
            break
    return found


async def fetches(
    consumer: Consumer, key: TaskPartition, room: Room = ROOM
) -> AsyncGenerator[Fetched]:
    """What polls say of one partition; raises what it fails with."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            fetched = (await consumer.poll({key: room})).get(key)
            if fetched is not None:
                if fetched.error is not None:
                    raise fetched.error
                yield fetched


def values(messages: list[Received]) -> list[bytes | None]:
    """The raw values."""
    return [message.raw_value for message in messages if isinstance(message, Message)]
