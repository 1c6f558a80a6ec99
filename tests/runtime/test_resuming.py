"""Finished out of order, started again: what is done is not handed out a second time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from samza_py import Job, Message
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.errors import UnavailableError
from tests.runtime.running import checkpoint, progress, resolved, running, values

Numbers = MemoryStream[str, int]


class Shop:
    """Messages 0 to n, of which some are slow."""

    def __init__(self, count: int, *slow: int) -> None:
        self.memory = Memory()
        self.numbers = self.memory.stream("numbers", key=str, value=int)
        self.out = self.memory.stream("out", key=str, value=int)
        for number in range(count):
            self.memory.put(self.numbers, f"k{number}", number)
        self.slow = set(slow)
        self.calls: list[int] = []

    def job(self, max_concurrency: int = 8, **options: Any) -> Job[None]:
        settings: dict[str, Any] = {"commit_interval": "1s", **options}
        job: Job[None] = Job("shop", **settings)

        @job.task(self.numbers, to=self.out, max_concurrency=max_concurrency)
        async def work(number: Message[str, int]) -> int:
            self.calls.append(number.value)
            await asyncio.sleep(1000 if number.value in self.slow else 0)
            return number.value

        return job

    async def crash_after(self, *finished: int, **options: Any) -> None:
        """Run until these are finished and committed, then end at once."""
        async with running(resolved(self.job(**options), self.memory)) as ran:
            await ran.until(lambda: set(finished) <= set(values(self.memory, self.out)))
            await asyncio.sleep(2.5)
            await ran.abort()

    async def finish(self, count: int, max_concurrency: int) -> None:
        """Run again, with nothing slow, until so many have come out."""
        self.slow.clear()
        self.calls.clear()
        async with running(resolved(self.job(max_concurrency), self.memory)) as ran:
            await ran.until(lambda: len(values(self.memory, self.out)) >= count)
            await ran.stop()

    async def done(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        kept = await progress(self.memory, self.job(), "work/0", self.numbers)
        return str(kept.after), tuple((run.first, run.last) for run in kept.done)


async def test_a_slow_message_holds_back_only_its_own_place() -> None:
    """Samza's 3 and 15: offsets advance over the finished, and a gap is kept as a gap."""
    shop = Shop(8, 2, 5)
    await shop.crash_after(0, 1, 3, 4, 6, 7)
    assert await shop.done() == ("1", (("3", "4"), ("6", "7")))


@pytest.mark.parametrize("max_concurrency", [1, 8])
async def test_what_is_done_is_skipped_after_a_restart_with_or_without_concurrency(
    max_concurrency: int,
) -> None:
    shop = Shop(8, 2, 5)
    await shop.crash_after(0, 1, 3, 4, 6, 7)
    await shop.finish(8, max_concurrency)
    assert shop.calls == [2, 5]
    assert sorted(values(shop.memory, shop.out)) == list(range(8))
    assert await shop.done() == ("7", ())


@pytest.mark.parametrize("max_concurrency", [1, 8])
async def test_what_is_done_stays_so_over_a_second_crash(max_concurrency: int) -> None:
    shop = Shop(8, 0, 2, 5)
    await shop.crash_after(1, 3, 4, 6, 7)
    assert await shop.done() == ("-1", (("1", "1"), ("3", "4"), ("6", "7")))
    # Again, with the first still slow: nothing gets past it, and a commit is made all the same.
    shop.calls.clear()
    job = shop.job(max_concurrency)
    async with running(resolved(job, shop.memory)) as ran:
        await ran.until(lambda: shop.calls != [])
        if max_concurrency > 1:
            shop.memory.put(shop.numbers, "k8", 8)
            await ran.until(lambda: 8 in values(shop.memory, shop.out))
        await asyncio.sleep(5)
        await ran.abort()
    more = (("6", "8"),) if max_concurrency > 1 else (("6", "7"),)
    assert await shop.done() == ("-1", (("1", "1"), ("3", "4"), *more))
    await shop.finish(8 + (max_concurrency > 1), max_concurrency)
    assert sorted(shop.calls) == [0, 2, 5]


@pytest.mark.parametrize("max_concurrency", [1, 8])
async def test_runs_up_to_the_bound_and_over_it_do_not_stop_a_partition_for_good(
    max_concurrency: int,
) -> None:
    shop = Shop(12, 0, 2, 4, 6)
    await shop.crash_after(1, 3, 5, 7, 8, max_done_runs=4)
    after, done = await shop.done()
    assert after == "-1"
    assert len(done) == 4
    shop.slow.clear()
    async with running(resolved(shop.job(max_concurrency, max_done_runs=2), shop.memory)) as ran:
        await ran.until(lambda: len(values(shop.memory, shop.out)) == 12)
        await ran.stop()
    assert sorted(values(shop.memory, shop.out)) == list(range(12))


async def test_a_partition_with_too_many_gaps_waits_and_the_others_go_on() -> None:
    memory = Memory()
    numbers = memory.stream("numbers", key=str, value=int, partitions=2)
    for number in range(40):
        memory.put(numbers, f"k{number}", number, partition="0")
    memory.put(numbers, "other", 1000, partition="1")
    job = Job("gaps", max_done_runs=3, commit_interval="1s")
    calls: list[int] = []
    go_on = asyncio.Event()

    @job.task(numbers, max_concurrency=6, grouping="all")
    async def work(number: Message[str, int]) -> None:
        calls.append(number.value)
        if number.value < 40 and number.value % 2 == 0:
            await go_on.wait()

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        assert 1000 in calls
        assert len([n for n in calls if n < 40]) <= 8
        found = await checkpoint(memory, job, "work/all")
        assert found is not None
        assert max(len(p.done) for p in found.inputs.values()) <= 4
        go_on.set()
        await ran.until(lambda: len(calls) == 41)
        await ran.stop()


async def test_undecodable_messages_count_as_done_too() -> None:
    from samza_py import Skip

    memory = Memory()
    numbers = memory.stream("numbers", key=str, value=int)
    memory.put(numbers, "slow", 0)
    memory.put_undecodable(numbers, b"?")
    memory.put_raw(numbers, b"k", b"??")
    memory.put(numbers, "last", 3)
    calls: list[int] = []
    slow = True

    def made() -> Job[None]:
        job = Job("holes", on_error=Skip(), commit_interval="1s")

        @job.task(numbers, max_concurrency=4)
        async def work(number: Message[str, int]) -> None:
            calls.append(number.value)
            await asyncio.sleep(1000 if number.value == 0 and slow else 0)

        return job

    async with running(resolved(made(), memory)) as ran:
        await asyncio.sleep(5)
        await ran.abort()
    kept = await progress(memory, made(), "work/0", numbers)
    assert (kept.after, kept.done) == ("-1", (("1", "3"),))
    slow = False
    calls.clear()
    async with running(resolved(made(), memory)) as ran:
        await ran.until(lambda: calls == [0])
        await ran.stop()
    assert (await progress(memory, made(), "work/0", numbers)).after == "3"


async def test_a_partition_that_was_away_goes_on_where_it_was_read_to() -> None:
    memory = Memory()
    numbers = memory.stream("numbers", key=str, value=int, partitions=2)
    out = memory.stream("out", key=str, value=int)

    class OneAway(Faults):
        away = False

        def partition(self, client: str, partition: Any) -> Any:
            return UnavailableError("away") if self.away and partition.id == "0" else None

    memory.broker.faults = faults = OneAway()
    job = Job("away")

    @job.task(numbers, to=out)
    async def work(number: Message[str, int]) -> int:
        return number.value

    memory.put(numbers, "a", 1, partition="0")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        faults.away = True
        memory.put(numbers, "b", 2, partition="0")
        memory.put(numbers, "c", 3, partition="1")
        await memory.wait_for(out, 2)
        assert values(memory, out) == [1, 3]  # the other goes on
        await asyncio.sleep(60)
        faults.away = False
        await memory.wait_for(out, 3)
        await ran.stop()
    assert values(memory, out) == [1, 3, 2]
