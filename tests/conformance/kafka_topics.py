"""Topics of a real broker, as the conformance suite wants to have them."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from samza_py.connectors.kafka import Kafka, KafkaTopic
from samza_py.message import Outgoing
from samza_py.testing import Capability, ConnectorHarness
from tests.services.kafka_clients import ADMIN, CLIENTS, client_settings, producer, started
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Address

PARTITIONS = 2
MOST_BYTES = 4 << 20


class KafkaTopicsHarness(ConnectorHarness):
    """A topic of its own, of two partitions. What it says of it comes from another client.

    Args:
        address: of the broker; left out where only the capabilities are read.
    """

    capabilities: Collection[Capability] = {
        Capability.READS,
        Capability.WRITES,
        Capability.PARTITIONS,
        Capability.GROWS,
        Capability.LINEAGE,
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
    }
    quiet_s = 0.6  # a fill waits for half a second
    patience_s = 20.0

    def __init__(self, address: Address | None = None) -> None:
        self._address = address
        bootstrap = address.bootstrap(PLAINTEXT) if address else "127.0.0.1:1"
        self._topic = f"orders-{uuid.uuid4().hex}"
        self._kafka = Kafka(bootstrap, max_request_bytes=MOST_BYTES)

    async def aopen(self) -> None:
        await self._create()

    async def aclose(self) -> None:
        await self._delete()

    async def _create(self) -> None:
        config = {"max.message.bytes": str(MOST_BYTES), "retention.ms": "-1"}
        topic = ADMIN.NewTopic(self._topic, PARTITIONS, 1, topic_configs=config)
        async with started(ADMIN.AIOKafkaAdminClient(**self._settings)) as admin:
            answer = await admin.create_topics([topic])
        assert not any(error[1] for error in answer.topic_errors), answer

    async def _delete(self) -> None:
        async with started(ADMIN.AIOKafkaAdminClient(**self._settings)) as admin:
            await admin.delete_topics([self._topic])

    @property
    def _settings(self) -> dict[str, Any]:
        assert self._address is not None
        return client_settings(self._address)

    @property
    def system(self) -> Kafka:
        return self._kafka

    @property
    def source(self) -> KafkaTopic[bytes, bytes]:
        return self._kafka.topic("orders", physical=self._topic)

    @property
    def missing(self) -> KafkaTopic[bytes, bytes]:
        return self._kafka.topic("nobody", physical=f"{self._topic}-nobody", partitions=1)

    async def put(self, partition: str, messages: Sequence[Outgoing]) -> None:
        assert self._address is not None
        writing = producer(self._address, max_request_size=MOST_BYTES, linger_ms=5)
        async with started(writing) as writer:
            for m in messages:
                await writer.send(
                    self._topic,
                    m.value,
                    m.key,
                    partition=int(partition),
                    timestamp_ms=m.timestamp_ms,
                    headers=list(m.headers),
                )
            await writer.flush()

    async def arrived(self) -> Mapping[str, Sequence[Outgoing]]:
        found: dict[str, list[Outgoing]] = {}
        reading = CLIENTS.AIOKafkaConsumer(
            **self._settings, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        async with started(reading) as consumer:
            partitions = [CLIENTS.TopicPartition(self._topic, at) for at in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(one) < end for one, end in ends.items()]):
                for at, records in (await consumer.getmany(timeout_ms=100)).items():
                    found.setdefault(str(at.partition), []).extend(
                        Outgoing("orders", r.key, r.value, r.timestamp, headers=r.headers)
                        for r in records
                    )
        return found

    def unacceptable(self, number: int) -> Outgoing:
        return self.message(number, MOST_BYTES + 1)

    async def recreate(self) -> None:
        await self._delete()
        await self._create()
