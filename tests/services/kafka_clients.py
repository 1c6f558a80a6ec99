"""aiokafka's clients as tests want them. It has no types: what comes from it is `Any` here."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from operator import itemgetter
from typing import Any

from tests.services.kafka_listeners import PASSWORD, PLAINTEXT, USER, Kafka, Listener

CLIENTS: Any = import_module("aiokafka")
ADMIN: Any = import_module("aiokafka.admin")
HELPERS: Any = import_module("aiokafka.helpers")

WITHIN_S = 30.0
STOP_S = 10.0


def client_settings(
    kafka: Kafka,
    listener: Listener = PLAINTEXT,
    *,
    password: str = PASSWORD,
    certificate: bool = True,
) -> dict[str, Any]:
    """What every client of aiokafka takes to come in by a listener.

    Args:
        kafka: the cluster.
        listener: one that it has.
        password: what the user says.
        certificate: whether the client shows one where it is asked.
    """
    found: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap(listener),
        "security_protocol": listener.protocol,
    }
    if listener.mechanism:
        found |= {"sasl_mechanism": listener.mechanism}
        found |= {"sasl_plain_username": USER, "sasl_plain_password": password}
    if listener.encrypted:
        assert kafka.certificates is not None
        mine = kafka.certificates.client if listener.asks_certificate and certificate else None
        found["ssl_context"] = HELPERS.create_ssl_context(
            cafile=str(kafka.certificates.authority),
            certfile=str(mine.chain) if mine else None,
            keyfile=str(mine.key) if mine else None,
        )
    return found


@asynccontextmanager
async def started(client: Any) -> AsyncGenerator[Any]:
    """Start a client, and stop it whatever happens; both have a deadline.

    What others call ``stop``, the client of the admin calls ``close``.
    """
    stop = client.close if isinstance(client, ADMIN.AIOKafkaAdminClient) else client.stop
    try:
        async with asyncio.timeout(WITHIN_S):
            await client.start()
        yield client
    finally:
        async with asyncio.timeout(STOP_S):
            await stop()


async def new_topic(
    kafka: Kafka,
    *,
    partitions: int = 1,
    replicas: int = 1,
    config: Mapping[str, str] | None = None,
) -> str:
    """Make a topic that no other test has; its name."""
    name = f"topic-{uuid.uuid4().hex}"
    client = ADMIN.AIOKafkaAdminClient(**client_settings(kafka))
    async with started(client) as admin, asyncio.timeout(WITHIN_S):
        topic = ADMIN.NewTopic(name, partitions, replicas, topic_configs=dict(config or {}))
        answer = await admin.create_topics([topic])
    failed = [error for error in answer.topic_errors if error[1] != 0]
    assert not failed, failed
    return name


def producer(kafka: Kafka, listener: Listener = PLAINTEXT, **settings: Any) -> Any:
    """A producer that is not started yet, acknowledged by all replicas."""
    given = {"acks": "all", **settings}
    return CLIENTS.AIOKafkaProducer(**client_settings(kafka, listener), **given)


async def write(
    kafka: Kafka,
    topic: str,
    values: list[bytes],
    listener: Listener = PLAINTEXT,
    *,
    partition: int = 0,
) -> None:
    """Write to a partition, one after another, and wait for the acknowledgements."""
    async with started(producer(kafka, listener)) as writer, asyncio.timeout(WITHIN_S):
        for value in values:
            await writer.send_and_wait(topic, value, partition=partition)


async def read(kafka: Kafka, topic: str, count: int, listener: Listener = PLAINTEXT) -> list[bytes]:
    """Read the first values of partition 0."""
    partition = CLIENTS.TopicPartition(topic, 0)
    settings = client_settings(kafka, listener)
    consumer = CLIENTS.AIOKafkaConsumer(**settings, auto_offset_reset="earliest")
    found: list[bytes] = []
    async with started(consumer) as reader, asyncio.timeout(WITHIN_S):
        reader.assign([partition])
        await reader.seek_to_beginning(partition)
        while len(found) < count:
            fetched = await reader.getmany(partition, timeout_ms=200)
            found += [message.value for message in fetched.get(partition, ())]
    return found


async def leader_of(kafka: Kafka, topic: str) -> int:
    """The `node.id` of the broker that leads partition 0."""
    client = ADMIN.AIOKafkaAdminClient(**client_settings(kafka))
    async with started(client) as admin, asyncio.timeout(WITHIN_S):
        (described,) = await admin.describe_topics([topic])
    leader: int = min(described["partitions"], key=itemgetter("partition"))["leader"]
    return leader
