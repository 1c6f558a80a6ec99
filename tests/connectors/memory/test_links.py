"""What a severed connection and a fault do, and what they never do."""

from __future__ import annotations

import asyncio

import pytest

from samza_py.checkpoint import Checkpoint, Grant
from samza_py.connectors.memory import Faults, Memory
from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Partition
from tests.connectors.memory.steps import (
    CLAIM,
    ROOM,
    START,
    key,
    out,
    poll,
    reader,
    stored,
    turns,
    values,
    write,
)


class Recorded(Faults):
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fail_before = ""
        self.fail_after = ""

    async def before(self, operation: str, client: str) -> None:
        self.seen.append(f"{client}: {operation}")
        if operation == self.fail_before:
            raise UnavailableError("before")

    async def after(self, operation: str, client: str) -> None:
        if operation == self.fail_after:
            raise UnavailableError("after")


async def test_connections_share_the_broker_and_nothing_else() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    other = memory.connect("other")
    other.put(other.stream("orders"), b"k", b"1")
    assert stored(memory, orders) == [b"1"]
    other.sever()
    async with memory.producer({"orders": orders}, None) as producer:
        assert await write(producer, out(orders, 2)) == {}


async def test_after_it_is_severed_no_call_has_an_effect() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    dead = memory.connect("dead")
    async with (
        dead.producer({"orders": orders}, None) as producer,
        dead.checkpoints().store("shop") as store,
        dead.admin({"orders": orders}) as admin,
    ):
        claim, _ = await store.open(Grant("t/0"))
        dead.sever()
        with pytest.raises(UnavailableError, match="'dead' was severed"):
            await producer.write(out(orders, 1))
        with pytest.raises(UnavailableError):
            await store.write(claim, Checkpoint(claim.epoch, 1))
        with pytest.raises(UnavailableError):
            await store.open(Grant("t/0"))
        with pytest.raises(UnavailableError):
            await admin.partitions("orders")
    assert stored(memory, orders) == []
    async with memory.checkpoints().store("shop") as store:
        assert await store.read() == {}
        assert (await store.open(Grant("t/0")))[0].epoch == 2


@pytest.mark.parametrize("silent", [False, True])
async def test_a_call_that_waits_while_it_is_severed_takes_nothing(silent: bool) -> None:
    memory = Memory()
    orders = memory.stream("orders")
    dead = memory.connect("dead")
    async with reader(dead, orders) as consumer:
        await poll(consumer, key(orders))
        waiting = asyncio.ensure_future(consumer.poll({key(orders): ROOM}))
        await turns()
        dead.sever(silent=silent)
        memory.put(orders, None, b"1")
        await turns()
        assert waiting.done() is not silent
        waiting.cancel()
        (done,), _ = await asyncio.wait([waiting])
    assert done.cancelled() is silent


async def test_a_fault_before_the_effect_leaves_nothing_done() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    faults = memory.broker.faults = Recorded()
    async with memory.producer({"orders": orders}, None) as producer:
        faults.fail_before = "write"
        with pytest.raises(UnavailableError, match="before"):
            await producer.write(out(orders, 1))
        faults.fail_before = ""
        assert await write(producer, out(orders, 2)) == {}
        await producer.flush()
    assert stored(memory, orders) == [b"2"]
    assert faults.seen == ["main: open", "main: write", "main: write", "main: flush"]


async def test_a_fault_after_the_effect_leaves_it_done() -> None:
    memory = Memory()
    faults = memory.broker.faults = Recorded()
    async with memory.checkpoints().store("shop") as store:
        claim, _ = await store.open(Grant("t/0"))
        faults.fail_after = "checkpoint"
        with pytest.raises(UnavailableError, match="after"):
            await store.write(claim, Checkpoint(claim.epoch, 3))
        assert (await store.read())["t/0"].number == 3


async def test_a_poll_that_fails_after_it_found_something_has_taken_nothing() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    memory.put(orders, None, b"1")
    async with reader(memory, orders) as consumer:
        faults = memory.broker.faults = Recorded()
        faults.fail_after = "poll"
        with pytest.raises(UnavailableError, match="after"):
            await poll(consumer, key(orders))
        memory.broker.faults = None
        assert values(await poll(consumer, key(orders))) == [b"1"]


async def test_a_seek_while_a_poll_is_on_its_way_back_drops_what_it_found() -> None:
    class Slow(Faults):
        def __init__(self) -> None:
            self.gate = asyncio.get_running_loop().create_future()

        async def after(self, operation: str, client: str) -> None:
            if operation == "poll":
                await self.gate

    memory = Memory()
    orders = memory.stream("orders")
    memory.put_all(orders, [(b"k", b"%d" % n) for n in range(3)])
    async with reader(memory, orders) as consumer:
        slow = memory.broker.faults = Slow()
        waiting = asyncio.ensure_future(poll(consumer, key(orders)))
        await turns()
        await consumer.revoke([key(orders)])
        memory.broker.faults = None
        await consumer.assign(CLAIM, {key(orders): START})
        memory.put(orders, None, b"3")
        slow.gate.set_result(None)
        assert values(await waiting) == [b"0", b"1", b"2", b"3"]


async def test_one_partition_can_fail_while_the_others_go_on() -> None:
    class One(Faults):
        def partition(self, client: str, partition: Partition) -> ConnectorError | None:
            return UnavailableError("down") if partition.id == "0" else None

    memory = Memory()
    orders = memory.stream("orders", partitions=2)
    memory.put(orders, None, b"1", partition="1")
    memory.broker.faults = One()
    positions = {key(orders, "0"): START, key(orders, "1"): START}
    async with reader(memory, orders, positions) as consumer:
        fetched = await consumer.poll(dict.fromkeys(positions, ROOM))
        assert isinstance(fetched[key(orders, "0")].error, UnavailableError)
        assert values(fetched[key(orders, "1")]) == [b"1"]
