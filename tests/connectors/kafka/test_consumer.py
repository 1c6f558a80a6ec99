"""Topics are read by position, each partition from its own, with a bound on what is read ahead."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from importlib import import_module
from typing import Any

import pytest

from samza_py.checkpoint import Claim
from samza_py.connectors.kafka import answers, reader
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.errors import CorruptCheckpointError, PositionLostError, UnavailableError
from samza_py.message import END, Message, Offset, Partition, TaskPartition
from tests.connectors.kafka.reading import (
    ROOM,
    START,
    TASK,
    fetches,
    kafka_at,
    key_of,
    polled,
    read_at,
    reading,
    values,
)
from tests.services.kafka import Cluster
from tests.services.kafka_clients import (
    ADMIN,
    client_settings,
    leader_of,
    new_topic,
    producer,
    started,
    write,
)
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = pytest.mark.service

VALUES = [b"%d" % number for number in range(100)]


async def test_what_a_message_has_is_read(kafka: Brokers) -> None:
    topic = await new_topic(kafka)
    headers = [("trace", b"1"), ("trace", b""), ("none", None)]
    async with started(producer(kafka)) as writer:
        await writer.send_and_wait(
            topic, b"value", key=b"key", partition=0, timestamp_ms=1_700_000_000_000,
            headers=headers,
        )  # fmt: skip
        await writer.send_and_wait(topic, None, key=b"gone", partition=0)
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        first, second = await read_at(consumer, key_of())
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert (first.raw_key, first.raw_value, first.offset) == (b"key", b"value", "0")
    assert first.timestamp_ms == 1_700_000_000_000
    assert list(first.headers) == [("trace", b"1"), ("trace", b""), ("none", b"")]
    assert (second.raw_key, second.raw_value, second.headers) == (b"gone", None, ())


async def test_messages_are_made_without_records_of_the_library_and_with_them(
    kafka: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await new_topic(kafka)
    headers = [("trace", b"1"), ("none", None)]
    async with started(producer(kafka)) as writer:
        for value in VALUES:
            await writer.send(topic, value, key=b"key", partition=0, headers=headers)
        await writer.flush()
    made: list[object] = []
    fetcher: Any = import_module("aiokafka.consumer.fetcher")
    record = fetcher.ConsumerRecord

    def counted(*fields: Any) -> Any:
        made.append(fields)
        return record(*fields)

    monkeypatch.setattr(fetcher, "ConsumerRecord", counted)
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        quick = await read_at(consumer, key_of())
    assert made == []

    kinds: Any = (answers, OrderedDict)
    monkeypatch.setattr(kinds[0].Answers, "__setitem__", kinds[1].__setitem__)
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        plain = await read_at(consumer, key_of())
    assert len(made) == len(VALUES)
    assert list(map(shown, quick)) == list(map(shown, plain))
    assert values(quick) == VALUES


def shown(message: object) -> str:
    return repr(message).replace("[(", "((").replace(")]", "))")


async def test_reading_goes_on_after_a_position_and_tells_what_is_left(kafka: Brokers) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, VALUES)
    room = Room(30, 1 << 20)
    async with reading(kafka_at(kafka), topic, {key_of(): Offset("9")}) as consumer:
        found = [(len(one.messages), one.position, one.remaining, one.at_head) async for one in
                 _first(3, consumer, room)]  # fmt: skip
    assert found == [(30, "39", 60, False), (30, "69", 30, False), (30, "99", 0, True)]


async def _first(count: int, consumer: Consumer, room: Room) -> AsyncGenerator[Fetched]:
    async for fetched in fetches(consumer, key_of(), room):
        yield fetched
        count -= 1
        if not count:
            return


async def test_the_bytes_of_a_room_are_kept_to_and_one_large_message_gets_through(
    kafka: Brokers,
) -> None:
    topic = await new_topic(kafka, config={"max.message.bytes": str(12 << 20)})
    large = b"x" * (10 << 20)
    async with started(producer(kafka, max_request_size=12 << 20)) as writer:
        for _ in range(3):
            await writer.send_and_wait(topic, large, partition=0)
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        room = Room(1000, 1 << 20)
        counts = [len(one.messages) async for one in _first(3, consumer, room)]
    assert counts == [1, 1, 1]


async def test_another_partition_repeats_nothing_of_the_others(kafka: Brokers) -> None:
    """kafka.assign() forgets all positions (aiokafka 0.14)."""
    topic = await new_topic(kafka, partitions=2)
    await write(kafka, topic, VALUES)
    async with reading(kafka_at(kafka), topic, {key_of(0): START}) as consumer:
        assert values(await read_at(consumer, key_of(0))) == VALUES
        await consumer.assign(Claim(TASK, 1), {key_of(1): START})
        await write(kafka, topic, [b"after"])
        rooms = {key_of(0): ROOM, key_of(1): ROOM}
        found = await polled(consumer, rooms, lambda found: bool(found[key_of(0)]))
        assert values(found[key_of(0)]) == [b"after"]
        await consumer.revoke([key_of(1)])
        await write(kafka, topic, [b"later"])
        found = await polled(consumer, {key_of(0): ROOM}, lambda found: bool(found[key_of(0)]))
    assert values(found[key_of(0)]) == [b"later"]


async def test_two_tasks_read_one_partition_each_from_its_own_position(kafka: Brokers) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, VALUES)
    one, other = key_of(task="price/0"), key_of(task="audit/0")
    positions = {one: Offset("49"), other: START}
    async with reading(kafka_at(kafka), topic, positions) as consumer:
        found = await polled(
            consumer,
            {one: ROOM, other: ROOM},
            lambda found: len(found[one]) >= 50 and len(found[other]) >= 100,
        )
        assert (values(found[one]), values(found[other])) == (VALUES[50:], VALUES)
        await consumer.assign(Claim("audit/0", 2), {other: Offset("97")})
        again = await polled(consumer, {other: ROOM}, lambda found: len(found[other]) >= 2)
    assert values(again[other]) == VALUES[98:]


async def test_a_seek_drops_what_was_read_ahead(kafka: Brokers) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, VALUES)
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        few = [one async for one in _first(1, consumer, Room(3, 1 << 20))]
        assert values(list(few[0].messages)) == VALUES[:3]
        await consumer.assign(Claim(TASK, 2), {key_of(): Offset("0")})
        assert values(await read_at(consumer, key_of())) == VALUES[1:]


async def test_a_partition_without_room_is_not_read_on(kafka: Brokers) -> None:
    topic = await new_topic(kafka, partitions=2)
    async with started(producer(kafka)) as writer:
        for partition in (0, 1):
            for _ in range(40):
                await writer.send(topic, b"x" * 100_000, partition=partition)
        await writer.flush()
    positions = {key_of(0): START, key_of(1): START}
    async with reading(kafka_at(kafka), topic, positions) as consumer:
        found = await polled(consumer, {key_of(0): ROOM}, lambda found: len(found[key_of(0)]) == 40)
        assert len(found[key_of(0)]) == 40
        inside: Any = consumer  # no public word for it
        held = inside._seats[key_of(1)][1]
        assert not held.empty
        assert len(held._messages) < 20  # one answer
        found = await polled(consumer, {key_of(1): ROOM}, lambda found: len(found[key_of(1)]) == 40)
    assert [m.offset for m in found[key_of(1)]] == [str(at) for at in range(40)]


async def test_a_cancelled_poll_has_taken_nothing(kafka: Brokers) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, VALUES)
    found: list[bytes | None] = []
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        for turns in range(60):
            poll = asyncio.ensure_future(consumer.poll({key_of(): Room(2, 1 << 20)}))
            for _ in range(turns % 7):
                await asyncio.sleep(0)
            poll.cancel()
            await asyncio.wait((poll,))
            if not poll.cancelled():
                for fetched in poll.result().values():
                    found += values(list(fetched.messages))
        found += values(await read_at(consumer, key_of()))
    assert found == VALUES


async def test_the_end_is_judged_by_position_behind_markers_of_transactions(
    kafka: Brokers,
) -> None:
    topic = await new_topic(kafka)
    async with started(producer(kafka, transactional_id=topic)) as writer:
        async with writer.transaction():
            await writer.send_and_wait(topic, b"committed", partition=0)
        await writer.begin_transaction()
        await writer.send_and_wait(topic, b"aborted", partition=0)
        await writer.abort_transaction()
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        found: list[bytes | None] = []
        async for fetched in fetches(consumer, key_of()):
            found += values(list(fetched.messages))
            if fetched.at_head:
                assert fetched.position == "3"  # two messages and two markers
                break
    assert found == [b"committed"]


async def test_a_position_that_is_gone_fails_its_partition_and_no_other(kafka: Brokers) -> None:
    topic = await new_topic(kafka, partitions=2)
    await write(kafka, topic, VALUES)
    positions = {key_of(0): Offset("98"), key_of(1): Offset("500")}
    rooms = {key_of(0): ROOM, key_of(1): ROOM}
    async with reading(kafka_at(kafka), topic, positions) as consumer:
        errors: list[BaseException] = []
        found: list[bytes | None] = []
        async with asyncio.timeout(20):
            while not (errors and found):
                for key, fetched in (await consumer.poll(rooms)).items():
                    if fetched.error is not None:
                        assert key == key_of(1)
                        errors.append(fetched.error)
                    found += values(list(fetched.messages))
        for _ in range(3):
            assert key_of(1) not in await consumer.poll(rooms)
    (error,) = errors
    assert isinstance(error, PositionLostError)
    assert str(error).startswith(
        "kafka.orders[1]: reading should go on at offset 501, which is not"
    )
    assert found == VALUES[99:]


async def test_records_deleted_under_a_reader_are_an_error_and_no_jump(kafka: Brokers) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, VALUES)
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as admin:
        partition = reader.topic_partition(topic, 0)
        await admin.delete_records({partition: ADMIN.RecordsToDelete(before_offset=50)})
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        with pytest.raises(
            PositionLostError, match="at offset 0, which is not there \\(the oldest is 50\\)"
        ):
            await read_at(consumer, key_of())


async def test_what_is_no_offset_is_refused(kafka: Brokers) -> None:
    async with reading(kafka_at(kafka), "orders", {}) as consumer:
        with pytest.raises(CorruptCheckpointError, match="'file#1:2' is no offset of a"):
            await consumer.assign(Claim(TASK, 1), {key_of(): Offset("file#1:2")})


async def test_a_partition_read_to_its_end_is_told_once(kafka: Brokers) -> None:
    async with reading(kafka_at(kafka), "orders", {key_of(): END}) as consumer:
        fetched = (await consumer.poll({key_of(): ROOM}))[key_of()]
        assert fetched.finished
        assert fetched.position is END
        assert await consumer.poll({key_of(): ROOM}) == {}


async def test_a_killed_broker_is_said_and_reading_goes_on_when_it_is_back(
    own_kafka: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SILENT_S", 1.0)
    brokers = own_kafka.address
    topic = await new_topic(brokers)
    await write(brokers, topic, VALUES)
    async with reading(kafka_at(brokers), topic, {key_of(): START}) as consumer:
        assert values(await read_at(consumer, key_of())) == VALUES
        await asyncio.to_thread(own_kafka.node(1).kill)
        with pytest.raises(UnavailableError, match=r"kafka at \S+ has not answered for \d+ s"):
            await polled(consumer, {key_of(): ROOM}, lambda _: False)
        await asyncio.to_thread(own_kafka.node(1).restart)
        await write(brokers, topic, [b"after"])
        found: list[bytes | None] = []
        async with asyncio.timeout(30):
            while not found:
                try:
                    for fetched in (await consumer.poll({key_of(): ROOM})).values():
                        found += values(list(fetched.messages))
                except UnavailableError:
                    continue
    assert found == [b"after"]


async def test_a_partition_whose_leader_is_dead_fails_alone_while_others_are_read(
    three_brokers: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SILENT_S", 2.0)
    brokers = three_brokers.address
    topic = await new_topic(brokers, partitions=3)  # one a broker, and no replica elsewhere
    keys = {key_of(number): START for number in range(3)}
    rooms = dict.fromkeys(keys, ROOM)
    dead, *alive = keys
    for number in range(3):
        await write(brokers, topic, VALUES, partition=number)
    leader = three_brokers.node(await leader_of(brokers, topic))
    async with reading(kafka_at(brokers), topic, keys) as consumer:
        await polled(consumer, rooms, lambda found: all(len(one) == 100 for one in found.values()))
        await asyncio.to_thread(leader.kill)
        found: dict[TaskPartition, Fetched] = {}
        async with asyncio.timeout(30):
            while dead not in found:
                found.update(await consumer.poll(rooms))
        assert str(found[dead].error).startswith(f"{dead.partition}: the broker that leads it has")
        for key in alive:
            await write(brokers, topic, [b"more"], partition=int(key.partition.id))
        more = await polled(
            consumer, dict.fromkeys(alive, ROOM), lambda found: all(map(found.get, alive))
        )
        assert [values(more[key]) for key in alive] == [[b"more"]] * 2
        await asyncio.to_thread(leader.restart)
        await consumer.assign(Claim(TASK, 1), {dead: found[dead].position})
        await write(brokers, topic, [b"back"], partition=int(dead.partition.id))
        back = await polled(consumer, rooms, lambda found: bool(found.get(dead)))
        assert values(back[dead]) == [b"back"]


async def test_tasks_assigned_at_once_do_not_take_each_others_place(kafka: Brokers) -> None:
    """One of them needs another client, and waits for it with its first place chosen."""
    x, y = await new_topic(kafka), await new_topic(kafka)
    await write(kafka, x, VALUES)
    await write(kafka, y, VALUES)
    system = kafka_at(kafka)
    inputs = {"x": system.topic("x", physical=x), "y": system.topic("y", physical=y)}
    px, py = Partition("kafka", "x", "0"), Partition("kafka", "y", "0")
    ax, bx = TaskPartition("a/0", px), TaskPartition("b/0", px)
    by, cy = TaskPartition("b/0", py), TaskPartition("c/0", py)
    async with system.consumer(inputs) as consumer:
        await consumer.assign(Claim("a/0", 1), {ax: START})
        await asyncio.gather(
            consumer.assign(Claim("b/0", 1), {by: START, bx: START}),
            consumer.assign(Claim("c/0", 1), {cy: START}),
        )
        rooms = dict.fromkeys((ax, bx, by, cy), ROOM)
        found = await polled(
            consumer, rooms, lambda found: all(len(one) >= 100 for one in found.values())
        )
    assert [values(one) for one in found.values()] == [VALUES] * 4


async def test_polls_that_are_given_up_leave_nothing_behind(kafka: Brokers) -> None:
    topic = await new_topic(kafka)
    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        for _ in range(50):
            poll = asyncio.ensure_future(consumer.poll({key_of(): ROOM}))
            await asyncio.sleep(0.001)
            poll.cancel()
            await asyncio.wait((poll,))
        await asyncio.sleep(0)
        inside: Any = consumer  # no public word for it
        assert len(inside._readers[0]._client._fetcher._fetch_waiters) < 3


async def test_a_time_without_room_is_no_silence(
    kafka: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SILENT_S", 1.0)
    topic = await new_topic(kafka)
    await write(kafka, topic, VALUES)
    system = kafka_at(kafka, fetch_wait="900ms")  # longer than a fill waits
    async with reading(system, topic, {key_of(): START}) as consumer:
        few = [one async for one in _first(1, consumer, Room(3, 1 << 20))]
        await asyncio.sleep(4)
        found = await polled(consumer, {key_of(): ROOM}, lambda found: bool(found[key_of()]))
        for _ in range(6):
            await consumer.poll({key_of(): ROOM})
    assert values([*few[0].messages, *found[key_of()]]) == VALUES


async def test_closing_is_bounded_with_the_brokers_gone(own_kafka: Cluster) -> None:
    brokers = own_kafka.address
    topic = await new_topic(brokers)
    began = 0.0
    async with reading(kafka_at(brokers), topic, {key_of(): START}) as consumer:
        await consumer.poll({key_of(): ROOM})
        await asyncio.to_thread(own_kafka.node(1).kill)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 12
    await asyncio.sleep(0.1)
    left = [
        child.get_name() for child in asyncio.all_tasks() if child is not asyncio.current_task()
    ]
    assert left == []


async def test_a_broker_that_is_not_there_is_said(kafka: Brokers) -> None:
    system = kafka_at(Brokers({"PLAINTEXT": "127.0.0.1:1"}))
    with pytest.raises(UnavailableError, match=r"connecting to kafka at 127\.0\.0\.1:1: "):
        async with system.consumer({}):
            pass
