"""An attempt is atomic: what it sends, stores and schedules happens when it succeeds, or never."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# What is called here is made of lambdas in tables, whose types nobody needs.

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from samza_py import (
    ConfigError,
    ContextClosedError,
    Job,
    Message,
    Retry,
    Skip,
    StreamTask,
    TaskContext,
)
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.errors import RejectedError, TaskFailedError
from tests.runtime.running import checkpoint, resolved, run, running, values

Words = MemoryStream[str, str]


def streams(*given: str) -> tuple[Memory, Words, Words]:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str)
    for word in given:
        memory.put(words, word, word)
    return memory, words, out


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_a_failed_attempt_has_sent_and_stored_nothing(max_concurrency: int) -> None:
    memory, words, out = streams("a", "b")
    job = Job("atomic", on_error=Skip())
    counts = job.store("counts", key=str, value=int)

    @job.task(words, outputs=[out], stores=[counts], max_concurrency=max_concurrency)
    async def count(word: Message[str, str], ctx: TaskContext[None]) -> None:
        store = ctx.store(counts)
        store.put(word.key, (store.get(word.key) or 0) + 1)
        ctx.send(out, word.value)
        await asyncio.sleep(0)
        if word.value == "a":
            raise ValueError

    await run(job, memory)
    assert values(memory, out) == ["b"]
    assert await stored(memory, job, "count/0", "counts") == {b"b": b"1"}


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_an_attempt_that_is_retried_leaves_only_what_its_last_call_did(
    max_concurrency: int,
) -> None:
    memory, words, out = streams("a")
    job = Job("atomic", on_error=Retry(3, backoff="1s"))
    counts = job.store("counts", key=str, value=int)

    @job.task(words, to=out, stores=[counts], max_concurrency=max_concurrency)
    def count(word: Message[str, str], ctx: TaskContext[None]) -> Iterator[str]:
        store = ctx.store(counts)
        store.put(word.key, (store.get(word.key) or 0) + 1)
        yield f"call {ctx.attempt}"
        if ctx.attempt < 3:
            raise ValueError

    await run(job, memory)
    assert values(memory, out) == ["call 3"]
    assert await stored(memory, job, "count/0", "counts") == {b"a": b"1"}


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_an_attempt_that_timed_out_leaves_nothing(max_concurrency: int) -> None:
    memory, words, out = streams("slow", "fast")
    job = Job("atomic", on_error=Skip())

    @job.task(words, to=out, timeout="1s", max_concurrency=max_concurrency)
    async def wait(word: Message[str, str]) -> AsyncIterator[str]:
        yield "first"
        if word.value == "slow":
            await asyncio.sleep(100)
        yield "second"

    ran = await run(job, memory)
    assert values(memory, out) == ["first", "second"]
    assert ran.container.statistics().total().skipped == 1


class Clock(StreamTask[str, str, None]):
    """Sets a timer and fails, where the word says so."""

    def __init__(self, out: Words) -> None:
        self.out = out

    async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.set_timer("bell", after="10s")
        if message.value == "bad":
            raise ValueError
        if message.value == "never mind":
            ctx.cancel_timer("bell")

    async def on_timer(self, name: str, ctx: TaskContext[None]) -> str:
        return name


@pytest.mark.parametrize("max_concurrency", [1, 3])
@pytest.mark.parametrize(("word", "rings"), [("bad", False), ("never mind", False), ("good", True)])
async def test_a_timer_is_set_by_a_call_that_succeeds_and_by_no_other(
    word: str, rings: bool, max_concurrency: int
) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    memory.put(words, word, word)
    job = Job("timers", on_error=Skip())
    job.add(lambda: Clock(out), words, to=out, name="clock", max_concurrency=max_concurrency)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(30)
        await ran.stop()
    assert values(memory, out) == (["bell"] if rings else [])


async def test_a_function_has_no_timers_and_takes_exactly_one_time() -> None:
    memory, words, _ = streams("a")
    job = Job("timers")

    @job.task(words)
    def plain(word: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.set_timer("bell", after=1)

    with pytest.raises(TaskFailedError, match="sets a timer but has no on_timer"):
        await run(job, memory)

    class TwoTimes(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            with pytest.raises(ConfigError, match="exactly one of after= and at_ms="):
                ctx.set_timer("bell", after=1, at_ms=1)
            with pytest.raises(ConfigError, match="exactly one of after= and at_ms="):
                ctx.set_timer("bell")

        async def on_timer(self, name: str, ctx: TaskContext[None]) -> None:
            raise AssertionError

    job = Job("twice")
    job.add(TwoTimes, words)
    await run(job, memory)


@pytest.mark.parametrize(
    "use",
    [
        lambda ctx, out, store: ctx.send(out, "late"),
        lambda ctx, out, store: ctx.store(store).get("a"),
        lambda ctx, out, store: ctx.request_commit(),
        lambda ctx, out, store: ctx.request_stop(),
        lambda ctx, out, store: ctx.cancel_timer("t"),
    ],
)
@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_a_context_is_closed_behind_its_call(
    use: Callable[..., Any], max_concurrency: int
) -> None:
    memory, words, out = streams("a", "b")
    job = Job("closed")
    store = job.store("entries", key=str, value=str)
    kept: list[TaskContext[None]] = []

    @job.task(words, outputs=[out], stores=[store], max_concurrency=max_concurrency)
    async def keep(word: Message[str, str], ctx: TaskContext[None]) -> None:
        kept.append(ctx)

    await run(job, memory)
    with pytest.raises(ContextClosedError, match="was used after the call had ended"):
        use(kept[0], out, store)


async def test_a_store_that_was_taken_from_a_context_is_closed_with_it() -> None:
    memory, words, _ = streams("a")
    job = Job("closed")
    store = job.store("entries", key=str, value=str)
    kept: list[Any] = []

    @job.task(words, stores=[store])
    def keep(word: Message[str, str], ctx: TaskContext[None]) -> None:
        kept.append(ctx.store(store))

    await run(job, memory)
    for late in (
        lambda: kept[0].get("a"),
        lambda: kept[0].put("a", "b"),
        lambda: kept[0].delete("a"),
        lambda: list(kept[0].items()),
    ):
        with pytest.raises(ContextClosedError):
            late()


async def test_a_child_that_outlives_its_call_can_no_longer_send() -> None:
    memory, words, out = streams("a", "b")
    job = Job("outlived")
    late: list[asyncio.Task[None]] = []

    @job.task(words, outputs=[out])
    async def start(word: Message[str, str], ctx: TaskContext[None]) -> None:
        async def send_late() -> None:
            await asyncio.sleep(5)
            ctx.send(out, "late")

        late.append(asyncio.ensure_future(send_late()))

    await run(job, memory)
    errors = await asyncio.gather(*late, return_exceptions=True)
    assert [type(error) for error in errors] == [ContextClosedError, ContextClosedError]
    assert values(memory, out) == []


@pytest.mark.parametrize("with_context", [False, True])
async def test_a_call_may_not_send_more_than_max_attempt_bytes(with_context: bool) -> None:
    memory, words, out = streams("a")
    job = Job("much", max_attempt_bytes="1KiB")

    if with_context:

        @job.task(words, to=out)
        def often(word: Message[str, str], ctx: TaskContext[None]) -> Iterator[str]:
            for _ in range(3):
                yield "x" * 500
    else:

        @job.task(words, to=out)
        def once(word: Message[str, str]) -> str:
            return "x" * 1500

    with pytest.raises(TaskFailedError, match=r"job.max_attempt_bytes \(1.0 KiB\)") as failed:
        await run(job, memory)
    assert isinstance(failed.value.__cause__, RejectedError)
    assert values(memory, out) == []


async def test_a_value_that_does_not_fit_an_output_fails_the_call_that_sent_it() -> None:
    """Samza's 19 (TestSystemProducers): what cannot be encoded fails, or is skipped."""
    memory, words, _ = streams("a", "b")
    numbers = memory.stream("numbers", key=str, value=bytes)
    job = Job("misfit", on_error=Skip())

    @job.task(words, to=numbers)
    def wrong(word: Message[str, str]) -> Any:
        return word.value if word.value == "a" else b"fits"

    ran = await run(job, memory)
    assert values(memory, numbers) == [b"fits"]
    assert ran.container.statistics().total().skipped == 1


async def test_a_requested_commit_covers_the_call_that_asked_for_it() -> None:
    """Samza's 7 (testCommitSingleTask): only the task that asks commits."""
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=2)
    job = Job("asking", commit_interval="1h")

    @job.task(words)
    async def ask(word: Message[str, str], ctx: TaskContext[None]) -> None:
        if word.value == "commit":
            ctx.request_commit()
        await asyncio.sleep(1)

    memory.put(words, None, "plain", partition="0")
    memory.put(words, None, "commit", partition="1")
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled == 2)
        await asyncio.sleep(1)
        one, two = await checkpoint(memory, job, "ask/0"), await checkpoint(memory, job, "ask/1")
        assert one is not None
        assert two is not None
        assert [p.after for p in one.inputs.values()] == ["-1"]  # the start it resolved
        assert [p.after for p in two.inputs.values()] == ["0"]
        await ran.stop()


async def stored(memory: Memory, job: Job[Any], task: str, store: str) -> dict[bytes, bytes]:
    """A store's entries, as a successor would restore them."""
    kept = memory.checkpoints().store(job.name)
    found = (await kept.read((task,)))[task]
    entries: dict[bytes, bytes] = {}
    from samza_py.checkpoint import Claim

    claim = Claim(task, found.epoch, job=job.name)
    async for batch in kept.restore(claim, store, found.stores.get(store, "")):
        for key, value in batch:
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = value
    return entries
