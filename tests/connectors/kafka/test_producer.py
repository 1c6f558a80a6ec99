"""What is written arrives: whole, in order, where it belongs, and settled by its receipt."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from samza_py.connectors.kafka import connection
from samza_py.connectors.kafka.connection import METADATA_S
from samza_py.errors import ConnectorError, UnavailableError
from samza_py.producer import Receipt, Rejected
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
from tests.services.kafka_clients import ADMIN, client_settings, new_topic, started
from tests.services.kafka_listeners import Kafka

pytestmark = pytest.mark.service


async def test_messages_arrive_in_the_order_of_their_writes(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        for start in range(0, 300, 100):
            assert not await put(producer, numbered(range(start, start + 100)))
    assert await values(kafka, topic) == texts(range(300))


async def test_each_key_keeps_its_order_over_partitions(kafka: Kafka) -> None:
    topic = await new_topic(kafka, partitions=5)
    chance = random.Random(1)
    async with producing(kafka, topic) as producer:
        for start in range(0, 2000, 500):
            batch = [
                message(str(n).encode(), b"key %d" % chance.randrange(50))
                for n in range(start, start + 500)
            ]
            assert not await put(producer, batch)
    found = await arrived(kafka, topic)
    assert len({one.partition for one in found}) == 5
    by_key: dict[bytes, list[int]] = {}
    for one in found:
        by_key.setdefault(one.key or b"", []).append(int(one.value or b""))
    assert sorted(n for some in by_key.values() for n in some) == list(range(2000))
    assert all(some == sorted(some) for some in by_key.values())


async def test_a_message_arrives_as_it_was(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    at = int(time.time() * 1000) - 5000
    headers = (("a", b"1"), ("a", b""), ("ü", b"\0\xff"))
    async with producing(kafka, topic) as producer:
        assert not await put(producer, [message(b"v", b"k", timestamp_ms=at, headers=headers)])
    (one,) = await arrived(kafka, topic)
    assert (one.key, one.value, one.timestamp_ms, one.headers) == (b"k", b"v", at, headers)


async def test_nothing_is_another_thing_than_empty(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    pairs = [(None, b""), (b"", None), (None, None), (b"", b"")]
    async with producing(kafka, topic) as producer:
        assert not await put(producer, [message(value, key) for key, value in pairs])
    assert [(one.key, one.value) for one in await arrived(kafka, topic)] == pairs


async def test_a_message_without_an_event_time_has_that_of_its_write(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    before = int(time.time() * 1000)
    async with producing(kafka, topic) as producer:
        assert not await put(producer, numbered(range(3)))
    for one in await arrived(kafka, topic):
        assert before <= one.timestamp_ms <= int(time.time() * 1000)


async def test_a_time_before_1970_is_rejected_alone(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        failures = await put(producer, [message(b"0", timestamp_ms=-2), *numbered(range(1, 3))])
    assert failures.keys() == {0}
    assert isinstance(failures[0], Rejected)
    assert "-2" in str(failures[0].error)
    assert await values(kafka, topic) == texts([1, 2])


async def test_a_chosen_partition_is_kept_and_one_that_is_not_there_rejected(kafka: Kafka) -> None:
    topic = await new_topic(kafka, partitions=3)
    chosen = ["2", "3", "0", "01", "x", "-1", "2"]
    async with producing(kafka, topic) as producer:
        batch = [message(str(n).encode(), partition=id_) for n, id_ in enumerate(chosen)]
        failures = await put(producer, batch)
    assert {index for index, one in failures.items() if isinstance(one, Rejected)} == {1, 3, 4, 5}
    assert "'3'" in str(failures[1].error)
    found = [(one.partition, one.value) for one in await arrived(kafka, topic)]
    assert found == [(0, b"2"), (2, b"0"), (2, b"6")]


async def test_an_added_partition_can_be_chosen_at_once(kafka: Kafka) -> None:
    topic = await new_topic(kafka, partitions=1)
    async with producing(kafka, topic) as producer:
        assert not await put(producer, [message(b"0", partition="0")])
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
            await admin.create_partitions({topic: ADMIN.NewPartitions(2)})
        async with asyncio.timeout(METADATA_S / 4):
            # The brokers may not have told each other yet.
            while failures := await put(producer, [message(b"1", partition="1")]):
                assert isinstance(failures[0], Rejected)
    assert [one.partition for one in await arrived(kafka, topic)] == [0, 1]


async def test_added_partitions_are_used_after_a_while(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "METADATA_S", 0.3)
    topic = await new_topic(kafka, partitions=1)
    async with producing(kafka, topic) as producer:
        assert not await put(producer, [message(b"0", b"%d" % n) for n in range(50)])
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
            await admin.create_partitions({topic: ADMIN.NewPartitions(4)})
        await asyncio.sleep(1.5)
        assert not await put(producer, [message(b"1", b"%d" % n) for n in range(50)])
    used = {(one.value, one.partition) for one in await arrived(kafka, topic)}
    assert used == {(b"0", 0), (b"1", 0), (b"1", 1), (b"1", 2), (b"1", 3)}


async def test_messages_without_a_key_share_a_partition_in_each_write(kafka: Kafka) -> None:
    topic = await new_topic(kafka, partitions=4)
    async with producing(kafka, topic) as producer:
        for start in range(0, 200, 10):
            assert not await put(producer, numbered(range(start, start + 10), None))
    where = {int(one.value or b""): one.partition for one in await arrived(kafka, topic)}
    assert len(where) == 200
    assert len(set(where.values())) > 1
    for start in range(0, 200, 10):
        assert len({where[n] for n in range(start, start + 10)}) == 1


async def test_what_is_not_bytes_is_rejected_alone(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    odd = [message(b"") for _ in range(4)]
    odd[0].value = {"a": "row"}
    odd[1].key = "text"  # type: ignore[assignment]
    odd[2].headers = (("a", None),)  # type: ignore[assignment]
    odd[3].headers = (("a", "text"),)  # type: ignore[assignment]
    async with producing(kafka, topic) as producer:
        failures = await put(producer, [*numbered(range(2)), *odd, *numbered(range(2, 4))])
        again = await put(producer, [odd[0]])
    assert failures.keys() == {2, 3, 5}, "a header without a value is one"
    assert all(isinstance(one, Rejected) for one in (*failures.values(), *again.values()))
    assert await values(kafka, topic) == [b"0", b"1", b"", b"2", b"3"]


async def test_more_than_a_batch_holds_goes_in_rounds(kafka: Kafka) -> None:
    topic = await new_topic(kafka, partitions=2)
    batch = numbered(range(40), size=30_000)
    for index, one in enumerate(batch):
        one.partition = str(int(index % 5 == 0))
    async with producing(kafka, topic, max_request_bytes=100_000) as producer:
        assert not await put(producer, batch)
    found = await arrived(kafka, topic)
    for partition in (0, 1):
        numbers = [int(one.value or b"") for one in found if one.partition == partition]
        assert numbers == [n for n in range(40) if int(n % 5 == 0) == partition]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
async def test_what_is_compressed_arrives(kafka: Kafka, compression: str) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic, compression=compression) as producer:
        assert not await put(producer, numbered(range(50), size=100))
    assert await values(kafka, topic) == texts(range(50))


async def test_outputs_are_independent_of_each_other(kafka: Kafka) -> None:
    one, other = await new_topic(kafka), await new_topic(kafka)
    async with producing(kafka, one, other) as producer:
        receipts = [
            await producer.write([message(b"1")]),
            await producer.write([message(b"2", stream=other)]),
        ]
        assert [dict(await receipt) for receipt in receipts] == [{}, {}]
        with pytest.raises(ConnectorError, match="several outputs"):
            await producer.write([message(b"1"), message(b"2", stream=other)])
    assert await values(kafka, one) == [b"1"]
    assert await values(kafka, other) == [b"2"]


async def test_a_topic_that_is_not_there_is_named_and_can_still_be_made(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    missing = f"{topic}-more"
    async with producing(kafka, missing) as producer:
        with pytest.raises(UnavailableError, match=f"{missing} .*not there. Make it, or declare"):
            await producer.write([message(b"1")])
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
            await admin.create_topics([ADMIN.NewTopic(missing, 1, 1)])
        assert not await put(producer, [message(b"1")])
    assert await values(kafka, missing) == [b"1"]


async def test_writes_that_overlap_keep_their_order(kafka: Kafka) -> None:
    """The outbox may go on after it was cancelled, while what it wrote before is under way."""
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        writes = [producer.write(numbered(range(n, n + 10))) for n in range(0, 100, 10)]
        receipts = await asyncio.gather(*writes)
        for receipt in receipts:
            assert not await receipt
    assert await values(kafka, topic) == texts(range(100))


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_write_leaves_nothing_behind(kafka: Kafka, turns: int) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        writing = asyncio.ensure_future(producer.write([message(b"lost")]))
        for _ in range(turns):
            await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait((writing,))
        assert not await put(producer, [message(b"1")])
    found = await values(kafka, topic)
    assert found in ([b"1"], [b"lost", b"1"])
    assert writing.cancelled() or found[0] == b"lost", "accepted means that it is written"


@pytest.mark.parametrize("after_s", [0, 0.001, 0.003, 0.01, 0.03])
@pytest.mark.parametrize("closes", [False, True])
async def test_a_write_that_connects_anew_can_be_cancelled_or_closed(
    kafka: Kafka, after_s: float, closes: bool
) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        output = producer._outputs[OUTPUT]
        assert output._connection is not None
        await output._connection.stop()
        output._connection = None
        writing = asyncio.ensure_future(producer.write([message(b"lost")]))
        await asyncio.sleep(after_s)
        if closes:
            await producer.aclose()
            outcome = (await asyncio.gather(writing, return_exceptions=True))[0]
            assert isinstance(outcome, ConnectorError | Receipt)
            assert output._connection is None, "one that was opened too late is closed again"
            return
        writing.cancel()
        await asyncio.wait((writing,))
        assert not await put(producer, [message(b"1")])
    assert await values(kafka, topic) in ([b"1"], [b"lost", b"1"])


async def test_a_cancelled_wait_for_a_receipt_changes_nothing(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        receipt = await producer.write([message(b"1")])

        async def settled() -> None:
            await receipt

        waiting = asyncio.ensure_future(settled())
        await asyncio.sleep(0)
        waiting.cancel()
        assert not await put(producer, [message(b"2")])
    assert await values(kafka, topic) == [b"1", b"2"]


async def test_closing_gives_up_what_is_not_settled(kafka: Kafka) -> None:
    topic = await new_topic(kafka)
    async with producing(kafka, topic) as producer:
        receipt = await producer.write(numbered(range(1000)))
    failures = await receipt
    assert len(failures) == 1000
    assert not any(isinstance(one, Rejected) for one in failures.values())
    with pytest.raises(ConnectorError, match="closed"):
        await producer.write([message(b"1")])


async def test_the_lane_of_a_message_is_its_key_or_its_partition(kafka: Kafka) -> None:
    async with producing(kafka, "any") as producer:
        lanes = [
            producer.lane(message(b"1", b"a")),
            producer.lane(message(b"2", b"b")),
            producer.lane(message(b"3", b"a", partition="1")),
            producer.lane(message(b"4", b"b", partition="1")),
        ]
    assert lanes[2] == lanes[3]
    assert len({*lanes}) == 3
    assert OUTPUT in str(lanes[0])
