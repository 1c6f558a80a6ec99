"""What the memory consumer promises about reading."""

from __future__ import annotations

import asyncio

import pytest

from samza_py.connectors.memory import Memory
from samza_py.consumer import Room
from samza_py.errors import CorruptCheckpointError, PositionLostError
from samza_py.message import END, Offset, Undecodable
from tests.connectors.memory.steps import CLAIM, ROOM, START, key, poll, reader, turns, values


async def test_messages_come_in_order_with_their_bytes_time_and_headers() -> None:
    memory = Memory()
    orders = memory.stream("orders", key=str, value=int)
    memory.put(orders, "a", 1, timestamp_ms=5, headers=(("h", b"1"),))
    memory.put(orders, None, None)
    async with reader(memory, orders) as consumer:
        fetched = await poll(consumer, key(orders))
    first, second = fetched.messages
    assert (first.offset, first.raw_key, first.raw_value) == ("0", b"a", b"1")
    assert (first.timestamp_ms, list(first.headers)) == (5, [("h", b"1")])
    assert (second.offset, second.raw_key, second.raw_value) == ("1", None, None)
    assert (fetched.position, fetched.at_head, fetched.remaining) == ("1", True, 0)


async def test_an_empty_partition_says_once_that_its_head_is_reached_and_then_waits() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders) as consumer:
        fetched = await poll(consumer, key(orders))
        assert (list(fetched.messages), fetched.position, fetched.at_head) == ([], "-1", True)
        waiting = asyncio.ensure_future(poll(consumer, key(orders)))
        await turns()
        assert not waiting.done()
        memory.put(orders, b"k", b"now")
        assert values(await waiting) == [b"now"]


async def test_a_cancelled_poll_has_taken_nothing() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders) as consumer:
        await poll(consumer, key(orders))
        waiting = asyncio.ensure_future(poll(consumer, key(orders)))
        await turns()
        memory.put(orders, None, b"1")  # wakes the poll, which is cancelled before it runs
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert values(await poll(consumer, key(orders))) == [b"1"]


async def test_room_in_messages_is_kept() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.put_all(orders, [(b"k", b"%d" % n) for n in range(5)])
    async with reader(memory, orders) as consumer:
        fetched = await poll(consumer, key(orders), Room(2, 1 << 20))
        assert values(fetched) == [b"0", b"1"]
        assert (fetched.position, fetched.at_head, fetched.remaining) == ("1", False, 3)
        assert values(await poll(consumer, key(orders), Room(2, 1 << 20))) == [b"2", b"3"]


@pytest.mark.parametrize("headers", [(), (("name", b"data"),)])
async def test_room_in_bytes_ends_behind_the_message_that_passes_it(
    headers: tuple[tuple[str, bytes], ...],
) -> None:
    memory = Memory()
    orders = memory.stream("orders")
    for _ in range(4):
        memory.put(orders, None, b"x" * 100, headers=headers)
    async with reader(memory, orders) as consumer:
        assert len((await poll(consumer, key(orders), Room(10, 1))).messages) == 1
        assert len((await poll(consumer, key(orders), Room(10, 300))).messages) == 2
        assert len((await poll(consumer, key(orders), Room(10, 300))).messages) == 1


async def test_tombstones_and_rows_are_counted_too() -> None:
    memory = Memory()
    rows = memory.stream("rows")
    for value in (None, {"a": 1}, b"bytes", None):
        memory.put_raw(rows, None, value)
    async with reader(memory, rows) as consumer:
        assert values(await poll(consumer, key(rows), Room(10, 65))) == [None, {"a": 1}]
        assert values(await poll(consumer, key(rows), Room(10, 1000))) == [b"bytes", None]


async def test_a_partition_left_out_stays_unread_and_wakes_nobody() -> None:
    memory = Memory()
    orders = memory.stream("orders", partitions=2)
    positions = {key(orders, "0"): START, key(orders, "1"): START}
    async with reader(memory, orders, positions) as consumer:
        await consumer.poll({key(orders, "0"): ROOM})
        waiting = asyncio.ensure_future(poll(consumer, key(orders, "0")))
        await turns()
        memory.put(orders, None, b"1", partition="1")
        await turns()
        assert not waiting.done()
        memory.put(orders, None, b"0", partition="0")
        assert values(await waiting) == [b"0"]
        assert values(await poll(consumer, key(orders, "1"))) == [b"1"]


async def test_two_tasks_stand_at_two_positions_of_one_partition() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.put_all(orders, [(b"k", b"%d" % n) for n in range(3)])
    one, two = key(orders, task="one/0"), key(orders, task="two/0")
    async with reader(memory, orders, {one: START, two: Offset("1")}) as consumer:
        fetched = await consumer.poll({one: ROOM, two: ROOM})
    assert values(fetched[one]) == [b"0", b"1", b"2"]
    assert values(fetched[two]) == [b"2"]


async def test_assigning_again_is_a_seek_also_under_a_waiting_poll() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.put_all(orders, [(b"k", b"%d" % n) for n in range(3)])
    async with reader(memory, orders) as consumer:
        await poll(consumer, key(orders))
        waiting = asyncio.ensure_future(poll(consumer, key(orders)))
        await turns()
        await consumer.assign(CLAIM, {key(orders): Offset("0")})
        assert values(await waiting) == [b"1", b"2"]


async def test_revoking_what_a_poll_waits_for_ends_the_poll_with_nothing() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders) as consumer:
        await poll(consumer, key(orders))
        waiting = asyncio.ensure_future(consumer.poll({key(orders): ROOM}))
        await turns()
        await consumer.revoke([key(orders)])
        assert await waiting == {}


async def test_a_closed_partition_ends_once_together_with_its_last_messages() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.put(orders, None, b"last")
    memory.close(orders)
    async with reader(memory, orders) as consumer:
        fetched = await poll(consumer, key(orders))
        assert values(fetched) == [b"last"]
        assert (fetched.position, fetched.finished) == (END, True)
        waiting = asyncio.ensure_future(consumer.poll({key(orders): ROOM}))
        await turns()
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait([waiting])


async def test_a_waiting_poll_hears_of_the_end() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders) as consumer:
        await poll(consumer, key(orders))
        waiting = asyncio.ensure_future(poll(consumer, key(orders)))
        await turns()
        memory.close(orders)
        assert (await waiting).position is END


async def test_a_finite_stream_is_closed_when_somebody_begins_to_read_it() -> None:
    memory = Memory()
    orders = memory.stream("orders", finite=True)
    memory.put(orders, None, b"1")
    async with reader(memory, orders) as consumer:
        assert (await poll(consumer, key(orders))).finished


async def test_a_position_of_end_gives_one_fetch_that_is_finished() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders, {key(orders): END}) as consumer:
        fetched = await poll(consumer, key(orders))
    assert (fetched.position, fetched.finished, list(fetched.messages)) == (END, True, [])


async def test_a_trimmed_position_is_lost_in_its_partition_only() -> None:
    memory = Memory()
    orders = memory.stream("orders", partitions=2)
    for partition in ("0", "1"):
        for n in range(3):
            memory.put(orders, None, b"%d" % n, partition=partition)
    async with memory.admin({"orders": orders}) as admin:
        await admin.trim({key(orders).partition: Offset("1")})
    positions = {key(orders, "0"): Offset("0"), key(orders, "1"): Offset("0")}
    async with reader(memory, orders, positions) as consumer:
        fetched = await consumer.poll(dict.fromkeys(positions, ROOM))
        assert isinstance(fetched[key(orders, "0")].error, PositionLostError)
        assert fetched[key(orders, "0")].position == "0"
        assert values(fetched[key(orders, "1")]) == [b"1", b"2"]
        await consumer.assign(CLAIM, {key(orders, "0"): Offset("1")})
        assert values(await poll(consumer, key(orders, "0"))) == [b"2"]


async def test_a_position_beyond_the_end_is_lost() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders, {key(orders): Offset("7")}) as consumer:
        assert isinstance((await poll(consumer, key(orders))).error, PositionLostError)


async def test_a_stream_made_again_loses_the_positions_of_its_readers() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders) as consumer:
        await poll(consumer, key(orders))
        waiting = asyncio.ensure_future(poll(consumer, key(orders)))
        await turns()
        memory.recreate(orders)
        assert isinstance((await waiting).error, PositionLostError)


async def test_a_position_that_is_no_number_is_refused() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with memory.consumer({"orders": orders}) as consumer:
        with pytest.raises(CorruptCheckpointError, match="'x' is not an offset"):
            await consumer.assign(CLAIM, {key(orders): Offset("x")})


async def test_what_cannot_be_read_stands_in_its_place() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.put(orders, None, b"1")
    memory.put_undecodable(orders, b"\xff")
    memory.put(orders, None, b"3")
    async with reader(memory, orders) as consumer:
        first, damaged, last = (await poll(consumer, key(orders))).messages
    assert (first.raw_value, last.raw_value) == (b"1", b"3")
    assert isinstance(damaged, Undecodable)
    assert (damaged.first, damaged.offset, damaged.raw_value) == ("1", "1", b"\xff")


async def test_what_is_durable_is_shown_beside_the_streams() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    async with reader(memory, orders) as consumer:
        await consumer.on_checkpoint({key(orders): Offset("4")})
    assert memory.broker.committed == {key(orders): "4"}


async def test_whoever_waits_for_messages_is_told_of_them() -> None:
    memory = Memory()
    orders = memory.stream("orders", partitions=2)
    waiting = asyncio.ensure_future(memory.wait_for(orders, 2))
    memory.put(orders, None, b"1", partition="0")
    await turns()
    assert not waiting.done()
    memory.put(orders, None, b"2", partition="1")
    await waiting
