"""What is planned for declared topics, and topics that a real broker is asked to make."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from samza_py.connectors.kafka.admin import KafkaAdmin
from samza_py.connectors.kafka.creating import BROKERS_DEFAULT, Creation, planned
from samza_py.connectors.kafka.system import Kafka
from samza_py.connectors.kafka.topic_ids import TopicFound
from samza_py.connectors.kafka.topics import KafkaTopic
from samza_py.errors import ConnectorError, UnavailableError
from tests.services.kafka import Cluster
from tests.services.kafka_clients import ADMIN, client_settings, new_topic, started
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Address

HERE = Kafka("127.0.0.1:9092")


def there(name: str, partitions: int, **config: str) -> TopicFound:
    shown = {key.replace("_", "."): value for key, value in config.items()}
    return TopicFound(name, "id", dict.fromkeys(range(partitions), 1), shown)


def test_nothing_is_planned_where_all_is_as_declared() -> None:
    streams = [
        HERE.topic("plain"),
        HERE.topic("full", partitions=2, config={"retention.ms": "5"}),
    ]
    found = {"plain": there("plain", 7), "full": there("full", 2, retention_ms="5")}
    assert planned(streams, found) == []


def test_a_missing_topic_with_partitions_is_made() -> None:
    orders = HERE.topic("orders", physical="orders-v2", partitions=3, config={"a": "b"})
    (change,) = planned([orders], {})
    assert change.creation == Creation("orders-v2", 3, BROKERS_DEFAULT, {"a": "b"})
    assert "orders-v2 is made" in change.text
    (change,) = planned([HERE.topic("orders", partitions=3, replicas=2)], {})
    assert change.creation == Creation("orders", 3, 2, {})
    assert "partitions=3, 2 replicas" in change.text


def test_what_differs_cannot_be_made() -> None:
    orders = HERE.topic("orders", partitions=3, config={"retention.ms": "5", "no.such": "1"})
    changes = planned([orders], {"orders": there("orders", 2, retention_ms="6")})
    assert [change.creation for change in changes] == [None, None, None]
    text = " ".join(change.text for change in changes)
    for said in ("has 2 partitions, partitions=3", "no setting no.such", "retention.ms=6, 5 is"):
        assert said in text


def test_a_missing_topic_without_partitions_cannot_be_made() -> None:
    (change,) = planned([HERE.topic("orders")], {})
    assert change.creation is None
    assert "orders does not exist" in change.text
    assert "partitions=" in change.text


def declared(
    kafka: Address, **topics: int | None
) -> tuple[Kafka, dict[str, KafkaTopic[bytes, bytes]]]:
    """Topics with names of their own."""
    system = Kafka(kafka.bootstrap(PLAINTEXT), request_timeout="10s")
    streams = {
        name: system.topic(name, physical=f"{name}-{uuid.uuid4().hex}", partitions=count)
        for name, count in topics.items()
    }
    return system, streams


@pytest.mark.service
async def test_missing_topics_are_made_once(kafka: Address) -> None:
    system, streams = declared(kafka, orders=3, prices=1)
    there_already = await new_topic(kafka, partitions=2)
    streams["there"] = system.topic("there", physical=there_already, partitions=2)
    async with KafkaAdmin(system.cluster, streams) as admin:
        assert await admin.create(list(streams)) == ["orders", "prices"]
        assert await admin.create(list(streams)) == []
        assert len(await admin.partitions("orders")) == 3
        assert len(await admin.partitions("prices")) == 1


@pytest.mark.service
async def test_settings_are_given_and_compared(kafka: Address) -> None:
    system = Kafka(kafka.bootstrap(PLAINTEXT))
    name = f"topic-{uuid.uuid4().hex}"
    config: dict[str, str | int | float] = {"retention.ms": 86400000, "cleanup.policy": "compact"}
    topic = system.topic("orders", physical=name, partitions=1, replicas=1, config=config)
    other = system.topic("orders", physical=name, config={"retention.ms": "1"})
    async with KafkaAdmin(system.cluster, {"orders": topic}) as admin:
        assert await admin.create(["orders"]) == ["orders"]
        assert await admin.create(["orders"]) == []
    async with KafkaAdmin(system.cluster, {"orders": other}) as admin:
        with pytest.raises(ConnectorError, match=r"has retention.ms=86400000, 1 is declared"):
            await admin.create(["orders"])


@pytest.mark.service
async def test_where_one_differs_none_is_made(kafka: Address) -> None:
    system, streams = declared(kafka, orders=3)
    existing = await new_topic(kafka, partitions=1)
    streams["wrong"] = system.topic("wrong", physical=existing, partitions=4)
    async with KafkaAdmin(system.cluster, streams) as admin:
        with pytest.raises(ConnectorError, match="has 1 partitions, partitions=4 is declared"):
            await admin.create(list(streams))
        with pytest.raises(ConnectorError, match="does not exist"):
            await admin.partitions("orders")


@pytest.mark.service
async def test_what_the_broker_refuses_is_said(kafka: Address) -> None:
    system = Kafka(kafka.bootstrap(PLAINTEXT))
    name = f"topic-{uuid.uuid4().hex}"
    refused = (
        system.topic("orders", physical=name, partitions=1, config={"retention.ms": "soon"}),
        system.topic("orders", physical=name, partitions=1, replicas=5),
    )
    for topic in refused:
        async with KafkaAdmin(system.cluster, {"orders": topic}) as admin:
            (said,) = await admin.plan(["orders"])
            assert not said.made
            assert name in said.text
            with pytest.raises(ConnectorError, match=name) as raised:
                await admin.create(["orders"])
            assert not isinstance(raised.value, UnavailableError)


@pytest.mark.service
async def test_where_the_broker_refuses_one_none_is_made(kafka: Address) -> None:
    system, streams = declared(kafka, orders=3)
    name = f"topic-{uuid.uuid4().hex}"
    streams["wrong"] = system.topic("wrong", physical=name, partitions=1, replicas=5)
    async with KafkaAdmin(system.cluster, streams) as admin:
        with pytest.raises(ConnectorError, match="fewer brokers than replicas"):
            await admin.create(list(streams))
        assert [one.made for one in await admin.plan(list(streams))] == [True, False]


@pytest.mark.service
async def test_many_containers_may_start_at_once(kafka: Address) -> None:
    system, streams = declared(kafka, orders=2)

    async def start() -> list[str]:
        async with KafkaAdmin(system.cluster, streams) as admin:
            return list(await admin.create(["orders"]))

    made = await asyncio.gather(*(start() for _ in range(5)))
    assert sorted(made, reverse=True) == [["orders"], [], [], [], []]


@pytest.mark.service
async def test_the_brokers_number_of_replicas_is_taken(three_brokers: Cluster) -> None:
    kafka = three_brokers.address
    system, streams = declared(kafka, orders=2)
    async with KafkaAdmin(system.cluster, streams) as admin:
        assert await admin.create(["orders"]) == ["orders"]
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as client:
        (topic,) = await client.describe_topics([streams["orders"].physical])
    assert [len(one["replicas"]) for one in topic["partitions"]] == [3, 3]
