"""Real brokers do what they are told, and come back after their death."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.services.failing import ServiceError
from tests.services.kafka import Cluster
from tests.services.kafka_clients import leader_of, new_topic, read, write
from tests.services.kafka_listeners import Kafka

pytestmark = pytest.mark.service


@pytest.mark.parametrize("part", [1, 2])
async def test_what_is_written_is_read(kafka: Kafka, part: int) -> None:
    topic = await new_topic(kafka)
    values = [b"%d of %d" % (number, part) for number in range(100)]
    await write(kafka, topic, values)
    assert await read(kafka, topic, 100) == values


async def test_a_killed_broker_comes_back_on_its_port_with_its_data(own_kafka: Cluster) -> None:
    kafka = own_kafka.address
    topic = await new_topic(kafka)
    await write(kafka, topic, [b"before"])
    node = own_kafka.node(1)
    for end in (node.kill, node.stop):
        await asyncio.to_thread(end)
        assert not node.running
        await asyncio.to_thread(node.restart)
    await write(kafka, topic, [b"after"])
    assert own_kafka.address == kafka
    assert await read(kafka, topic, 2) == [b"before", b"after"]


async def test_the_leader_of_three_is_killed_and_comes_back(three_brokers: Cluster) -> None:
    kafka = three_brokers.address
    topic = await new_topic(kafka, replicas=3, config={"min.insync.replicas": "2"})
    await write(kafka, topic, [b"1"])
    first = await leader_of(kafka, topic)
    await asyncio.to_thread(three_brokers.node(first).kill)
    await write(kafka, topic, [b"2"])
    assert await leader_of(kafka, topic) != first
    await asyncio.to_thread(three_brokers.node(first).restart)
    await write(kafka, topic, [b"3"])
    assert await read(kafka, topic, 3) == [b"1", b"2", b"3"]


def test_a_broker_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(ServiceError, match=r"Kafka node 1 ended before ready; (.|\n)*num\.io\.thr"),
        Cluster(tmp_path, settings={"num.io.threads": "0"}),
    ):
        pass


def test_a_broker_that_starts_too_slowly_is_an_error(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        node = cluster.node(1)
        node.start()
        with pytest.raises(ServiceError, match=r"Kafka node 1: not ready in 0 s; the end of "):
            node.wait_ready(0)
    finally:
        cluster.close()


async def test_a_whole_cluster_stops_and_comes_back(three_brokers: Cluster) -> None:
    kafka = three_brokers.address
    topic = await new_topic(kafka, replicas=3)
    await write(kafka, topic, [b"before"])
    await asyncio.to_thread(three_brokers.stop)
    assert not any(node.running for node in three_brokers.nodes)
    await asyncio.to_thread(three_brokers.start)
    assert await read(kafka, topic, 1) == [b"before"]
