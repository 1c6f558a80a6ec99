"""What cannot be read fails its partition alone, behind all that stands before it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from samza_py import Job, Message
from samza_py.consumer import Consumer, Fetched
from samza_py.errors import ConnectorError
from samza_py.message import Offset, Position, TaskPartition
from samza_py.resolving import resolve
from samza_py.runtime.container import Container
from tests.connectors.kafka.damaging import damage, write_header_name
from tests.connectors.kafka.reading import (
    ROOM,
    START,
    WITHIN_S,
    kafka_at,
    key_of,
    polled,
    reading,
    values,
)
from tests.services.kafka import Cluster
from tests.services.kafka_clients import new_topic, write
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = pytest.mark.service

BAD, GOOD = key_of(0), key_of(1)
POSITIONS: Mapping[TaskPartition, Position] = {BAD: START, GOOD: START}
ROOMS = dict.fromkeys(POSITIONS, ROOM)


async def test_a_header_name_that_is_not_utf8_fails_its_partition_alone(kafka: Brokers) -> None:
    topic = await new_topic(kafka, partitions=2)
    await write(kafka, topic, [b"0", b"1"])
    await write_header_name(kafka, topic, 0, b"\xff\xfe", [b"2", b"bad"])
    await write(kafka, topic, [b"4"])
    await write(kafka, topic, [b"good"], partition=1)
    async with reading(kafka_at(kafka), topic, POSITIONS) as consumer:
        found, error, position = await until_failed(consumer)
        assert found[BAD] == [b"0", b"1", b"2"]
        assert position == "2"
        assert str(error).startswith("kafka.orders[0]: what stands at offset 3 cannot be read: the")
        assert r"not UTF-8 (b'\xff\xfe')" in str(error)
        await others_are_read_on(kafka, topic, consumer, found[GOOD])
    # What people are told to do helps.
    async with reading(kafka_at(kafka), topic, {BAD: Offset("3")}) as consumer:
        behind = await polled(consumer, {BAD: ROOM}, lambda found: bool(found[BAD]))
    assert values(behind[BAD]) == [b"4"]


async def test_a_damaged_batch_fails_its_partition_alone(own_kafka: Cluster) -> None:
    brokers = own_kafka.address
    topic = await new_topic(brokers, partitions=2)
    await write(brokers, topic, [b"first", b"second", b"third"])
    await write(brokers, topic, [b"good"], partition=1)
    await asyncio.to_thread(own_kafka.stop)
    damage(own_kafka.node(1), topic, 0, b"second")
    await asyncio.to_thread(own_kafka.start)
    async with reading(kafka_at(brokers), topic, POSITIONS) as consumer:
        found, error, position = await until_failed(consumer)
        assert found[BAD] == [b"first"]
        assert position == "0"
        assert str(error).startswith("kafka.orders[0]: what stands at offset 1 cannot be read: its")
        assert "batch is damaged (" in str(error)
        await others_are_read_on(brokers, topic, consumer, found[GOOD])


async def until_failed(
    consumer: Consumer,
) -> tuple[dict[TaskPartition, list[bytes | None]], BaseException, Position]:
    """What polls bring until the bad partition fails: values, its error, and its position."""
    found: dict[TaskPartition, list[bytes | None]] = {key: [] for key in POSITIONS}
    position: Position = START
    async with asyncio.timeout(WITHIN_S):
        while True:
            for key, fetched in (await consumer.poll(ROOMS)).items():
                found[key] += values(list(fetched.messages))
                position = fetched.position if key == BAD else position
                if fetched.error is not None:
                    assert key == BAD
                    assert isinstance(fetched.error, ConnectorError)
                    return found, fetched.error, position


async def others_are_read_on(
    brokers: Brokers, topic: str, consumer: Consumer, had: list[bytes | None]
) -> None:
    """All of the good partition comes, once, and nothing more of the bad one."""
    await write(brokers, topic, [b"more"], partition=1)
    told: dict[TaskPartition, Fetched] = {}
    async with asyncio.timeout(WITHIN_S):
        while had != [b"good", b"more"]:
            told = dict(await consumer.poll(ROOMS))
            had += values(list(told[GOOD].messages)) if GOOD in told else []
            assert BAD not in told


async def test_a_job_does_all_that_can_be_read_and_says_what_cannot(kafka: Brokers) -> None:
    topic = await new_topic(kafka, partitions=2)
    await write(kafka, topic, [b"0"])
    await write_header_name(kafka, topic, 0, b"\xff", [b"1", b"bad"])
    await write(kafka, topic, [b"good"], partition=1)
    job = Job(topic, commit_interval="200ms")
    seen: set[bytes] = set()

    @job.task(kafka_at(kafka).topic("orders", physical=topic))
    async def look(order: Message[bytes, bytes]) -> None:
        seen.add(order.value)

    # A failure ends all tasks, also one that has something buffered: each start goes on.
    for _ in range(5):
        with pytest.raises(ConnectorError, match=r"orders\[0\]: what stands at offset 2 cannot be"):
            await asyncio.wait_for(Container(resolve(job).resolved).run(), WITHIN_S)
        if seen == {b"0", b"1", b"good"}:
            break
    assert seen == {b"0", b"1", b"good"}
