"""What a broker never takes is found and named; all else of its batch is written, in order."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module
from typing import Any

import pytest

from samza_py.connectors.kafka.batches import Piece
from samza_py.connectors.kafka.connection import Connection
from samza_py.connectors.kafka.producer import KafkaProducer
from samza_py.message import Outgoing
from samza_py.producer import Failures, Rejected, Retry, Unknown
from tests.connectors.kafka.producing import (
    OUTPUT,
    arrived,
    message,
    numbered,
    producing,
    put,
    texts,
    values,
)
from tests.services.kafka_clients import new_topic
from tests.services.kafka_listeners import Kafka

pytestmark = pytest.mark.service

ERRORS: Any = import_module("aiokafka.errors")
HOUR_MS = 3_600_000


def rejected(failures: Failures) -> list[int]:
    """Which messages were rejected; nothing else may have happened to any."""
    assert all(isinstance(one, Rejected) for one in failures.values()), failures
    return sorted(failures)


def connection_of(producer: KafkaProducer) -> Connection:
    connection = producer._outputs[OUTPUT]._connection
    assert connection is not None
    return connection


def late(number: int) -> Outgoing:
    """A message from a future that brokers do not believe in."""
    at = int(time.time() * 1000) + 2 * HOUR_MS
    return message(str(number).encode(), timestamp_ms=at)


async def test_a_message_above_the_largest_request_is_rejected_alone(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        batch = numbered(range(6))
        batch[0] = message(bytes(1 << 20))
        batch[3] = message(bytes(3 << 20))
        assert rejected(await put(producer, batch)) == [0, 3]
        assert rejected(await put(producer, [batch[0]])) == [0]
        assert not await put(producer, numbered(range(6, 8)))
    assert await values(kafka, topic) == texts([1, 2, 4, 5, 6, 7])


async def test_a_message_above_the_brokers_limit_is_rejected_alone(kafka: Kafka) -> None:
    topic = await new_topic(kafka, config={"max.message.bytes": "20000"})
    async with producing(kafka, topic) as producer:
        batch = numbered(range(30), size=1000)
        batch[7] = message(bytes(20_000))
        failures = await put(producer, batch)
        assert rejected(failures) == [7]
        assert f"{topic}[0]" in str(failures[7].error)
        assert rejected(await put(producer, [batch[7]])) == [0]
        assert not await put(producer, numbered(range(30, 40)))
    assert await values(kafka, topic) == texts([n for n in range(40) if n != 7])


async def test_a_batch_above_the_brokers_limit_is_written_in_smaller_ones(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await new_topic(kafka, config={"max.message.bytes": "20000"})
    async with producing(kafka, topic) as producer:
        assert not await put(producer, numbered(range(200), size=1000))
        refused: list[int] = []
        connection = connection_of(producer)
        take_back = connection.take_back

        def noted(piece: Piece) -> None:
            refused.append(piece.size)
            take_back(piece)

        monkeypatch.setattr(connection, "take_back", noted)
        assert not await put(producer, numbered(range(200, 400), size=1000))
        assert not refused, "batches are made small enough from the first refusal on"
    assert await values(kafka, topic) == texts(range(400))


async def test_our_largest_batch_is_one_that_brokers_take(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        assert not await put(producer, numbered(range(2500), size=1000))
        largest = connection_of(producer)._client._message_accumulator._batch_size
        assert largest == 1 << 20, "nothing was refused"
    assert await values(kafka, topic) == texts(range(2500))


@pytest.mark.parametrize("where", [0, 5, 9])
async def test_a_time_that_the_broker_refuses_is_rejected_alone(kafka: Kafka, where: int) -> None:
    topic = await new_topic(kafka, config={"message.timestamp.after.max.ms": str(HOUR_MS)})
    async with producing(kafka, topic) as producer:
        before = connection_of(producer)
        for start in (0, 10):
            batch = numbered(range(start, start + 10))
            batch[where] = late(start + where)
            assert rejected(await put(producer, batch)) == [where]
        assert not await put(producer, numbered(range(20, 25)))
        assert connection_of(producer) is before, "a refusal poisons no connection"
    assert await values(kafka, topic) == texts([n for n in range(25) if n % 10 != where or n > 19])


async def test_a_message_without_a_key_is_rejected_by_a_compacted_topic(kafka: Kafka) -> None:
    topic = await new_topic(kafka, config={"cleanup.policy": "compact"})
    async with producing(kafka, topic) as producer:
        batch = [message(str(n).encode(), None if n in (2, 5) else b"%d" % n) for n in range(8)]
        failures = await put(producer, batch)
        assert rejected(failures) == [2, 5]
        assert "a compacted topic takes none without a key" in str(failures[2].error)
        assert not await put(producer, [message(b"8", b"8")])
    assert await values(kafka, topic) == texts([0, 1, 3, 4, 6, 7, 8])


async def test_a_whole_write_can_be_rejected(kafka: Kafka) -> None:
    topic = await new_topic(kafka, config={"cleanup.policy": "compact"})
    async with producing(kafka, topic) as producer:
        assert len(rejected(await put(producer, numbered(range(300), None)))) == 300
        assert not await put(producer, numbered(range(300, 303)))
    assert [int(value) for value in await values(kafka, topic)] == [300, 301, 302]


async def test_other_partitions_go_on_beside_a_refusal(kafka: Kafka) -> None:
    topic = await new_topic(kafka, partitions=3)
    async with producing(kafka, topic, max_request_bytes=20_000) as producer:
        batch = numbered(range(300), size=500)
        batch[100] = late(100)
        batch[201] = late(201)
        for number, one in enumerate(batch):
            one.partition = str(number % 3)
        assert rejected(await put(producer, batch)) == [100, 201]
    found = [(one.partition, int(one.value or b"")) for one in await arrived(kafka, topic)]
    assert found == [
        (partition, number)
        for partition in range(3)
        for number in range(partition, 300, 3)
        if number not in (100, 201)
    ]


async def test_sequence_numbers_never_reach_their_end(kafka: Kafka) -> None:
    """Aiokafka's become negative there, which brokers refuse as an invalid record."""
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        assert not await put(producer, [message(b"0")])
        used = connection_of(producer)._client._txn_manager._sequence_numbers
        (partition,) = used
        async with producing(kafka, topic) as other:  # one that the broker knows nothing of
            sequences = connection_of(other)._client._txn_manager._sequence_numbers
            sequences[partition] = 2**31 - 3
            before = connection_of(other)
            for start in range(1, 13, 4):
                assert not await put(other, numbered(range(start, start + 4)))
            assert connection_of(other) is not before
    assert await values(kafka, topic) == texts(range(13))


async def test_writes_go_on_while_others_wait_for_their_refusals(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        first = numbered(range(20))
        first[4] = late(4)
        receipts = await asyncio.gather(
            producer.write(first), producer.write(numbered(range(20, 40)))
        )
        assert [rejected(await receipt) for receipt in receipts] == [[4], []]
    assert await values(kafka, topic) == texts([n for n in range(40) if n != 4])


async def test_a_broker_that_lost_count_of_us_gets_another_client(kafka: Kafka) -> None:
    """Nobody knows what it has written (aiokafka's issue 1017); a new client begins again."""
    topic = await new_topic(kafka, partitions=2)
    async with producing(kafka, topic) as producer:
        assert not await put(producer, [message(b"0", partition="1")])
        manager = connection_of(producer)._client._txn_manager
        (partition,) = manager._sequence_numbers
        manager.increment_sequence_number(partition, 5)
        batch = [message(b"1", partition="1"), message(b"2", partition="0")]
        failures = await put(producer, batch)
        assert {index: type(one) for index, one in failures.items()} == {0: Unknown}
        assert "OutOfOrderSequenceNumber" in str(failures[0].error)
        assert not await put(producer, batch[:1])
        assert not await put(producer, [message(b"3", partition="1")])
    assert await values(kafka, topic) == texts([2, 0, 1, 3])


async def test_a_client_whose_sender_has_died_is_made_anew(kafka: Kafka) -> None:
    """Nothing was handed to it, so that nothing was written."""
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        before = connection_of(producer)
        before._client._message_accumulator.fail_all(ERRORS.KafkaError("a bug of the library"))
        failures = await put(producer, numbered(range(3)))
        assert {type(failure) for failure in failures.values()} == {Retry}
        assert "a bug of the library" in str(failures[0].error)
        assert not await put(producer, numbered(range(3)))
        assert connection_of(producer) is not before
    assert await values(kafka, topic) == texts(range(3))
