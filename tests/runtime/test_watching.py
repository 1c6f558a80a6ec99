"""What is said of a task that does not come on, and of a handler that blocks everything."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from samza_py import Job, Message, StreamTask, TaskContext
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.runtime.loop_watch import LoopWatch
from samza_py.runtime.wakeup import Wakeup
from samza_py.seam import Seam, use_seam
from tests.runtime.running import resolved, run, running

Words = MemoryStream[str, str]


def streams(*given: str) -> tuple[Memory, Words, Words]:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    for word in given:
        memory.put(words, word, word)
    return memory, words, out


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_a_call_in_work_for_long_is_named_with_task_partition_and_key(
    max_concurrency: int, caplog: pytest.LogCaptureFixture
) -> None:
    memory, words, out = streams("quick", "A17")
    job = Job("stalling", stall_after="30s")

    @job.task(words, to=out, max_concurrency=max_concurrency)
    async def price(word: Message[str, str]) -> str:
        await asyncio.sleep(100 if word.value == "A17" else 0)
        return word.value

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(20)
        assert ran.task("price/0").stalled is None
        await asyncio.sleep(30)
        said = ran.task("price/0").stalled
        assert said is not None
        assert "partition 0 of words waits" in said
        assert "in `price`, key 'A17' (offset 1)" in said
        await memory.wait_for(out, 2)
        await asyncio.sleep(2)
        assert ran.task("price/0").stalled is None
        await ran.stop()
    assert len([r for r in caplog.records if "waits" in r.getMessage()]) == 1


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_a_hook_that_runs_for_long_is_named(max_concurrency: int) -> None:
    memory, words, out = streams("a")

    class Ticks(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            ctx.set_timer("tick", after=1)

        async def on_timer(self, name: str, ctx: TaskContext[None]) -> None:
            await asyncio.sleep(100)

    job: Job[None] = Job("stalling", stall_after="30s")
    # What times a message out has no say in a hook.
    job.add(Ticks, words, to=out, max_concurrency=max_concurrency, timeout="5s")
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(60)
        said = ran.task("Ticks/0").stalled
        assert said is not None
        assert said.startswith("timer 'tick' has been running for ")
        await asyncio.sleep(60)
        assert ran.task("Ticks/0").stalled is None
        await ran.stop()


async def test_a_full_output_is_named_as_the_cause() -> None:
    memory, words, out = streams(*(str(n) for n in range(20)))

    class Stuck(Faults):
        free = False

        async def before(self, operation: str, client: str) -> None:
            while operation == "write" and not self.free:  # noqa: ASYNC110  (virtual time)
                await asyncio.sleep(1)

    memory.broker.faults = stuck = Stuck()
    job = Job("stalling", stall_after="30s", max_outbox_messages=5)

    @job.task(words, to=out)
    def copy(word: Message[str, str]) -> str:
        return word.value

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(40)
        said = ran.task("copy/0").stalled
        assert said is not None
        assert "for room in memory.out: what it sent is not durable yet" in said
        stuck.free = True
        await memory.wait_for(out, 20)
        await asyncio.sleep(5)
        assert ran.task("copy/0").stalled is None
        await ran.stop()


@pytest.mark.parametrize("max_concurrency", [1, 4])
async def test_statistics_count_everything_of_all_tasks(max_concurrency: int) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=2, finite=True)
    out = memory.stream("out", key=str, value=str)
    for number in range(10):
        memory.put(words, f"k{number}", str(number), partition=str(number % 2))
    job = Job("counting")

    @job.task(words, outputs=[out], max_concurrency=max_concurrency)
    async def twice(word: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.send(out, word.value)
        ctx.send(out, word.value)

    ran = await run(job, memory)
    found = ran.container.statistics()
    total = found.total()
    assert (total.received, total.handled, total.sent) == (10, 10, 20)
    assert total.commits >= 2
    assert [task.name for task in found.tasks] == ["twice/0", "twice/1"]
    assert all(p.finished and p.buffered == 0 for task in found.tasks for p in task.partitions)


async def test_what_is_left_to_read_is_told_with_what_is_buffered() -> None:
    memory, words, _ = streams(*(str(n) for n in range(100)))
    job = Job("lagging", max_buffered_messages=10)

    @job.task(words)
    async def slow(word: Message[str, str]) -> None:
        await asyncio.sleep(1)

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(20.5)
        (partition,) = ran.task("slow/0").partitions
        assert partition.remaining in (79, 80, 81)
        assert partition.unit == "messages"
        await ran.stop()


# On real time, as it is a thread that watches ----------------------------------------------------


AFTER_S = 0.05


@pytest.fixture
async def watch() -> AsyncIterator[LoopWatch]:
    with use_seam(Seam()):
        watching = LoopWatch(AFTER_S, lambda: "task price/0 at memory.words[0] offset 3")
        watching.start()
        yield watching
        watching.stop()


@pytest.mark.blocks_the_loop
@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_loop_that_stands_still_is_said_once_with_the_handler_and_the_stack(
    watch: LoopWatch, caplog: pytest.LogCaptureFixture
) -> None:
    def a_handler_that_sleeps() -> None:
        time.sleep(0.4)

    a_handler_that_sleeps()
    await asyncio.sleep(0)
    (said,) = [r.getMessage() for r in caplog.records if "stood still" in r.getMessage()]
    assert "in task price/0 at memory.words[0] offset 3" in said
    assert "a_handler_that_sleeps" in said
    assert "blocking=True" in said


@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_loop_that_turns_is_never_accused(
    watch: LoopWatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(50):
        caplog.clear()
        began = last = time.monotonic()
        longest_s = 0.0
        while last < began + 0.3:
            await asyncio.sleep(0.002)
            now = time.monotonic()
            longest_s, last = max(longest_s, now - last), now
        if longest_s < AFTER_S / 2:  # else it did stand still: this machine is busy
            break
    assert "stood still" not in caplog.text


@pytest.mark.blocks_the_loop
@pytest.mark.asyncio(loop_factories=["real"])
async def test_a_container_names_the_message_whose_handler_blocks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    memory.put(words, "k", "v")
    job = Job("blocking", block_warning="50ms")

    @job.task(words)
    def block(word: Message[str, str]) -> None:
        time.sleep(0.4)

    with use_seam(Seam()), caplog.at_level(logging.WARNING):
        await run(job, memory)
    (said,) = [r.getMessage() for r in caplog.records if "stood still" in r.getMessage()]
    assert "in task block/0 at memory.words[0] offset 0" in said
    _, _, stack = said.partition("It stands at:\n")
    assert stack.startswith(f'  File "{__file__}", line ')
    assert "in block\n    time.sleep(0.4)" in stack
    assert stack.count("File ") == 1


# The smallest part of it ------------------------------------------------------------------------


async def test_a_wake_before_the_wait_is_remembered_once() -> None:
    wakeup = Wakeup()
    wakeup.wake()
    wakeup.wake()
    await wakeup.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wakeup.wait(), 5)


async def test_a_cancelled_wait_loses_no_wake() -> None:
    wakeup = Wakeup()
    waiting = asyncio.ensure_future(wakeup.wait())
    await asyncio.sleep(0)
    wakeup.wake()
    waiting.cancel()
    await asyncio.wait((waiting,))
    await asyncio.wait_for(wakeup.wait(), 5)


async def test_a_wait_is_woken_by_a_later_wake() -> None:
    wakeup = Wakeup()
    asyncio.get_running_loop().call_later(3, wakeup.wake)
    await wakeup.wait()
    assert asyncio.get_running_loop().time() >= 3
