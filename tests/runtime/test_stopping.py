"""How a container ends: by itself, in good order, cut short, at once."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import pytest

from samza_py import Job, Message, Retry, StreamTask, TaskContext
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.errors import StalledError, UnavailableError
from tests.runtime.running import checkpoint, progress, resolved, run, running, values

Words = MemoryStream[str, str]


def streams(*given: str, partitions: int = 1) -> tuple[Memory, Words, Words]:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=partitions)
    out = memory.stream("out", key=str, value=str)
    for number, word in enumerate(given):
        memory.put(words, word, word, partition=str(number % partitions))
    return memory, words, out


class Away(Faults):
    """One kind of operation fails as if its system were away."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.asked = 0

    async def before(self, operation: str, client: str) -> None:
        if operation == self.operation:
            self.asked += 1
            raise UnavailableError(f"{operation} is away")


class Stuck(Faults):
    """One kind of operation never comes back."""

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.asked = 0

    async def before(self, operation: str, client: str) -> None:
        if operation == self.operation:
            self.asked += 1
            await asyncio.get_running_loop().create_future()


def slow(words: Words, out: Words, seconds: float = 10.0, **settings: Any) -> Job[None]:
    job = Job("slow", commit_interval="1h")

    @job.task(words, to=out, **settings)
    async def work(word: Message[str, str]) -> str:
        await asyncio.sleep(seconds)
        return word.value

    return job


@pytest.mark.parametrize("max_concurrency", [1, 2])
async def test_a_soft_stop_lets_running_calls_end_and_leaves_what_is_buffered(
    max_concurrency: int,
) -> None:
    memory, words, out = streams("a", "b", "c", "d", "e")
    job = slow(words, out, max_concurrency=max_concurrency)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        await ran.stop()
    done = ["a", "b"][:max_concurrency]
    assert sorted(values(memory, out)) == done
    assert (await progress(memory, job, "work/0", words)).after == str(len(done) - 1)


@pytest.mark.parametrize("kind", ["serial", "concurrent", "batch"])
async def test_a_soft_stop_leaves_a_message_in_backoff_unread(kind: str) -> None:
    memory, words, _ = streams("a", "bad", "c")
    job = Job("waiting", on_error=Retry(5, backoff="1h", max_backoff="1h"))

    def one(word: Message[str, str]) -> None:
        if word.value == "bad":
            raise ValueError

    def many(batch: Any) -> None:
        for word in batch:
            one(word)

    if kind == "batch":
        job.batch_task(words, name="work", batch_messages=1)(many)
    elif kind == "serial":
        job.task(words, name="work")(one)
    else:
        job.task(words, name="work", max_concurrency=2, order="partition")(one)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        await ran.stop()
    assert asyncio.get_running_loop().time() < 1000
    assert (await progress(memory, job, "work/0", words)).after == "0"


async def test_a_stop_may_be_asked_for_twice_and_before_the_run() -> None:
    memory, words, out = streams("a")
    async with running(resolved(slow(words, out), memory)) as ran:
        ran.container.request_stop()
        ran.container.request_stop()
        await ran.ended()
    assert values(memory, out) == []


@pytest.mark.parametrize("turns", range(30))
async def test_a_stop_in_any_turn_of_the_start_ends_the_run(turns: int) -> None:
    memory, words, out = streams("a")
    async with running(resolved(slow(words, out, 0.0), memory)) as ran:
        for _ in range(turns):
            await asyncio.sleep(0)
        await ran.stop()


@pytest.mark.parametrize(
    "operation", ["open", "partitions", "claim", "start_position", "assign", "checkpoint"]
)
async def test_a_stop_while_a_system_is_away_ends_the_run(operation: str) -> None:
    memory, words, out = streams("a")
    memory.broker.faults = faults = Away(operation)
    async with running(resolved(slow(words, out), memory)) as ran:
        await ran.until(lambda: faults.asked > 2)
        await ran.stop()
    assert asyncio.get_running_loop().time() < 60


@pytest.mark.parametrize("operation", ["open", "partitions", "claim", "start_position", "assign"])
async def test_a_stop_while_a_system_does_not_answer_ends_the_run(operation: str) -> None:
    memory, words, out = streams("a")
    memory.broker.faults = faults = Stuck(operation)
    async with running(resolved(slow(words, out), memory)) as ran:
        await ran.until(lambda: faults.asked > 0)
        await ran.stop()
    assert asyncio.get_running_loop().time() < 60


async def test_a_system_that_is_away_at_the_start_fails_the_run_after_startup_timeout() -> None:
    memory, words, out = streams("a")
    memory.broker.faults = Away("partitions")
    job = slow(words, out)
    with pytest.raises(UnavailableError, match=r"memory\.words: partitions is away"):
        await run(job, memory)
    assert 60 <= asyncio.get_running_loop().time() < 90


async def test_a_stop_that_takes_too_long_commits_the_finished_and_names_what_hung() -> None:
    memory, words, out = streams("a", "b", "c", "d", partitions=2)
    job = Job("hanging", commit_interval="1h", shutdown_timeout="25s")

    @job.task(words, to=out)
    async def work(word: Message[str, str]) -> str:
        await asyncio.sleep(1 if word.value != "c" else 10_000)
        return word.value

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        stopped_at = asyncio.get_running_loop().time()
        with pytest.raises(StalledError) as stalled:
            await ran.stop()
    waited = asyncio.get_running_loop().time() - stopped_at
    assert 25 <= waited < 31
    assert "task work/0 did not stop in time" in str(stalled.value)
    assert "in `work`, key 'c' (offset 1)" in str(stalled.value)
    assert sorted(values(memory, out)) == ["a", "b", "d"]
    assert (await progress(memory, job, "work/0", words)).after == "0"
    assert (await progress(memory, job, "work/1", words, "1")).after == "1"


@pytest.mark.parametrize("max_concurrency", [1, 2])
async def test_a_handler_that_swallows_every_cancellation_is_named_and_left_behind(
    max_concurrency: int, caplog: pytest.LogCaptureFixture
) -> None:
    memory, words, out = streams("a", "stubborn", "c")
    job = Job("stubborn", commit_interval="1h", shutdown_timeout="25s")
    seen: list[str] = []
    let_go = asyncio.Event()

    @job.task(words, to=out, max_concurrency=max_concurrency)
    async def work(word: Message[str, str]) -> str:
        seen.append(word.value)
        while word.value == "stubborn" and not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()
        return word.value

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        stopped_at = asyncio.get_running_loop().time()
        with pytest.raises(StalledError, match=r"task work/0 did not .* key 'stubborn'"):
            await ran.stop()
    assert asyncio.get_running_loop().time() - stopped_at < 25 + 2 * 5 + 1
    assert "key 'stubborn' (offset 1); it is left behind" in caplog.text
    kept = await progress(memory, job, "work/0", words)
    assert kept.after == "0"
    before = list(seen)
    let_go.set()
    await asyncio.sleep(1)
    assert seen == before
    assert "stubborn" not in values(memory, out)


async def test_an_abort_does_not_wait_for_ever_for_a_handler_that_swallows_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory, words, out = streams("a", "b")
    job = Job("stubborn")
    let_go = asyncio.Event()
    seen: list[str] = []

    @job.task(words, to=out)
    async def work(word: Message[str, str]) -> None:
        seen.append(word.value)
        while not let_go.is_set():
            with suppress(asyncio.CancelledError):
                await let_go.wait()

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        await ran.abort()
        assert ran.child.cancelled()
    assert asyncio.get_running_loop().time() < 15
    assert "task work/0 leaves behind what did not end: runner work/0" in caplog.text
    let_go.set()
    await asyncio.sleep(1)
    assert seen == ["a"]


@pytest.mark.parametrize("hook", ["start", "on_end"])
async def test_a_hook_that_hangs_is_cut_short_by_a_stop(hook: str) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    memory.put(words, "a", "a")

    class Hangs(StreamTask[str, str, None]):
        async def start(self, ctx: TaskContext[None]) -> None:
            if hook == "start":
                await asyncio.sleep(10_000)

        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            return None

        async def on_end(self, ctx: TaskContext[None]) -> None:
            await asyncio.sleep(10_000)

    job = Job("hooks")
    job.add(Hangs, words)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        what = "its start" if hook == "start" else "the end of its inputs"
        why = f"task Hangs/0 did not stop in time: {what} has been running"
        with pytest.raises(StalledError, match=why):
            await ran.stop()
    assert asyncio.get_running_loop().time() < 60


async def test_a_last_commit_that_hangs_is_cut_short_by_a_stop() -> None:
    memory, words, out = streams("a")
    job = Job("hanging", commit_interval="1h")

    @job.task(words, to=out)
    def work(word: Message[str, str]) -> str:
        return word.value

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled == 1)
        memory.broker.faults = Stuck("checkpoint")
        with pytest.raises(StalledError, match="could not make its last commit in time"):
            await ran.stop()
    assert asyncio.get_running_loop().time() < 60


async def test_an_output_that_is_away_at_the_last_commit_is_waited_for() -> None:
    memory, words, out = streams("a")
    job = slow(words, out, 0.0)
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled == 1)
        memory.broker.faults = Away("write")
        memory.put(words, "b", "b")
        await ran.until(lambda: ran.container.statistics().total().handled == 2)
        asyncio.get_running_loop().call_later(8, setattr, memory.broker, "faults", None)
        await ran.stop()
    assert values(memory, out) == ["a", "b"]
    assert (await progress(memory, job, "work/0", words)).after == "1"


async def test_a_stop_in_an_outage_says_what_is_away_and_why() -> None:
    memory, words, out = streams("a")
    job = slow(words, out, 0.0)
    async with running(resolved(job, memory)) as ran:
        memory.broker.faults = Away("write")
        await asyncio.sleep(5)
        why = r"waits for its outputs; writing to memory\.out fails since \d+ s: "
        with pytest.raises(StalledError, match=why):
            await ran.stop()


async def test_abort_commits_nothing_and_raises_cancelled_error() -> None:
    memory, words, out = streams("a", "b")
    job = slow(words, out, 1.0)
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled == 1)
        await ran.abort()
        assert ran.child.cancelled()
    assert (await progress(memory, job, "work/0", words)).after == "-1"


async def test_a_run_that_is_cancelled_ends_as_by_an_abort() -> None:
    memory, words, out = streams("a", "b")
    job = slow(words, out, 1.0)
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled == 1)
        ran.child.cancel()
        await asyncio.wait((ran.child,))
        assert ran.child.cancelled()
    assert (await progress(memory, job, "work/0", words)).after == "-1"


@pytest.mark.parametrize("style", ["plain", "async", "blocking"])
async def test_a_handler_may_ask_for_the_stop(style: str) -> None:
    """Samza's 8 (testShutdownOnConsensus), without votes: one wish stops the container."""
    memory, words, out = streams("a", "stop", "c", "d")
    job = Job("asking")

    def work(word: Message[str, str], ctx: TaskContext[None]) -> str:
        if word.value == "stop":
            ctx.request_stop()
        return word.value

    async def awaited(word: Message[str, str], ctx: TaskContext[None]) -> str:
        return work(word, ctx)

    handler: Any = awaited if style == "async" else work
    job.task(words, to=out, name="work", blocking=style == "blocking")(handler)
    await run(job, memory)
    assert values(memory, out) == ["a", "stop"]
    assert (await progress(memory, job, "work/0", words)).after == "1"


async def test_finite_inputs_end_the_run_and_a_second_run_has_nothing_to_do() -> None:
    """Samza's 1, 9 and 11: each task ends at the END of all its partitions, then commits."""
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=2, finite=True)
    more = memory.stream("more", key=str, value=str, partitions=2, finite=True)
    out = memory.stream("out", key=str, value=str)
    for at, stream in enumerate((words, words, more)):
        memory.put(stream, "k", f"v{at}", partition=str(at % 2))
    job = Job("finite")
    ends: list[str] = []

    class Both(StreamTask[str, str, None]):
        def __init__(self) -> None:
            self.seen = 0

        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> str:
            self.seen += 1
            return message.value

        async def on_end(self, ctx: TaskContext[None]) -> str:
            ends.append(f"{ctx.task} after {self.seen}")
            return "end"

    job.add(Both, words, more, to=out)
    await run(job, memory)
    assert sorted(ends) == ["Both/0 after 2", "Both/1 after 1"]
    assert sorted(values(memory, out)) == ["end", "end", "v0", "v1", "v2"]
    for task in ("Both/0", "Both/1"):
        found = await checkpoint(memory, job, task)
        assert found is not None
        assert {progress.after.value for progress in found.inputs.values()} == {"end"}  # type: ignore[union-attr]
    await run(job, memory)
    assert len(ends) == 2
    assert len(values(memory, out)) == 5


async def test_the_end_hook_waits_for_calls_in_flight() -> None:
    """Samza's 10 (testEndOfStreamWaitsForInFlightMessages)."""
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    for word in ("a", "b", "c"):
        memory.put(words, word, word)
    running_now: list[str] = []
    at_end: list[int] = []

    class Slow(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            running_now.append(message.value)
            await asyncio.sleep(10)
            running_now.remove(message.value)

        async def on_end(self, ctx: TaskContext[None]) -> None:
            at_end.append(len(running_now))

    job = Job("ending")
    job.add(Slow, words, max_concurrency=2)
    await run(job, memory)
    assert at_end == [0]


async def test_what_finished_while_a_commit_was_under_way_is_committed_at_the_end() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    for word in ("a", "b", "c"):
        memory.put(words, word, word)
    job = Job("committing", commit_interval="1s")

    @job.task(words)
    async def work(word: Message[str, str]) -> None:
        await asyncio.sleep(1.5)

    await run(job, memory)
    found = await checkpoint(memory, job, "work/0")
    assert found is not None
    assert [str(p.after) for p in found.inputs.values()] == ["End.END"]


async def test_close_is_called_after_a_failure_and_its_own_error_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory, words, _ = streams("a")
    closed: list[bool] = []

    class Breaks(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            raise ValueError("first")

        async def close(self) -> None:
            closed.append(True)
            raise KeyError("second")

    job = Job("closing")
    job.add(Breaks, words)
    with pytest.raises(Exception, match="first"), caplog.at_level(logging.ERROR):
        await run(job, memory)
    assert closed == [True]
    assert "close() of task Breaks/0 failed" in caplog.text


async def test_a_worker_that_swallows_the_end_of_a_failed_task_starts_nothing_new() -> None:
    memory, words, out = streams("bad", "stubborn", "c", "d", "e")
    job = Job("dismissed")
    seen: list[str] = []

    @job.task(words, to=out, max_concurrency=2)
    async def work(word: Message[str, str]) -> str:
        seen.append(word.value)
        if word.value == "bad":
            await asyncio.sleep(1)
            raise ValueError("no good")
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return word.value

    with pytest.raises(Exception, match="no good"):
        await run(job, memory)
    assert seen == ["bad", "stubborn"]
