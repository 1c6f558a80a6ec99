"""What tests of the Kafka producer share: a producer to a topic, and all that arrived there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from samza_py.connectors.kafka import Kafka
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.producer import KafkaProducer
from samza_py.message import Outgoing
from samza_py.producer import Failures
from tests.services.kafka_clients import CLIENTS, WITHIN_S, client_settings, started
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Address

OUTPUT = "out"


@dataclass(frozen=True)
class Arrived:
    """A message as it lies in a topic."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: tuple[tuple[str, bytes], ...]


def cluster_of(address: Address, **fields: Any) -> Cluster:
    """The cluster, as a job with nothing but its address knows it; ``fields`` are put over that."""
    return replace(Kafka(address.bootstrap(PLAINTEXT)).cluster, **fields)


@asynccontextmanager
async def producing(address: Address, *topics: str, **fields: Any) -> AsyncGenerator[KafkaProducer]:
    """An open producer; its output for the first topic is ``OUTPUT``."""
    names = {OUTPUT if topic == topics[0] else topic: topic for topic in topics}
    async with KafkaProducer(cluster_of(address, **fields), names) as producer:
        yield producer


def message(
    value: bytes | None,
    key: bytes | None = b"key",
    *,
    stream: str = OUTPUT,
    partition: str | None = None,
    timestamp_ms: int = -1,
    headers: Sequence[tuple[str, bytes]] = (),
) -> Outgoing:
    """One message for ``OUTPUT``."""
    return Outgoing(stream, key, value, timestamp_ms, partition=partition, headers=tuple(headers))


def numbered(numbers: range, key: bytes | None = b"key", size: int = 0) -> list[Outgoing]:
    """Messages whose values begin with their numbers, and have at least so many bytes."""
    return [message(str(number).encode().ljust(size), key) for number in numbers]


async def put(producer: KafkaProducer, batch: Sequence[Outgoing]) -> Failures:
    """Write and wait for what became of it."""
    async with asyncio.timeout(WITHIN_S):
        return await (await producer.write(batch))


async def arrived(address: Address, topic: str) -> list[Arrived]:
    """All that lies in a topic, each partition in its order."""
    consumer = CLIENTS.AIOKafkaConsumer(
        **client_settings(address), auto_offset_reset="earliest", enable_auto_commit=False
    )
    found: list[Arrived] = []
    async with started(consumer) as reader, asyncio.timeout(WITHIN_S):
        reader._client.add_topic(topic)
        while (numbers := reader.partitions_for_topic(topic)) is None:
            await reader._client.force_metadata_update()
        partitions = [CLIENTS.TopicPartition(topic, number) for number in sorted(numbers)]
        reader.assign(partitions)
        ends = await reader.end_offsets(partitions)
        for partition in partitions:
            await reader.seek_to_beginning(partition)
        while any([await reader.position(each) < ends[each] for each in partitions]):
            for some in (await reader.getmany(timeout_ms=200)).values():
                found += [
                    Arrived(m.partition, m.offset, m.key, m.value, m.timestamp, tuple(m.headers))
                    for m in some
                ]
    return sorted(found, key=lambda one: (one.partition, one.offset))


async def values(address: Address, topic: str) -> list[bytes]:
    """The values that lie in a topic, without the spaces at their ends."""
    return [(one.value or b"").strip() for one in await arrived(address, topic)]


def texts(numbers: Sequence[int]) -> list[bytes]:
    """The values of ``numbered`` messages, as ``values`` gives them."""
    return [str(number).encode() for number in numbers]
