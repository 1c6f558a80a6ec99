"""Records that a broker hands out and no client can read: what is legal there, and what rots."""

from __future__ import annotations

import struct
from importlib import import_module
from typing import Any

from tests.services.kafka import Node
from tests.services.kafka_clients import ADMIN, client_settings, started
from tests.services.kafka_listeners import Kafka

RECORDS: Any = import_module("aiokafka.record.default_records")
CHECKSUMS: Any = import_module("aiokafka.record.util")
PRODUCE: Any = import_module("aiokafka.protocol.produce")

_CRC_AT = 17
_CHECKED_FROM = 21


async def write_header_name(
    kafka: Kafka, topic: str, partition: int, name: bytes, values: list[bytes]
) -> None:
    """Write a batch with the brokers' one node, where the last value's header has that name."""
    builder = RECORDS.DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    stand_in = "A" * len(name)
    for at, value in enumerate(values):
        headers = [(stand_in, b"")] if at == len(values) - 1 else []
        builder.append(at, 1_700_000_000_000, None, value, headers)
    batch = bytearray(builder.build())
    place = batch.index(stand_in.encode())
    batch[place : place + len(name)] = name
    struct.pack_into(">I", batch, _CRC_AT, CHECKSUMS.calc_crc32c(bytes(batch[_CHECKED_FROM:])))
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
        (node,) = admin._client.cluster.brokers()
        asked = PRODUCE.ProduceRequest(None, -1, 5000, [(topic, [(partition, bytes(batch))])])
        answer = await admin._client.send(node.nodeId, asked)
    ((_, ((_, code, *_),)),) = answer.topics
    assert code == 0


def damage(node: Node, topic: str, partition: int, value: bytes) -> None:
    """Change a byte of that value in the log of a broker that does not run."""
    (log,) = (node.plan.data / f"{topic}-{partition}").glob("*.log")
    held = bytearray(log.read_bytes())
    held[held.index(value)] ^= 1
    log.write_bytes(held)
