"""Brokers die and come back: nothing is lost, nothing passes, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from samza_py.connectors.kafka import Tls
from samza_py.connectors.kafka.producer import KafkaProducer
from samza_py.errors import UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Retry, Unknown
from tests.connectors.kafka.producing import (
    OUTPUT,
    arrived,
    cluster_of,
    message,
    numbered,
    producing,
    put,
    texts,
    values,
)
from tests.services.kafka import Cluster
from tests.services.kafka_clients import ADMIN, client_settings, leader_of, new_topic, started
from tests.services.kafka_listeners import PLAINTEXT, TLS, Listener

pytestmark = pytest.mark.service

AWAY_S = 2.0
LATE_S = 1.5
"""How much later than its deadline an answer may come, on a busy machine."""


@pytest.fixture(autouse=True)
def quiet_ends(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Fail a test after which the loop, or aiokafka's sender, complains about what was given up."""
    yield
    gc.collect()
    noise = [one.message for one in caplog.records if one.name == "asyncio"]
    assert not noise
    assert "Unexpected error" not in caplog.text


async def written_through(producer: KafkaProducer, until: asyncio.Event, size: int) -> int:
    """Write numbered batches one after another until the event; how many messages."""
    number = 0
    while not until.is_set():
        assert not await put(producer, numbered(range(number, number + size)))
        number += size
    return number


def unknown(failures: Failures) -> list[int]:
    return sorted(index for index, one in failures.items() if isinstance(one, Unknown))


async def test_a_broker_dies_and_comes_back_under_load(own_kafka: Cluster) -> None:
    topic = await new_topic(own_kafka.address)
    node, enough = own_kafka.node(1), asyncio.Event()
    async with producing(own_kafka.address, topic) as producer:
        writing = asyncio.ensure_future(written_through(producer, enough, 50))
        for end in (node.kill, node.stop):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(end)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(node.restart)
        await asyncio.sleep(0.5)
        enough.set()
        written = await writing
    assert await values(own_kafka.address, topic) == texts(range(written)), "lost or doubled"


async def test_the_leader_of_three_dies_under_load(three_brokers: Cluster) -> None:
    kafka = three_brokers.address
    topic = await new_topic(kafka, replicas=3, config={"min.insync.replicas": "2"})
    enough = asyncio.Event()
    async with producing(kafka, topic) as producer:
        writing = asyncio.ensure_future(written_through(producer, enough, 50))
        await asyncio.sleep(0.5)
        leader = await leader_of(kafka, topic)
        await asyncio.to_thread(three_brokers.node(leader).kill)
        assert not await put(producer, [message(b"after")]), "by another leader"
        await asyncio.to_thread(three_brokers.node(leader).restart)
        enough.set()
        written = await writing
    found = await values(kafka, topic)
    assert found.count(b"after") == 1
    assert [value for value in found if value != b"after"] == texts(range(written))


async def test_a_partition_without_a_leader_is_waited_for_until_the_deadline(
    three_brokers: Cluster,
) -> None:
    """Aiokafka itself would give up after the time of one request, and the batch be doubled."""
    kafka = three_brokers.address
    topic = await new_topic(kafka, replicas=1)
    async with producing(kafka, topic, request_timeout_s=AWAY_S) as producer:
        assert not await put(producer, [message(b"0")])
        node = three_brokers.node(await leader_of(kafka, topic))
        await asyncio.to_thread(node.kill)
        receipt = await producer.write([message(b"1")])
        await asyncio.sleep(3 * AWAY_S)
        await asyncio.to_thread(node.restart)
        assert not await receipt
    assert await values(kafka, topic) == texts([0, 1])


async def test_with_the_broker_away_the_outcome_is_unknown_in_time(own_kafka: Cluster) -> None:
    kafka, node = own_kafka.address, own_kafka.node(1)
    topic = await new_topic(kafka, partitions=2)
    async with producing(kafka, topic, delivery_timeout_s=AWAY_S) as producer:
        assert not await put(producer, [message(b"0", partition="0")])
        await asyncio.to_thread(node.kill)
        began = time.monotonic()
        batch = [message(str(n).encode(), partition=str(n % 2)) for n in range(1, 5)]
        failures = await put(producer, batch)
        assert AWAY_S <= time.monotonic() - began < AWAY_S + LATE_S
        assert unknown(failures) == [0, 1, 2, 3]
        assert f"{topic}[1]" in str(failures[0].error)
        assert "delivery_timeout" in str(failures[0].error)
        with pytest.raises(UnavailableError):
            await producer.write(batch)
        await asyncio.to_thread(node.restart)
        await asyncio.sleep(1)  # what was given up would be sent now
        assert await values(kafka, topic) == [b"0"]
        assert not await put(producer, batch)
        assert not await put(producer, [message(b"5", partition="1")])
    found = [(one.partition, one.value) for one in await arrived(kafka, topic)]
    assert found == [(0, b"0"), (0, b"2"), (0, b"4"), (1, b"1"), (1, b"3"), (1, b"5")]


async def test_what_was_not_under_way_yet_is_surely_not_written(own_kafka: Cluster) -> None:
    kafka = own_kafka.address
    topic = await new_topic(kafka)
    settings = {"delivery_timeout_s": AWAY_S, "max_request_bytes": 10_000}
    async with producing(kafka, topic, **settings) as producer:
        await asyncio.to_thread(own_kafka.node(1).kill)
        failures = await put(producer, numbered(range(20), size=3000))
    first = unknown(failures)
    assert first == [0, 1, 2]
    assert all(isinstance(failures[index], Retry) for index in range(3, 20))


@pytest.mark.parametrize("busy", [False, True])
async def test_closing_with_the_broker_gone_is_bounded(own_kafka: Cluster, busy: bool) -> None:
    topic = await new_topic(own_kafka.address)
    producer = KafkaProducer(cluster_of(own_kafka.address), {OUTPUT: topic})
    await producer.aopen()
    assert not await put(producer, [message(b"0")])
    await asyncio.to_thread(own_kafka.node(1).kill)
    receipt = await producer.write([message(b"1")]) if busy else None
    await asyncio.sleep(0.5)
    began = time.monotonic()
    await producer.aclose()
    assert time.monotonic() - began < 2
    if receipt is not None:
        assert unknown(await receipt) == [0]


async def test_opening_with_the_broker_gone_says_so(own_kafka: Cluster) -> None:
    await asyncio.to_thread(own_kafka.node(1).kill)
    with pytest.raises(UnavailableError, match="connecting to kafka at 127"):
        async with producing(own_kafka.address, "any"):
            pass


async def test_a_deleted_topic_is_waited_for(own_kafka: Cluster) -> None:
    """It may be made again, so nothing is given up; until then every answer names it."""
    kafka = own_kafka.address
    topic = await new_topic(kafka)
    async with (
        producing(kafka, topic, delivery_timeout_s=AWAY_S) as producer,
        started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin,
    ):
        assert not await put(producer, numbered(range(5)))
        await admin.delete_topics([topic])
        assert unknown(await put(producer, [message(b"5")])) == [0]
        with pytest.raises(UnavailableError, match=f"{topic} .*not there"):
            await producer.write([message(b"5")])
        await admin.create_topics([ADMIN.NewTopic(topic, 1, 1)])
        assert not await put_at_last(producer, numbered(range(5, 8)))
    assert await values(kafka, topic) == texts(range(5, 8))


async def test_a_topic_made_again_behind_our_back_is_written_to(own_kafka: Cluster) -> None:
    kafka = own_kafka.address
    topic = await new_topic(kafka, partitions=2)
    async with (
        producing(kafka, topic, delivery_timeout_s=AWAY_S) as producer,
        started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin,
    ):
        assert not await put(producer, [message(b"0", partition="1")])
        await admin.delete_topics([topic])
        await admin.create_topics([ADMIN.NewTopic(topic, 1, 1)])
        batch = numbered(range(1, 4))
        assert not await put_at_last(producer, batch)
        assert not await put_at_last(producer, numbered(range(4, 6)))
    assert await values(kafka, topic) == texts(range(1, 6))


async def put_at_last(producer: KafkaProducer, batch: Sequence[Outgoing]) -> Failures:
    """Write as the outbox does: again as long as the outcome is not known."""
    async with asyncio.timeout(30):
        while True:
            try:
                failures = await put(producer, batch)
            except UnavailableError:
                await asyncio.sleep(0.1)
            else:
                if not failures:
                    return failures


async def test_a_frozen_broker_may_write_later_what_was_given_up(own_kafka: Cluster) -> None:
    """It had received it: the one case in which a message is doubled, and no other passes it."""
    kafka, node = own_kafka.address, own_kafka.node(1)
    topic = await new_topic(kafka)
    settings = {"delivery_timeout_s": AWAY_S, "request_timeout_s": AWAY_S}
    async with producing(kafka, topic, **settings) as producer:
        assert not await put(producer, [message(b"0")])
        node.pause()
        try:
            assert unknown(await put(producer, [message(b"1")])) == [0]
            with pytest.raises(UnavailableError):
                await producer.write([message(b"1")])
        finally:
            node.resume()
        assert not await put_at_last(producer, [message(b"1")])
        assert not await put(producer, [message(b"2")])
    assert await values(kafka, topic) in (texts([0, 1, 2]), texts([0, 1, 1, 2]))


@pytest.mark.parametrize("listener", [PLAINTEXT, TLS], ids=lambda one: one.name)
async def test_nothing_given_up_leaves_late_what_a_frozen_broker_did_not_take(
    tmp_path: Path, listener: Listener
) -> None:
    """More than the sockets hold: the rest is thrown away, where a mere close would send it."""
    cluster = Cluster(tmp_path / "kafka", listeners=[TLS] if listener is TLS else [])
    await asyncio.to_thread(cluster.start)
    try:
        kafka, node = cluster.address, cluster.node(1)
        topic = await new_topic(kafka, config={"max.message.bytes": str(30 << 20)})
        settings: dict[str, Any] = {
            "bootstrap_servers": kafka.bootstrap(listener),
            "delivery_timeout_s": AWAY_S,
            "max_request_bytes": 20 << 20,
        }
        if kafka.certificates is not None:
            settings["tls"] = Tls(ca_file=str(kafka.certificates.authority))
        async with producing(kafka, topic, **settings) as producer:
            assert not await put(producer, [message(b"0")])
            node.pause()
            try:
                assert unknown(await put(producer, [message(bytes(19 << 20))])) == [0]
            finally:
                node.resume()
            assert not await put_at_last(producer, [message(b"1")])
            await asyncio.sleep(1)
        assert await values(kafka, topic) == texts([0, 1])
    finally:
        await asyncio.to_thread(cluster.close)
