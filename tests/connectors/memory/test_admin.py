"""What a memory system answers about its streams."""

from __future__ import annotations

import pytest

from samza_py.admin import Admin, AtOffset, AtTime, Newest, Oldest
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.errors import (
    ConfigError,
    ConnectorError,
    CorruptCheckpointError,
    PositionLostError,
    RejectedError,
)
from samza_py.message import END, Offset, Partition
from samza_py.producer import Promise
from tests.connectors.memory.steps import CLAIM, out, write


def partition(stream: MemoryStream[bytes, bytes], name: str = "0") -> Partition:
    return Partition("memory", stream.name, name)


def admin(memory: Memory, stream: MemoryStream[bytes, bytes]) -> Admin:
    return memory.admin({stream.name: stream})


async def test_partitions_go_by_the_logical_name_and_carry_a_lineage() -> None:
    memory = Memory()
    orders = memory.stream("orders", physical="orders-v2", partitions=2)
    async with admin(memory, orders) as asked:
        found = await asked.partitions("orders")
        assert list(found) == [partition(orders, "0"), partition(orders, "1")]
        before = {info.lineage for info in found.values()}
        memory.recreate(orders)
        after = {info.lineage for info in (await asked.partitions("orders")).values()}
    assert len(before) == len(after) == 1
    assert before != after


async def test_a_stream_that_is_not_there_is_named_by_its_physical_name() -> None:
    memory = Memory()
    orders = memory.stream("orders", physical="orders-v2", create=False)
    async with admin(memory, orders) as asked:
        with pytest.raises(ConnectorError, match="'orders-v2'"):
            await asked.partitions("orders")
        assert await asked.create(["orders"]) == ["orders"]
        assert await asked.create(["orders"]) == []
        assert len(await asked.partitions("orders")) == 1


def test_a_stream_cannot_be_declared_again_with_other_partitions() -> None:
    memory = Memory()
    memory.stream("orders", partitions=2)
    memory.stream("orders", partitions=2)
    with pytest.raises(ConnectorError, match="with 2 partitions, not 3"):
        memory.stream("orders", partitions=3)
    with pytest.raises(ConfigError, match="at least 1"):
        memory.stream("none", partitions=0)


async def test_a_stream_declared_for_another_system_can_be_stood_in_for() -> None:
    foreign = Memory("kafka", promise=Promise.TRANSACTIONAL).stream("orders")
    stand_in = Memory("kafka")
    async with stand_in.admin({"orders": foreign}) as asked:
        assert await asked.create(["orders"]) == ["orders"]
    stand_in.put(foreign, b"k", b"1")
    assert [m.value for m in stand_in.read(foreign)] == [b"1"]


async def test_growth_adds_partitions_without_parents() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.grow(orders, 3)
    async with admin(memory, orders) as asked:
        found = await asked.partitions("orders")
    assert [p.id for p in found] == ["0", "1", "2"]
    assert not any(info.parents for info in found.values())


async def test_a_split_closes_the_parent_and_its_children_wait_for_the_end() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.split(orders, "0", "0a", "0b")
    memory.merge(orders, ("0a", "0b"), "1")
    async with admin(memory, orders) as asked:
        found = await asked.partitions("orders")
        assert found[partition(orders, "0a")].parents == {partition(orders, "0"): END}
        assert found[partition(orders, "1")].parents == {
            partition(orders, "0a"): END,
            partition(orders, "0b"): END,
        }
        bounds = await asked.bounds(found)
    assert [b.newest for b in bounds.values()] == [END, END, END, "-1"]
    memory.put(orders, b"k", b"1")
    assert [m.partition.id for m in memory.read_raw(orders)] == ["1"]
    with pytest.raises(ConnectorError, match="closed already"):
        memory.split(orders, "0", "x")
    with pytest.raises(ConnectorError, match="has partition '0a' already"):
        memory.split(orders, "1", "0a")
    with pytest.raises(ConnectorError, match="no partition '7'"):
        memory.split(orders, "7", "x")


def test_a_closed_stream_takes_no_more_messages() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.close(orders)
    with pytest.raises(RejectedError, match="closed"):
        memory.put(orders, None, b"1")


async def test_bounds_follow_what_is_written_trimmed_and_open() -> None:
    memory = Memory(promise=Promise.TRANSACTIONAL)
    orders = memory.stream("orders")
    for n in range(5):
        memory.put(orders, None, b"%d" % n)
    ongoing = memory.transaction(CLAIM)
    assert ongoing is not None
    async with (
        admin(memory, orders) as asked,
        memory.producer({"orders": orders}, CLAIM) as producer,
        ongoing,
    ):
        await ongoing.begin()
        await write(producer, out(orders, 5), ongoing)
        assert (await asked.bounds([partition(orders)]))[partition(orders)] == ("-1", "4")
        await asked.trim({partition(orders): Offset("1")})
        assert (await asked.bounds([partition(orders)]))[partition(orders)] == ("1", "4")
        await asked.trim({partition(orders): Offset("99")})
        assert (await asked.bounds([partition(orders)]))[partition(orders)] == ("4", "4")
        await ongoing.commit()
    assert [m.raw_value for m in memory.read_raw(orders)] == [b"5"]


async def test_every_start_is_resolved_to_a_position() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    for time in (10, 30, 20):
        memory.put(orders, None, b"1", timestamp_ms=time)
    place = partition(orders)
    async with admin(memory, orders) as asked:
        assert await asked.start_position(place, Oldest()) == "-1"
        assert await asked.start_position(place, Newest()) == "2"
        assert await asked.start_position(place, AtTime(15)) == "0"
        assert await asked.start_position(place, AtTime(31)) == "2"
        assert await asked.start_position(place, AtOffset({"0": "1"})) == "1"
        assert await asked.start_position(place, AtOffset({"1": "1"})) == "-1"
        for wrong in ("3", "x"):
            with pytest.raises(PositionLostError):
                await asked.start_position(place, AtOffset({"0": wrong}))


async def test_offsets_are_compared_as_numbers() -> None:
    memory = Memory()
    asked = memory.admin({})
    assert asked.compare(Offset("9"), Offset("10")) < 0
    assert asked.compare(Offset("10"), Offset("10")) == 0
    assert asked.compare(Offset("10"), Offset("-1")) > 0
    with pytest.raises(CorruptCheckpointError):
        asked.compare(Offset("a"), Offset("1"))
