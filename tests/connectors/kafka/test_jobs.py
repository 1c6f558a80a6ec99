"""Whole jobs from Kafka to Kafka: what their users see in the topics."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from samza_py import DeadLetter, Job, Message, Record
from samza_py.connectors.kafka import Kafka, lag
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.resolving import resolve
from samza_py.runtime.container import Container
from tests.connectors.kafka.reading import kafka_at
from tests.services.kafka_clients import (
    ADMIN,
    CLIENTS,
    client_settings,
    new_topic,
    producer,
    started,
)
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = pytest.mark.service

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WITHIN_S = 40.0


class Order(msgspec.Struct):
    """What is ordered."""

    number: int
    size: int = 0


def names(count: int) -> Sequence[str]:
    """Names of topics that no other test has."""
    return [f"topic-{uuid.uuid4().hex}" for _ in range(count)]


@asynccontextmanager
async def running(job: Job[Any]) -> AsyncGenerator[asyncio.Future[None]]:
    """A job that runs until the block ends, and is then stopped in good order."""
    container = Container(resolve(job).resolved)
    run = asyncio.ensure_future(container.run())
    try:
        async with asyncio.timeout(WITHIN_S):
            yield run
    finally:
        container.request_stop()
        await asyncio.wait((run,), timeout=WITHIN_S)
    if not run.cancelled():
        run.result()


async def put(brokers: Brokers, topic: str, *values: bytes, **fields: Any) -> None:
    """Write messages to partition 0."""
    async with started(producer(brokers)) as writer:
        for value in values:
            await writer.send_and_wait(topic, value, partition=0, **fields)


async def read(brokers: Brokers, topic: str, count: int) -> list[Any]:
    """The first records of a topic, whatever its partitions, once they are there."""
    settings = {**client_settings(brokers), "auto_offset_reset": "earliest"}
    settings["metadata_max_age_ms"] = 500
    found: list[Any] = []
    async with started(CLIENTS.AIOKafkaConsumer(topic, **settings)) as consumer:
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found


def shop(brokers: Brokers, name: str, **settings: Any) -> tuple[Kafka, Job[None]]:
    """A system and a job of a name of its own."""
    return kafka_at(brokers), Job(f"{name}-{uuid.uuid4().hex}", commit_interval="200ms", **settings)


async def test_a_start_makes_the_declared_topics_and_the_job_copies(kafka: Brokers) -> None:
    system, job = shop(kafka, "copy")
    source, target = names(2)
    orders = system.topic("orders", physical=source, value=Order, partitions=2)
    copies = system.topic("copies", physical=target, value=Order, partitions=3)

    @job.task(orders, to=copies)
    async def copy(order: Message[bytes, Order]) -> Order:
        return order.value

    async with running(job):
        await put_when_there(kafka, source, b'{"number":1}', b'{"number":2}')
        found = await read(kafka, target, 2)
    assert sorted(record.value for record in found) == [
        b'{"number":1,"size":0}',
        b'{"number":2,"size":0}',
    ]


async def put_when_there(brokers: Brokers, topic: str, *values: bytes) -> None:
    """The same, once the job has made the topic."""
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(brokers))) as admin:
        while topic not in await admin.list_topics():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await put(brokers, topic, *values)


async def test_an_input_that_is_not_there_ends_the_start(kafka: Brokers) -> None:
    system, job = shop(kafka, "missing")
    (source,) = names(1)

    @job.task(system.topic("orders", physical=source))
    async def look(order: Message[bytes, bytes]) -> None: ...

    with pytest.raises(ConnectorError, match=f"topic {source} does not exist: create it"):
        async with asyncio.timeout(WITHIN_S):
            await Container(resolve(job).resolved).run()


async def test_a_dead_letter_has_the_bytes_and_headers_of_what_came(kafka: Brokers) -> None:
    system, job = shop(kafka, "dead")
    source, target, dead = (await new_topic(kafka), *names(2))
    orders = system.topic("orders", physical=source, value=Order)
    letters = system.topic("letters", physical=dead, partitions=1)
    copies = system.topic("copies", physical=target, value=Order, partitions=1)

    @job.task(orders, to=copies, on_error=DeadLetter(letters))
    async def copy(order: Message[bytes, Order]) -> Order:
        if order.value.number < 0:
            raise ValueError("negative")
        return order.value

    headers = [("origin", b"shop 7"), ("traceparent", TRACE.encode())]
    await put(kafka, source, b"not json", b'{"number":-1}', b'{"number":3}', key=b"k",
              headers=headers)  # fmt: skip
    async with running(job):
        found = await read(kafka, dead, 2)
        (copied,) = await read(kafka, target, 1)
    assert [record.value for record in found] == [b"not json", b'{"number":-1}']
    for record in found:
        assert record.key == b"k"
        assert ("origin", b"shop 7") in record.headers
        assert [value for name, value in record.headers if name == "traceparent"] == [
            TRACE.encode()
        ]
        said = dict(record.headers)
        assert any(b"kafka.orders[0]" in value for value in said.values())
    assert copied.headers == (("traceparent", TRACE.encode()),)


async def test_a_dead_letter_that_is_too_large_is_cut_and_says_so(kafka: Brokers) -> None:
    system, job = shop(kafka, "large")
    source, dead = (await new_topic(kafka, config={"max.message.bytes": str(4 << 20)}), *names(1))
    orders = system.topic("orders", physical=source)
    letters = system.topic("letters", physical=dead, partitions=1)

    @job.task(orders, on_error=DeadLetter(letters))
    async def refuse(order: Message[bytes, bytes]) -> None:
        raise ValueError("no")

    sizes = [1_000_000, 1_048_500, 1_500_000, 3_000_000]
    headers = [("origin", b"h" * 10_000)]
    async with started(producer(kafka, max_request_size=4 << 20)) as client:
        for size in sizes:
            value = bytes([65 + size % 26]) * size
            await client.send_and_wait(source, value, partition=0, headers=headers)
    async with running(job):
        found = await read(kafka, dead, len(sizes))
    for size, record in zip(sizes, found, strict=True):
        said = dict(record.headers)
        assert said["origin"] == b"h" * 10_000
        if size == sizes[0]:
            assert len(record.value) == size
            continue
        assert 1_030_000 < len(record.value) < 1_048_576
        assert set(record.value) == {65 + size % 26}
        assert said["samza-truncated"] == b"true"
        assert said["samza-length"] == str(size).encode()


async def test_a_result_that_the_broker_refuses_goes_by_the_policy_of_its_input(
    kafka: Brokers,
) -> None:
    system, job = shop(kafka, "refused")
    source, dead = (await new_topic(kafka), *names(1))
    target = await new_topic(kafka, config={"max.message.bytes": "2000"})
    orders = system.topic("orders", physical=source, value=Order)
    copies = system.topic("copies", physical=target)
    letters = system.topic("letters", physical=dead, partitions=1)

    @job.task(orders, to=copies, on_error=DeadLetter(letters))
    async def fill(order: Message[bytes, Order]) -> Record[bytes, bytes]:
        return Record(b"x" * order.value.size, key=b"k", headers=[("number", b"%d" % 1)])

    sizes = [10, 5_000, 20, 30]
    values = [b'{"number":%d,"size":%d}' % one for one in enumerate(sizes)]
    await put(kafka, source, *values)
    async with running(job):
        (letter,) = await read(kafka, dead, 1)
        found = await read(kafka, target, 3)
    assert [len(record.value) for record in found] == [10, 20, 30]
    assert letter.value == values[1]


async def test_a_topic_made_anew_under_a_job_ends_it_and_a_restart_too(kafka: Brokers) -> None:
    system, job = shop(kafka, "anew", partition_check_interval="500ms")
    source = await new_topic(kafka)
    orders = system.topic("orders", physical=source)
    seen: list[bytes] = []

    @job.task(orders)
    async def look(order: Message[bytes, bytes]) -> None:
        seen.append(order.value)

    async def make_anew_under_it() -> None:
        async with running(job) as run:
            while len(seen) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)  # a commit
            async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
                await admin.delete_topics([source])
                await asyncio.sleep(0.2)
                await admin.create_topics([ADMIN.NewTopic(source, 1, 1)])
            await put(kafka, source, b"a", b"b", b"c")
            await asyncio.wait((run,))

    await put(kafka, source, b"1", b"2")
    with pytest.raises((PositionLostError, ConnectorError)):
        await make_anew_under_it()
    assert seen == [b"1", b"2"]
    again = Container(resolve(job).resolved)
    with pytest.raises(PositionLostError, match="the topic was deleted and made again"):
        await asyncio.wait_for(again.run(), WITHIN_S)
    assert seen == [b"1", b"2"]


async def test_partitions_that_come_while_a_job_runs_are_read(kafka: Brokers) -> None:
    system, job = shop(kafka, "grows", partition_check_interval="500ms")
    source = await new_topic(kafka)
    (target,) = names(1)
    orders = system.topic("orders", physical=source)
    copies = system.topic("copies", physical=target, partitions=1)

    @job.task(orders, to=copies)
    async def copy(order: Message[bytes, bytes]) -> bytes:
        return order.value

    await put(kafka, source, b"first")
    async with running(job):
        await read(kafka, target, 1)
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
            await admin.create_partitions({source: ADMIN.NewPartitions(total_count=2)})
        async with started(producer(kafka)) as writer:
            await writer.send_and_wait(source, b"second", partition=1)
        found = await read(kafka, target, 2)
    assert [record.value for record in found] == [b"first", b"second"]


async def test_lag_monitors_see_how_far_a_job_has_come(kafka: Brokers) -> None:
    system, job = shop(kafka, "lag")
    source = await new_topic(kafka, partitions=2)
    orders = system.topic("orders", physical=source)
    seen: list[bytes] = []

    @job.task(orders)
    async def look(order: Message[bytes, bytes]) -> None:
        seen.append(order.value)

    @job.task(orders)
    async def audit(order: Message[bytes, bytes]) -> None:
        seen.append(order.value)

    await put(kafka, source, b"1", b"2", b"3")
    async with running(job):
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
            while await committed(admin, job.name) != {(source, 0): 3}:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        await put(kafka, source, b"4")
        while len(seen) < 8:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
        assert await committed(admin, job.name) == {(source, 0): 4}
        described = await admin.describe_consumer_groups([job.name])
    assert not described[0].groups[0][5], "it has no members"


async def committed(admin: Any, group: str) -> dict[tuple[str, int], int]:
    """What the group of a job shows of the partitions that have messages."""
    try:
        found = await admin.list_consumer_group_offsets(group)
    except CLIENTS.errors.GroupCoordinatorNotAvailableError:  # the broker makes its first group
        return {}
    return {(at.topic, at.partition): one.offset for at, one in found.items() if one.offset > 0}


async def test_a_group_that_may_not_be_written_costs_one_warning(
    kafka: Brokers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "EVERY_S", 0.1)
    system, job = shop(kafka, "lag")
    source = await new_topic(kafka)
    orders = system.topic("orders", physical=source)

    @job.task(orders)
    async def look(order: Message[bytes, bytes]) -> None: ...

    # A member of the group by another client: the broker refuses offsets of outsiders then.
    settings = {**client_settings(kafka), "group_id": job.name}
    member = CLIENTS.AIOKafkaConsumer(await new_topic(kafka), **settings)
    async with started(member), running(job):
        for number in range(4):
            await put(kafka, source, b"%d" % number)
            await asyncio.sleep(0.4)
    said = [r.getMessage() for r in caplog.records if "lag monitors" in r.getMessage()]
    assert len(said) == 1
