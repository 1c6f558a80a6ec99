"""The admin against a real broker: ids, bounds, starts, trimming, and what goes wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from samza_py.admin import AtOffset, AtTime, Bounds, Newest, Oldest
from samza_py.connectors.kafka.admin import KafkaAdmin
from samza_py.connectors.kafka.system import Kafka
from samza_py.connectors.kafka.topics import KafkaTopic
from samza_py.errors import (
    ConnectorError,
    CorruptCheckpointError,
    PositionLostError,
    UnavailableError,
)
from samza_py.message import Offset, Partition
from tests.services.kafka import Cluster
from tests.services.kafka_clients import (
    ADMIN,
    client_settings,
    new_topic,
    producer,
    started,
    write,
)
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Address

ZERO = Partition("kafka", "orders", "0")


def system(kafka: Address, request_timeout: str = "10s") -> Kafka:
    return Kafka(kafka.bootstrap(PLAINTEXT), request_timeout=request_timeout)


@asynccontextmanager
async def asked(kafka: Address, physical: str) -> AsyncGenerator[KafkaAdmin]:
    """An admin of one topic, ``orders``."""
    cluster = system(kafka)
    topic: KafkaTopic[bytes, bytes] = cluster.topic("orders", physical=physical)
    async with KafkaAdmin(cluster.cluster, {"orders": topic}) as admin:
        yield admin


async def delete_topic(kafka: Address, name: str) -> None:
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as client:
        await client.delete_topics([name])


@pytest.mark.service
async def test_partitions_have_the_topics_id_as_their_lineage(kafka: Address) -> None:
    name = await new_topic(kafka, partitions=3)
    async with asked(kafka, name) as admin:
        first = await admin.partitions("orders")
        assert list(first) == [Partition("kafka", "orders", str(n)) for n in range(3)]
        assert {len(info.lineage) for info in first.values()} == {22}
        assert await admin.partitions("orders") == first


@pytest.mark.service
async def test_a_topic_made_again_has_another_lineage(kafka: Address) -> None:
    name = await new_topic(kafka)
    async with asked(kafka, name) as admin:
        first = (await admin.partitions("orders"))[ZERO].lineage
        await delete_topic(kafka, name)
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as client:
            await client.create_topics([ADMIN.NewTopic(name, 1, 1)])
        found = await admin.partitions("orders")
    assert found[ZERO].lineage != first


@pytest.mark.service
async def test_a_missing_topic_is_named_by_every_question(kafka: Address) -> None:
    async with asked(kafka, "nobody-made-this") as admin:
        with pytest.raises(ConnectorError, match=r"nobody-made-this does not exist.*partitions="):
            await admin.partitions("orders")
        with pytest.raises(ConnectorError, match="nobody-made-this does not exist"):
            await admin.bounds([ZERO])
        with pytest.raises(ConnectorError, match="nobody-made-this does not exist"):
            await admin.start_position(ZERO, Oldest())
        with pytest.raises(ConnectorError, match="nobody-made-this does not exist"):
            await admin.trim({ZERO: Offset("0")})
        with pytest.raises(ConnectorError, match="nobody-made-this does not exist"):
            await admin.create(["orders"])


@pytest.mark.service
async def test_a_partition_that_is_not_there_is_said(kafka: Address) -> None:
    name = await new_topic(kafka)
    async with asked(kafka, name) as admin:
        with pytest.raises(ConnectorError, match="has no partition 7, it has 1"):
            await admin.bounds([Partition("kafka", "orders", "7")])
        with pytest.raises(ConnectorError, match="no such partition"):
            await admin.bounds([Partition("kafka", "orders", "shard-7")])


@pytest.mark.service
async def test_an_empty_log_has_its_bounds_before_its_first_offset(kafka: Address) -> None:
    name = await new_topic(kafka, partitions=2)
    one = Partition("kafka", "orders", "1")
    async with asked(kafka, name) as admin:
        empty = Bounds(Offset("-1"), Offset("-1"))
        assert await admin.bounds([ZERO, one]) == {ZERO: empty, one: empty}
        await write(kafka, name, [b"0", b"1", b"2"])
        filled = Bounds(Offset("-1"), Offset("2"))
        assert await admin.bounds([ZERO, one]) == {ZERO: filled, one: empty}
        await admin.trim({ZERO: Offset("2")})
        gone = Bounds(Offset("2"), Offset("2"))
        assert await admin.bounds([ZERO]) == {ZERO: gone}


@pytest.mark.service
async def test_the_end_stands_before_an_open_transaction_and_behind_a_marker(
    kafka: Address,
) -> None:
    name = await new_topic(kafka)
    writer = producer(kafka, transactional_id=f"id-{uuid.uuid4().hex}")
    async with asked(kafka, name) as admin, started(writer) as client:
        await client.begin_transaction()
        await client.send_and_wait(name, b"0", partition=0)
        assert (await admin.bounds([ZERO]))[ZERO].newest == "-1"
        await client.commit_transaction()
        for _ in range(200):  # markers are written after the answer
            if (await admin.bounds([ZERO]))[ZERO].newest != "-1":
                break
            await asyncio.sleep(0.02)
        assert (await admin.bounds([ZERO]))[ZERO].newest == "1"


@pytest.mark.service
async def test_starts_are_resolved(kafka: Address) -> None:
    name = await new_topic(kafka, config={"retention.ms": "-1"})
    times = [1_700_000_000_000 + 1000 * number for number in range(3)]
    async with asked(kafka, name) as admin, started(producer(kafka)) as client:
        for time in times:
            await client.send_and_wait(name, b"x", partition=0, timestamp_ms=time)

        async def at(start: Oldest | Newest | AtTime | AtOffset) -> object:
            return await admin.start_position(ZERO, start)

        assert await at(Oldest()) == "-1"
        assert await at(Newest()) == "2"
        assert [await at(AtTime(time)) for time in times] == ["-1", "0", "1"]
        assert await at(AtTime(times[1] - 1)) == "0"
        assert await at(AtTime(times[2] + 1)) == "2"
        assert await at(AtTime(-5)) == "-1"
        assert [await at(AtOffset({"0": n})) for n in ("-1", "0", "2")] == ["-1", "0", "2"]
        assert await at(AtOffset({"1": "5"})) == "-1"
        for lost in ("3", "-2", "a word"):
            with pytest.raises(PositionLostError):
                await at(AtOffset({"0": lost}))
        await admin.trim({ZERO: Offset("1")})
        assert await at(Oldest()) == "1"
        with pytest.raises(PositionLostError, match="not between 1 and 2"):
            await at(AtOffset({"0": "0"}))


@pytest.mark.service
async def test_trimming_twice_is_no_error_and_beyond_the_end_is_one(kafka: Address) -> None:
    name = await new_topic(kafka)
    await write(kafka, name, [b"0", b"1"])
    async with asked(kafka, name) as admin:
        for _ in range(2):
            await admin.trim({ZERO: Offset("0")})
        assert (await admin.bounds([ZERO]))[ZERO] == Bounds(Offset("0"), Offset("1"))
        with pytest.raises(ConnectorError):
            await admin.trim({ZERO: Offset("5")})


def test_offsets_compare_as_numbers() -> None:
    admin = KafkaAdmin(Kafka("127.0.0.1:1").cluster, {})
    assert admin.compare(Offset("9"), Offset("10")) < 0 < admin.compare(Offset("0"), Offset("-1"))
    assert admin.compare(Offset("7"), Offset("7")) == 0
    for wrong in ("", "-2", "07", "1.0", "\u0663", "x", "1 "):
        with pytest.raises(CorruptCheckpointError, match="no offset"):
            admin.compare(Offset("1"), Offset(wrong))


@pytest.mark.service
async def test_a_broker_that_is_away_is_unavailable_and_comes_back(own_kafka: Cluster) -> None:
    kafka = own_kafka.address
    name = await new_topic(kafka)
    cluster = system(kafka, request_timeout="2s")
    topic = cluster.topic("orders", physical=name)
    async with KafkaAdmin(cluster.cluster, {"orders": topic}) as admin:
        before = await admin.bounds([ZERO])
        await asyncio.to_thread(own_kafka.kill)
        async with asyncio.timeout(10):
            with pytest.raises(UnavailableError):
                await admin.bounds([ZERO])
            with pytest.raises(UnavailableError):
                await admin.partitions("orders")
        await asyncio.to_thread(own_kafka.node(1).restart)
        assert await admin.bounds([ZERO]) == before


@pytest.mark.service
async def test_nothing_waits_longer_than_the_request_timeout(own_kafka: Cluster) -> None:
    kafka = own_kafka.address
    name = await new_topic(kafka)
    cluster = system(kafka, request_timeout="1s")
    topic = cluster.topic("orders", physical=name)
    async with KafkaAdmin(cluster.cluster, {"orders": topic}) as admin:
        await admin.bounds([ZERO])
        own_kafka.node(1).pause()
        await asyncio.sleep(0.1)
        try:
            async with asyncio.timeout(3):
                with pytest.raises(UnavailableError):
                    await admin.bounds([ZERO])
        finally:
            own_kafka.node(1).resume()


@pytest.mark.service
async def test_one_broker_of_three_may_be_away(three_brokers: Cluster) -> None:
    kafka = three_brokers.address
    name = await new_topic(kafka, partitions=3, replicas=3)
    async with asked(kafka, name) as admin:
        first = await admin.partitions("orders")
        await asyncio.to_thread(three_brokers.node(1).kill)
        for _ in range(20):
            assert await admin.partitions("orders") == first
        for _ in range(100):  # those that it led have another leader in a moment
            with suppress(UnavailableError):
                assert len(await admin.bounds(list(first))) == 3
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("nobody took over")


async def test_nobody_there_is_unavailable() -> None:
    cluster = Kafka("127.0.0.1:1", request_timeout="1s")
    admin = KafkaAdmin(cluster.cluster, {})
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1"):
        await admin.aopen()
    await admin.aclose()
