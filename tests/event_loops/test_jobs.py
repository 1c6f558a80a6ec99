"""Whole jobs in real time, on each event loop that they may run on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from samza_py import Job, Message, Skip, StreamTask, TaskContext
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.producer import Promise
from tests.runtime.running import pairs, progress, resolved, run, running, values

Numbers = MemoryStream[str, int]
COUNT = 200
#: A signal's handler that raises does not end what runs on uvloop; a thread can.
pytestmark = pytest.mark.timeout(60, method="thread")


def streams(
    promise: Promise = Promise.AT_LEAST_ONCE, *, finite: bool = True
) -> tuple[Memory, Numbers, Numbers]:
    """An input of four partitions and an output."""
    memory = Memory(promise=promise)
    numbers = memory.stream("numbers", key=str, value=int, partitions=4, finite=finite)
    memory.put_all(numbers, [(f"k{n % 10}", n) for n in range(COUNT)])
    return memory, numbers, memory.stream("out", key=str, value=int)


def numbers_in(folder: Path) -> list[int]:
    return [int(line) for path in folder.glob("*.jsonl") for line in path.read_text().split()]


def doubling(numbers: Numbers, out: Numbers, **options: Any) -> Job[None]:
    job = Job("doubling", commit_interval="10ms", **options)

    @job.task(numbers, to=out)
    async def double(number: Message[str, int]) -> int:
        await asyncio.sleep(0)
        return number.value * 2

    return job


def test_uvloop_is_there_to_be_tested() -> None:
    pytest.importorskip("uvloop")


async def test_a_finite_job_ends_and_has_handled_everything() -> None:
    memory, numbers, out = streams()
    await run(doubling(numbers, out), memory)
    assert sorted(values(memory, out)) == [n * 2 for n in range(COUNT)]


@pytest.mark.parametrize("promise", [Promise.TRANSACTIONAL, Promise.TWO_PHASE, Promise.IDEMPOTENT])
async def test_exactly_once_holds_over_aborts(promise: Promise) -> None:
    memory, numbers, out = streams(promise)
    job = Job("once", guarantee="exactly_once", commit_interval="5ms")

    @job.task(numbers, to=out)
    async def double(number: Message[str, int]) -> int:
        await asyncio.sleep(0.002)  # uvloop knows nothing shorter than a millisecond
        return number.value * 2

    for _ in range(3):
        async with running(resolved(job, memory)) as ran:
            await ran.until(lambda: ran.container.statistics().total().commits > 0)
            await ran.abort()
            assert ran.child.cancelled()
    await run(job, memory)
    assert Counter(values(memory, out)) == Counter(n * 2 for n in range(COUNT))


@pytest.mark.parametrize("blocking", [False, True])
async def test_concurrent_calls_keep_the_order_of_each_key(blocking: bool) -> None:
    memory, numbers, out = streams()
    job = Job("concurrent")
    draw = random.Random(1)

    def work(number: Message[str, int]) -> int:
        return number.value

    async def awaited(number: Message[str, int]) -> int:
        await asyncio.sleep(draw.random() * 0.002)
        return number.value

    handler: Callable[..., Any] = work if blocking else awaited
    job.task(numbers, to=out, name="work", max_concurrency=8, blocking=blocking)(handler)
    await run(job, memory)
    by_key: dict[str, list[int]] = defaultdict(list)
    for key, value in pairs(memory, out):
        by_key[key].append(value)
    assert by_key == {f"k{at}": list(range(at, COUNT, 10)) for at in range(10)}


async def test_timers_are_called_when_they_are_due() -> None:
    memory, numbers, out = streams(finite=False)  # at the end of its input no timer is waited for
    job = Job("timed")
    loop = asyncio.get_running_loop()
    early: list[str] = []

    class Timed(StreamTask[str, int, None]):
        def __init__(self) -> None:
            self.due: dict[str, float] = {}

        async def process(self, message: Message[str, int], ctx: TaskContext[None]) -> None:
            name = str(message.value)
            # Timers go by the wall clock in milliseconds, and uvloop's own clock has no finer ones.
            self.due[name] = loop.time() + 0.02 - 0.005
            ctx.set_timer(name, after=0.02)

        async def on_timer(self, name: str, ctx: TaskContext[None]) -> None:
            if loop.time() < self.due[name]:
                early.append(name)
            ctx.send(out, int(name), key=name)

    job.add(Timed, numbers, name="timed", outputs=[out])
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, COUNT)
        await ran.stop()
    assert sorted(values(memory, out)) == list(range(COUNT))
    assert early == []


async def test_a_call_that_takes_too_long_is_cancelled_and_the_job_goes_on() -> None:
    memory, numbers, out = streams()
    job = doubling(numbers, out)
    late = memory.stream("late", key=str, value=int, finite=True)
    memory.put(late, "k", 1)
    cancelled: list[int] = []

    @job.task(late, timeout="20ms", on_error=Skip())
    async def sleep(message: Message[str, int]) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.append(message.value)
            raise

    await run(job, memory)
    assert cancelled == [1]
    assert len(values(memory, out)) == COUNT


async def test_a_stop_lets_calls_end_and_commits() -> None:
    memory, numbers, out = streams()
    job = Job("stopped", commit_interval="1h")

    @job.task(numbers, to=out)
    async def slow(number: Message[str, int]) -> int:
        await asyncio.sleep(0.002)
        return number.value

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled > 8)
        await ran.stop()
    written = Counter(key for key, _ in pairs(memory, out))
    assert 8 < written.total() < COUNT
    ends = [await progress(memory, job, f"slow/{at}", numbers, str(at)) for at in range(4)]
    finished = [0 if end.after == "-1" else int(str(end.after)) + 1 for end in ends]
    assert sum(finished) == written.total()


async def test_a_run_that_is_cancelled_twice_leaves_nothing_running() -> None:
    memory, numbers, out = streams()
    async with running(resolved(doubling(numbers, out), memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled > 0)
        ran.child.cancel()
        await asyncio.sleep(0)
        ran.child.cancel()
        await asyncio.wait((ran.child,))
        assert ran.child.cancelled()


async def test_files_are_read_and_written_in_threads(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(COUNT)))
    files = Files(root=str(tmp_path))
    numbers = files.jsonl("numbers", "in.jsonl", value=int)
    out = files.jsonl_output("out", "out", value=int)
    checkpoints = LocalCheckpoints(str(tmp_path / "checkpoints.log"))
    job = Job("files", guarantee="exactly_once", checkpoints=checkpoints)

    @job.task(numbers, to=out)
    async def double(number: Message[Any, int]) -> int:
        return number.value * 2

    await job.arun()
    assert sorted(numbers_in(tmp_path / "out")) == [n * 2 for n in range(COUNT)]
