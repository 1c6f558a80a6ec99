"""A real broker for the benchmarks, and topics with orders in them."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.orders import raw_orders
from tests.services.kafka import Cluster

AIOKAFKA: Any = import_module("aiokafka")
ADMIN: Any = import_module("aiokafka.admin")

PARTITIONS = 4
BATCH_BYTES = 1 << 18


@contextmanager
def broker() -> Generator[str]:
    """The address of a broker of one node on loopback, killed at the end."""
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
        yield next(iter(cluster.address.addresses.values()))


def new_topics(
    address: str, *, orders: int, outputs: int, partitions: int = PARTITIONS
) -> list[str]:
    """A topic with so many orders, and so many empty ones; their names."""
    return asyncio.run(_new_topics(address, orders, outputs, partitions))


async def _new_topics(address: str, orders: int, outputs: int, partitions: int) -> list[str]:
    names = [f"topic-{uuid.uuid4().hex}" for _ in range(1 + outputs)]
    await _create(address, names, partitions)
    producer = AIOKAFKA.AIOKafkaProducer(bootstrap_servers=address, max_batch_size=BATCH_BYTES)
    await producer.start()
    builders = [producer.create_batch() for _ in range(partitions)]
    sent: list[Any] = []
    for number, (key, value) in enumerate(raw_orders(orders)):
        at = number % partitions
        if builders[at].append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(builders[at], names[0], partition=at))
            builders[at] = producer.create_batch()
            builders[at].append(key=key, value=value, timestamp=None)
    for at, builder in enumerate(builders):
        sent.append(await producer.send_batch(builder, names[0], partition=at))
    await asyncio.gather(*sent)
    await producer.stop()
    return names


async def _create(address: str, names: list[str], partitions: int, **config: str) -> None:
    admin = ADMIN.AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    topics = [ADMIN.NewTopic(name, partitions, 1, topic_configs=config) for name in names]
    await admin.create_topics(topics)
    await admin.close()


def new_large_topic(address: str, *, records: int, size: int) -> str:
    """A topic of one partition with records of one size."""
    return asyncio.run(_new_large_topic(address, records, size))


async def _new_large_topic(address: str, records: int, size: int) -> str:
    name = f"topic-{uuid.uuid4().hex}"
    await _create(address, [name], 1, **{"max.message.bytes": str(2 * size)})
    producer = AIOKAFKA.AIOKafkaProducer(bootstrap_servers=address, max_request_size=2 * size)
    await producer.start()
    for _ in range(records):
        await producer.send_and_wait(name, b"x" * size, partition=0)
    await producer.stop()
    return name


def read_from_start(consumer: Any, topic: str) -> None:
    """Assign all partitions of a topic to a started consumer, each from its first message."""
    partitions = [AIOKAFKA.TopicPartition(topic, at) for at in range(PARTITIONS)]
    consumer.assign(partitions)
    for partition in partitions:
        consumer.seek(partition, 0)


async def count_of(address: str, topic: str) -> int:
    """How many records a topic has."""
    consumer = AIOKAFKA.AIOKafkaConsumer(topic, bootstrap_servers=address)
    await consumer.start()
    partitions = list(consumer.assignment())
    ends: dict[Any, int] = await consumer.end_offsets(partitions)
    await consumer.stop()
    return sum(ends.values())
