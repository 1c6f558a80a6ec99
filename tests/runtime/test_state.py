"""Keyed state: what a call sees of it, who may look at what, and what comes back after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from samza_py import Job, Message, StoreError, StreamTask, TaskContext
from samza_py.checkpoint import Change, Claim
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.connectors.memory.checkpoints import MemoryCheckpointStore
from samza_py.errors import TaskFailedError, UnavailableError
from tests.runtime.running import pairs, resolved, run, running, values
from tests.runtime.test_attempts import stored
from tests.runtime.virtual_seam import VirtualSeam

Words = MemoryStream[str, str]


def streams(*given: str, finite: bool = True) -> tuple[Memory, Words, MemoryStream[str, int]]:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=finite)
    out = memory.stream("out", key=str, value=int)
    for word in given:
        memory.put(words, word, word)
    return memory, words, out


def counting(words: Words, out: MemoryStream[str, int], **settings: Any) -> Job[None]:
    job = Job("counting", commit_interval="1h")
    counts = job.store("counts", key=str, value=int)

    @job.task(words, to=out, stores=[counts], **settings)
    async def count(word: Message[str, str], ctx: TaskContext[None]) -> int:
        store = ctx.store(counts)
        store.put(word.key, (store.get(word.key) or 0) + 1)
        await asyncio.sleep(1)
        return store.get(word.key) or 0

    return job


@pytest.mark.parametrize("max_concurrency", [1, 4])
async def test_a_call_sees_what_it_and_all_succeeded_calls_before_it_wrote(
    max_concurrency: int,
) -> None:
    memory, words, out = streams("a", "b", "a", "a", "b")
    await run(counting(words, out, max_concurrency=max_concurrency), memory)
    assert sorted(pairs(memory, out)) == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)]


@pytest.mark.parametrize("max_concurrency", [1, 4])
async def test_state_is_there_again_after_a_stop(max_concurrency: int) -> None:
    memory, words, out = streams("a", "b", "a", finite=False)
    for expected, word in ((3, "a"), (4, "a"), (5, "b")):
        job = counting(words, out, max_concurrency=max_concurrency)
        async with running(resolved(job, memory)) as ran:
            await memory.wait_for(out, expected)
            await ran.stop()
        memory.put(words, word, word)
    async with running(resolved(counting(words, out), memory)) as ran:
        await memory.wait_for(out, 6)
        await ran.stop()
    assert sorted(pairs(memory, out)) == [
        ("a", 1), ("a", 2), ("a", 3), ("a", 4), ("b", 1), ("b", 2)
    ]  # fmt: skip


async def test_after_a_crash_state_is_what_the_last_commit_made_it() -> None:
    """Samza's 35: uncommitted writes after the last commit are not seen after a restart."""
    memory, words, out = streams("a", "commit", "a", "a", finite=False)
    job = Job("counting", commit_interval="1h")
    counts = job.store("counts", key=str, value=int, shared=True)

    @job.task(words, to=out, stores=[counts])
    async def count(word: Message[str, str], ctx: TaskContext[None]) -> int:
        store = ctx.store(counts)
        total = (store.get("all") or 0) + 1
        store.put("all", total)
        if word.value == "commit":
            ctx.request_commit()
        await asyncio.sleep(1)
        return total

    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 4)
        await ran.abort()
    assert await stored(memory, job, "count/0", "counts") == {b"all": b"2"}
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 6)
        await ran.stop()
    assert values(memory, out) == [1, 2, 3, 4, 3, 4]
    assert await stored(memory, job, "count/0", "counts") == {b"all": b"4"}


async def test_a_deleted_entry_is_gone_also_after_a_restart() -> None:
    memory, words, out = streams("put", "delete", finite=False)
    job = Job("deleting")
    entries = job.store("entries", key=str, value=int)

    @job.task(words, to=out, stores=[entries])
    def work(word: Message[str, str], ctx: TaskContext[None]) -> int:
        store = ctx.store(entries)
        if word.value == "put":
            store.put("x", 1)
        elif word.value == "delete":
            store.delete("x")
            store.delete("never there")
        return store.get("x", -1) or 0

    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    memory.put(words, "look", "look")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 3)
        await ran.stop()
    assert values(memory, out) == [1, -1, -1]


async def test_with_concurrency_a_store_is_asked_only_for_the_messages_own_key() -> None:
    memory, words, _ = streams("a")
    job = Job("bound")
    entries = job.store("entries", key=str, value=int)
    errors: list[str] = []

    @job.task(words, stores=[entries], max_concurrency=2)
    def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
        store = ctx.store(entries)
        store.put("a", 1)
        for use in (
            lambda: store.get("b"),
            lambda: store.put("b", 1),
            lambda: store.delete("b"),
            lambda: list(store.items()),
        ):
            with pytest.raises(StoreError) as error:
                use()
            errors.append(str(error.value))

    await run(job, memory)
    assert all("shared=True" in error for error in errors)


async def test_a_hook_may_look_at_every_entry_also_with_concurrency() -> None:
    memory, words, out = streams("a", "b", "a")
    job = Job("hooks")
    counts = job.store("counts", key=str, value=int)

    class Count(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            store = ctx.store(counts)
            store.put(message.key, (store.get(message.key) or 0) + 1)

        async def on_end(self, ctx: TaskContext[None]) -> int:
            return sum(count for _, count in ctx.store(counts).items())

    job.add(Count, words, to=out, stores=[counts], max_concurrency=2)
    await run(job, memory)
    assert values(memory, out) == [3]


async def test_a_call_whose_shared_entry_was_changed_meanwhile_is_run_again() -> None:
    memory, words, out = streams(*(f"k{n}" for n in range(6)))
    job = Job("shared")
    totals = job.store("totals", key=str, value=int, shared=True)
    calls: list[str] = []

    @job.task(words, to=out, stores=[totals], max_concurrency=3)
    async def count(word: Message[str, str], ctx: TaskContext[None]) -> int:
        calls.append(word.value)
        store = ctx.store(totals)
        total = (store.get("all") or 0) + 1
        await asyncio.sleep(1 + len(calls) / 100)
        store.put("all", total)
        return total

    await run(job, memory)
    assert sorted(values(memory, out)) == [1, 2, 3, 4, 5, 6]
    assert len(calls) > 6
    assert await stored(memory, job, "count/0", "totals") == {b"all": b"6"}


async def test_a_call_that_looked_at_all_entries_is_run_again_when_one_changed() -> None:
    memory, words, out = streams(*(f"k{n}" for n in range(4)))
    job = Job("shared")
    seen = job.store("seen", key=str, value=int, shared=True)

    @job.task(words, to=out, stores=[seen], max_concurrency=4)
    async def count(word: Message[str, str], ctx: TaskContext[None]) -> int:
        store = ctx.store(seen)
        before = len(list(store.items()))
        await asyncio.sleep(1)
        store.put(word.key, 1)
        return before

    await run(job, memory)
    assert sorted(values(memory, out)) == [0, 1, 2, 3]


async def test_items_are_all_entries_of_the_task_its_own_writes_included() -> None:
    memory, words, _ = streams("a", "b", "c", finite=False)
    job = Job("items")
    entries = job.store("entries", key=str, value=str)
    looks: list[dict[str, str]] = []

    @job.task(words, stores=[entries])
    def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
        store = ctx.store(entries)
        store.put(word.key, word.value.upper())
        if word.value == "c":
            store.delete("a")
        ctx.request_commit()
        looks.append(dict(store.items()))

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(looks) == 3)
        await ran.stop()
    assert looks == [{"a": "A"}, {"a": "A", "b": "B"}, {"b": "B", "c": "C"}]


async def test_each_task_has_its_own_entries() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=2, finite=True)
    out = memory.stream("out", key=str, value=int)
    memory.put(words, "a", "a", partition="0")
    memory.put(words, "a", "a", partition="1")
    await run(counting(words, out), memory)
    assert values(memory, out) == [1, 1]


async def test_an_undeclared_store_is_refused() -> None:
    memory, words, _ = streams("a")
    job = Job("stores")
    entries = job.store("entries", key=str, value=int)

    @job.task(words)
    def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.store(entries)

    with pytest.raises(TaskFailedError, match="uses store entries, which it does not declare"):
        await run(job, memory)


async def test_a_value_that_does_not_fit_a_store_fails_the_call() -> None:
    memory, words, _ = streams("a")
    job = Job("stores")
    entries = job.store("entries", key=str, value=str)

    @job.task(words, stores=[entries])
    def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
        wrong: Any = 5
        ctx.store(entries).put("a", wrong)

    with pytest.raises(TaskFailedError, match="a value does not fit store entries"):
        await run(job, memory)


async def test_a_restore_goes_on_when_its_system_was_away() -> None:
    memory, words, out = streams("a", finite=False)
    async with running(resolved(counting(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()

    class Flaky(Faults):
        left = 3

        async def before(self, operation: str, client: str) -> None:
            if operation == "restore" and self.left:
                self.left -= 1
                raise UnavailableError("away")

    memory.broker.faults = Flaky()
    memory.put(words, "a", "a")
    async with running(resolved(counting(words, out), memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    assert values(memory, out) == [1, 2]


async def test_a_restore_that_is_broken_off_is_closed_by_the_task_that_began_it(
    monkeypatch: pytest.MonkeyPatch, world: VirtualSeam
) -> None:
    memory, words, out = streams("a", finite=False)
    async with running(resolved(counting(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    restore, steps = MemoryCheckpointStore.restore, list[str]()

    async def noted(
        self: MemoryCheckpointStore, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        steps.append("begun")
        child = asyncio.current_task()
        try:
            async for batch in restore(self, claim, store, marker):
                yield batch
        finally:
            # Not by what the garbage collector starts for that.
            steps.append("closed" if asyncio.current_task() is child else "collected")

    def break_off(point: str) -> None:
        if point == "restore.batch" and steps == ["begun"]:
            raise UnavailableError("broken off in the middle")

    monkeypatch.setattr(MemoryCheckpointStore, "restore", noted)
    world.on_point = break_off
    memory.put(words, "a", "a")
    async with running(resolved(counting(words, out), memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    assert steps == ["begun", "closed", "begun", "closed"]
    assert values(memory, out) == [1, 2]


class Alarm(StreamTask[str, str, None]):
    """Rings ten seconds after each message; what it rings and when goes out."""

    async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.set_timer(message.value, after="10s")

    async def on_timer(self, name: str, ctx: TaskContext[None]) -> int:
        if name == "again" and ctx.resources is None:
            ctx.set_timer("last", after="5s")
        await asyncio.sleep(1)
        return round(asyncio.get_running_loop().time())


async def test_timers_survive_a_restart_and_a_crash() -> None:
    """Samza's 6 in part: timers are called when they are due, once."""
    memory, words, out = streams("one", finite=False)
    job = Job("timers", commit_interval="1s")
    job.add(Alarm, words, to=out)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(3)
        await ran.abort()
    assert values(memory, out) == []
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    assert values(memory, out) == [11]


async def test_a_timer_is_not_lost_when_a_commit_falls_into_its_call() -> None:
    memory, words, out = streams("one", finite=False)
    job = Job("timers", commit_interval="100ms")
    job.add(Alarm, words, to=out)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(9)
        memory.put(words, "two", "two")  # something to commit
        await asyncio.sleep(1.6)  # in the middle of the call
        await ran.abort()
    assert values(memory, out) == []
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    assert len(values(memory, out)) == 2


async def test_a_timer_may_set_the_next_one() -> None:
    memory, words, out = streams("again", finite=False)
    job = Job("timers")
    job.add(Alarm, words, to=out)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(60)
        await ran.stop()
    assert values(memory, out) == [11, 16]


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_a_timer_never_rings_while_a_message_is_in_work(max_concurrency: int) -> None:
    memory, words, _ = streams("set", "k1", "k2", "k3", "k4", finite=False)
    at_work: list[str] = []
    rung: list[list[str]] = []

    class Ring(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            if message.value == "set":
                ctx.set_timer("bell", after="2s")
            at_work.append(message.value)
            await asyncio.sleep(3)
            at_work.remove(message.value)

        async def on_timer(self, name: str, ctx: TaskContext[None]) -> None:
            rung.append(list(at_work))
            await asyncio.sleep(3)
            rung.append(list(at_work))

    job = Job("timers")
    job.add(Ring, words, max_concurrency=max_concurrency)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(60)
        await ran.stop()
    assert rung == [[], []]


async def test_a_store_that_was_taken_out_begins_empty_when_it_is_declared_again() -> None:
    memory, words, out = streams("a", finite=False)
    without = Job("counting", commit_interval="1h")

    @without.task(words, to=out)
    async def count(word: Message[str, str]) -> int:
        return -1

    jobs = (counting(words, out), without, counting(words, out), counting(words, out))
    for number, (job, following) in enumerate(zip(jobs, "bba ", strict=True), 1):
        async with running(resolved(job, memory)) as ran:
            await memory.wait_for(out, number)
            await ran.stop()
        memory.put(words, following, following)
    assert pairs(memory, out) == [("a", 1), ("b", -1), ("b", 1), ("a", 1)]


async def test_a_job_that_starts_over_begins_with_empty_stores_also_after_a_restart() -> None:
    memory, words, out = streams("a", "a", finite=False)
    async with running(resolved(counting(words, out), memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    async with running(resolved(counting(words, out), memory, ignore_checkpoint=True)) as ran:
        await memory.wait_for(out, 4)
        await ran.stop()
    memory.put(words, "a", "a")
    async with running(resolved(counting(words, out), memory)) as ran:
        await memory.wait_for(out, 5)
        await ran.stop()
    assert values(memory, out) == [1, 2, 1, 2, 3]


async def test_items_are_a_snapshot_that_later_writes_do_not_change() -> None:
    """Samza's 34 (TestInMemoryKeyValueStore): a snapshot is immutable."""
    memory, words, _ = streams("a", finite=True)
    job = Job("snapshots")
    entries = job.store("entries", key=str, value=int)
    seen: list[dict[str, int]] = []

    @job.task(words, stores=[entries])
    def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
        store = ctx.store(entries)
        for number in range(5):
            store.put(f"k{number}", number)
        before = store.items()
        found: dict[str, int] = {}
        for key, value in before:
            store.delete(key)
            store.put(f"new {key}", value)
            found[key] = value
        seen.append(found)
        seen.append(dict(store.items()))

    await run(job, memory)
    assert seen[0] == {f"k{n}": n for n in range(5)}
    assert seen[1] == {f"new k{n}": n for n in range(5)}
