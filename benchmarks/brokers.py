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


def new_topics(address: str, *, orders: int, outputs: int) -> list[str]:
    """A topic with so many orders, and so many empty ones; their names."""
    return asyncio.run(_new_topics(address, orders, outputs))


async def _new_topics(address: str, orders: int, outputs: int) -> list[str]:
    names = [f"topic-{uuid.uuid4().hex}" for _ in range(1 + outputs)]
    admin = ADMIN.AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    await admin.create_topics([ADMIN.NewTopic(name, PARTITIONS, 1) for name in names])
    await admin.close()
    producer = AIOKAFKA.AIOKafkaProducer(bootstrap_servers=address, max_batch_size=BATCH_BYTES)
    await producer.start()
    builders = [producer.create_batch() for _ in range(PARTITIONS)]
    sent: list[Any] = []
    for number, (key, value) in enumerate(raw_orders(orders)):
        at = number % PARTITIONS
        if builders[at].append(key=key, value=value, timestamp=None) is None:
            sent.append(await producer.send_batch(builders[at], names[0], partition=at))
            builders[at] = producer.create_batch()
            builders[at].append(key=key, value=value, timestamp=None)
    for at, builder in enumerate(builders):
        sent.append(await producer.send_batch(builder, names[0], partition=at))
    await asyncio.gather(*sent)
    await producer.stop()
    return names


async def count_of(address: str, topic: str) -> int:
    """How many records a topic has."""
    consumer = AIOKAFKA.AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    partitions = [AIOKAFKA.TopicPartition(topic, at) for at in range(PARTITIONS)]
    ends: dict[Any, int] = await consumer.end_offsets(partitions)
    await consumer.stop()
    return sum(ends.values())
