"""What the transactions of the memory system promise."""

from __future__ import annotations

import asyncio

import pytest

from samza_py.checkpoint import Checkpoint, Claim, Grant
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.connectors.memory.transactions import MemoryTransaction
from samza_py.consumer import Room
from samza_py.errors import CheckpointError, ConnectorError, FencedError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Promise
from tests.connectors.memory.steps import (
    CLAIM,
    key,
    out,
    poll,
    reader,
    stored,
    turns,
    values,
    write,
)


def transactional() -> tuple[Memory, MemoryStream[bytes, bytes]]:
    memory = Memory(promise=Promise.TRANSACTIONAL)
    return memory, memory.stream("prices")


def transaction(memory: Memory, claim: Claim = CLAIM) -> MemoryTransaction:
    made = memory.transaction(claim)
    assert isinstance(made, MemoryTransaction)
    return made


async def test_uncommitted_messages_are_seen_only_after_the_commit() -> None:
    memory, prices = transactional()
    async with (
        memory.producer({"prices": prices}, CLAIM) as producer,
        transaction(memory) as ongoing,
        reader(memory, prices) as consumer,
    ):
        await poll(consumer, key(prices))
        await ongoing.begin()
        await write(producer, out(prices, 1, 2), ongoing)
        waiting = asyncio.ensure_future(poll(consumer, key(prices)))
        await turns()
        assert not waiting.done()
        await ongoing.commit()
        fetched = await waiting
    assert values(fetched) == [b"1", b"2"]
    assert (fetched.position, fetched.at_head) == ("2", True)  # the marker stands at 2


async def test_nothing_behind_an_open_transaction_is_seen() -> None:
    memory, prices = transactional()
    async with (
        memory.producer({"prices": prices}, CLAIM) as producer,
        transaction(memory) as ongoing,
        reader(memory, prices) as consumer,
    ):
        await write(producer, out(prices, 1))
        await ongoing.begin()
        await write(producer, out(prices, 2), ongoing)
        memory.put(prices, None, b"3")
        fetched = await poll(consumer, key(prices))
        assert (values(fetched), fetched.position, fetched.at_head) == ([b"1"], "0", True)
        await ongoing.commit()
        assert values(await poll(consumer, key(prices))) == [b"2", b"3"]


async def test_aborted_messages_are_never_seen_and_the_position_passes_them() -> None:
    memory, prices = transactional()
    async with (
        memory.producer({"prices": prices}, CLAIM) as producer,
        transaction(memory) as ongoing,
        reader(memory, prices) as consumer,
    ):
        await poll(consumer, key(prices))
        await ongoing.begin()
        await write(producer, out(prices, 1, 2), ongoing)
        await ongoing.abort()
        await ongoing.abort()
        fetched = await poll(consumer, key(prices))
    assert (values(fetched), fetched.position, fetched.at_head) == ([], "2", True)


async def test_reading_around_hidden_records_keeps_the_room_and_counts_what_is_left() -> None:
    memory, prices = transactional()
    async with (
        memory.producer({"prices": prices}, CLAIM) as producer,
        transaction(memory) as ongoing,
        reader(memory, prices) as consumer,
    ):
        for n in range(6):
            await ongoing.begin()
            await write(producer, out(prices, n), ongoing)
            memory.put(prices, None, b"between")
            await (ongoing.abort() if n % 2 else ongoing.commit())
        fetched = await poll(consumer, key(prices), Room(2, 1 << 20))
        assert (values(fetched), fetched.remaining) == ([b"0", b"between"], 7)
        fetched = await poll(consumer, key(prices), Room(100, 70))
        assert values(fetched) == [b"between"]
        rest = await poll(consumer, key(prices))
    assert values(rest) == [b"2", b"between", b"between", b"4", b"between", b"between"]
    assert (rest.at_head, rest.remaining) == (True, 0)
    assert len(stored(memory, prices)) == 9


async def test_outputs_checkpoint_and_changes_take_effect_together() -> None:
    memory, prices = transactional()
    async with (
        memory.checkpoints().store("shop") as store,
        memory.producer({"prices": prices}, CLAIM) as producer,
    ):
        claim, _ = await store.open(Grant("read/0"))
        async with transaction(memory, claim) as ongoing:
            await ongoing.begin()
            await write(producer, out(prices, 1), ongoing)
            checkpoint = Checkpoint(claim.epoch, 1, stores={"counts": "1"})
            await store.write(claim, checkpoint, {"counts": [(b"a", b"1")]}, ongoing)
            assert (await store.read(), stored(memory, prices)) == ({}, [])
            await ongoing.commit()
        assert (await store.read())["read/0"].number == 1
        assert [batch async for batch in store.restore(claim, "counts", "1")] == [[(b"a", b"1")]]
    assert stored(memory, prices) == [b"1"]


async def test_an_abort_undoes_the_checkpoint_too() -> None:
    memory, prices = transactional()
    async with memory.checkpoints().store("shop") as store:
        claim, _ = await store.open(Grant("read/0"))
        async with transaction(memory, claim) as ongoing:
            await ongoing.begin()
            await store.write(claim, Checkpoint(claim.epoch, 1), None, ongoing)
            await ongoing.abort()
            await ongoing.begin()
            await ongoing.commit()
        assert await store.read() == {}
    assert stored(memory, prices) == []


async def test_a_newer_claim_ends_the_transaction_of_an_older_one() -> None:
    memory, prices = transactional()
    old, new = Claim("t/0", 1, job="shop"), Claim("t/0", 2, job="shop")
    async with (
        memory.producer({"prices": prices}, old) as producer,
        transaction(memory, old) as stale,
    ):
        await stale.begin()
        await write(producer, out(prices, 1), stale)
        async with transaction(memory, new) as fresh:
            with pytest.raises(FencedError, match="epoch 1 was fenced by epoch 2"):
                await stale.commit()
            with pytest.raises(FencedError):
                await stale.begin()
            with pytest.raises(FencedError):
                await producer.write(out(prices, 2), stale)
            await stale.abort()
            await fresh.begin()
            await fresh.commit()
    assert stored(memory, prices) == []


async def test_opening_the_checkpoints_of_a_task_fences_its_transactions() -> None:
    memory, prices = transactional()
    async with memory.checkpoints().store("shop") as store:
        old, _ = await store.open(Grant("t/0"))
        async with (
            memory.producer({"prices": prices}, old) as producer,
            transaction(memory, old) as stale,
        ):
            await stale.begin()
            await write(producer, out(prices, 1), stale)
            await store.open(Grant("t/0"))
            with pytest.raises(FencedError):
                await stale.commit()
            memory.put(prices, None, b"2")
            assert stored(memory, prices) == [b"2"]


async def test_tasks_of_two_jobs_with_one_name_do_not_fence_each_other() -> None:
    memory, _ = transactional()
    async with (
        transaction(memory, Claim("t/0", 1, job="shop")) as one,
        transaction(memory, Claim("t/0", 9, job="bar")),
    ):
        await one.begin()
        await one.commit()


@pytest.mark.parametrize("done", [False, True])
async def test_a_commit_of_unknown_outcome_is_told_by_the_checkpoint(done: bool) -> None:
    class Strike(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "commit" and not done:
                raise UnavailableError("before")

        async def after(self, operation: str, client: str) -> None:
            if operation == "commit":
                raise UnavailableError("after")

    memory, prices = transactional()
    async with memory.checkpoints().store("shop") as store:
        claim, _ = await store.open(Grant("t/0"))
        async with (
            memory.producer({"prices": prices}, claim) as producer,
            transaction(memory, claim) as ongoing,
        ):
            await ongoing.begin()
            await write(producer, out(prices, 1), ongoing)
            await store.write(claim, Checkpoint(claim.epoch, 1), None, ongoing)
            memory.broker.faults = Strike()
            with pytest.raises(UnavailableError):
                await ongoing.commit()
            memory.broker.faults = None
            assert ("t/0" in await store.read()) is done
            await ongoing.begin()
            await ongoing.abort()
    assert stored(memory, prices) == ([b"1"] if done else [])


async def test_writes_need_an_open_transaction_of_their_own_system_and_claim() -> None:
    memory, prices = transactional()
    plain = memory.stream("plain", promise=Promise.AT_LEAST_ONCE)
    async with (
        memory.checkpoints().store("shop") as store,
        memory.producer({"prices": prices, "plain": plain}, CLAIM) as producer,
        transaction(memory) as ongoing,
    ):
        with pytest.raises(ConnectorError, match="no open transaction"):
            await producer.write(out(prices, 1), ongoing)
        await ongoing.begin()
        with pytest.raises(ConnectorError, match="not transactional"):
            await producer.write([Outgoing("plain", None, b"1")], ongoing)
        claim, _ = await store.open(Grant("other/0"))
        with pytest.raises(CheckpointError, match="within a transaction of read/0"):
            await store.write(claim, Checkpoint(claim.epoch), None, ongoing)
        elsewhere = Memory(promise=Promise.TRANSACTIONAL).transaction(claim)
        with pytest.raises(CheckpointError, match="another system"):
            await store.write(claim, Checkpoint(claim.epoch), None, elsewhere)
    assert Memory().transaction(CLAIM) is None
