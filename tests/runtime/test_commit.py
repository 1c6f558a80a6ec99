"""What a commit covers, when it is made, and what it leaves alone."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from samza_py import Job, Message, TaskContext
from samza_py.checkpoint import Changes, Checkpoint, Claim
from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.errors import CheckpointError, UnavailableError
from samza_py.producer import Promise, Requests
from samza_py.seam import Seam, use_seam
from samza_py.transaction import Transaction
from tests.runtime.running import checkpoint, progress, resolved, run, running, values
from tests.runtime.virtual_seam import VirtualSeam

Words = MemoryStream[str, str]


def streams(promise: Promise = Promise.AT_LEAST_ONCE) -> tuple[Memory, Words, Words]:
    memory = Memory(promise=promise)
    return (
        memory,
        memory.stream("words", key=str, value=str),
        memory.stream("out", key=str, value=str),
    )


def copying(words: Words, out: Words, seconds: float = 0.0, **options: Any) -> Job[None]:
    job = Job("copying", **options)

    @job.task(words, to=out)
    async def copy(word: Message[str, str]) -> str:
        await asyncio.sleep(seconds)
        return word.value

    return job


class Watch(Faults):
    """Counts operations, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def before(self, operation: str, client: str) -> None:
        self.seen.append(operation)


async def test_a_commit_is_made_each_interval_and_only_where_something_was_finished() -> None:
    memory, words, out = streams()
    memory.broker.faults = watch = Watch()
    job = copying(words, out, commit_interval="10s")
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(95)
        assert watch.seen.count("checkpoint") == 1  # the start, resolved and kept
        memory.put(words, "a", "a")
        await asyncio.sleep(95)
        assert watch.seen.count("checkpoint") == 2
        await ran.stop()
    assert watch.seen.count("checkpoint") == 2


async def test_a_long_call_alone_makes_no_commit() -> None:
    memory, words, out = streams()
    memory.broker.faults = watch = Watch()
    memory.put(words, "a", "a")
    job = copying(words, out, seconds=60, commit_interval="1s")
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(50)
        assert watch.seen.count("checkpoint") == 1
        await asyncio.sleep(20)
        assert watch.seen.count("checkpoint") == 2
        await ran.stop()


async def test_a_commit_does_not_wait_for_calls_in_flight() -> None:
    """Samza's 12 (testCommitWithMessageInFlightWhenAsyncCommitIsEnabled)."""
    memory, words, out = streams()
    job = Job("copying", commit_interval="1s")

    @job.task(words, to=out, max_concurrency=2)
    async def copy(word: Message[str, str]) -> str:
        await asyncio.sleep(1000 if word.value == "slow" else 0)
        return word.value

    memory.put(words, "fast", "fast")
    memory.put(words, "slow", "slow")
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        assert (await progress(memory, job, "copy/0", words)).after == "0"
        await ran.abort()


async def test_everything_a_checkpoint_covers_is_durable_before_it_is_written(
    world: VirtualSeam,
) -> None:
    """Samza's 21 (testCommitOrder): outputs, then the checkpoint, then what had to wait for it."""
    memory, words, out = streams(Promise.TWO_PHASE)
    memory.broker.faults = watch = Watch()
    memory.put(words, "a", "a")
    job = copying(words, out, guarantee="exactly_once", commit_interval="1s")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    order = [op for op in watch.seen if op in ("write", "stage", "checkpoint", "finish")]
    assert order[:5] == ["stage", "checkpoint", "write", "stage", "checkpoint"]
    assert order[5] == "finish"
    commits = [point for point in world.points if point.startswith("commit.")]
    first = commits[: commits.index("commit.finished") + 1]
    assert [p for p in first if p not in ("commit.staged", "commit.finishing")] == [
        "commit.cut",
        "commit.settled",
        "commit.prepared",
        "commit.written",
        "commit.finished",
    ]


async def test_an_output_that_is_away_holds_the_checkpoint_back() -> None:
    memory, words, out = streams()

    class NoWrites(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "write":
                raise UnavailableError("away")

    memory.broker.faults = NoWrites()
    memory.put(words, "a", "a")
    job = copying(words, out, commit_interval="1s")
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(60)
        assert (await progress(memory, job, "copy/0", words)).after == "-1"
        memory.broker.faults = None
        await memory.wait_for(out, 1)
        await ran.stop()
    assert values(memory, out) == ["a"]
    assert (await progress(memory, job, "copy/0", words)).after == "0"


async def test_consumers_hear_what_is_durable_after_it_is() -> None:
    """Samza's 20 (TestOffsetManager): the listener is called with its own system's offsets."""
    memory, words, out = streams()
    memory.put(words, "a", "a")
    job = copying(words, out, commit_interval="1s")
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(5)
        await ran.stop()
    heard = {str(key.partition): after for key, after in memory.broker.committed.items()}
    assert heard == {"memory.words[0]": "0"}


async def test_a_consumer_that_cannot_be_told_of_a_checkpoint_undoes_nothing() -> None:
    memory, words, out = streams()

    class Deaf(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "on_checkpoint":
                raise UnavailableError("deaf")

    memory.broker.faults = Deaf()
    memory.put(words, "a", "a")
    job = copying(words, out)
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    assert (await progress(memory, job, "copy/0", words)).after == "0"


@pytest.mark.parametrize("took_effect", [True, False])
async def test_a_commit_of_unknown_outcome_is_decided_by_reading_it_back(
    took_effect: bool, caplog: pytest.LogCaptureFixture
) -> None:
    memory, words, out = streams()

    class Unknown(Faults):
        struck = 0

        async def before(self, operation: str, client: str) -> None:
            if operation == "checkpoint" and not took_effect:
                self.strike()

        async def after(self, operation: str, client: str) -> None:
            if operation == "checkpoint" and took_effect:
                self.strike()

        def strike(self) -> None:
            if len(values(memory, out)) and not self.struck:
                self.struck += 1
                raise UnavailableError("who knows")

    memory.broker.faults = faults = Unknown()
    memory.put(words, "a", "a")
    job = copying(words, out, commit_interval="1s")
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: faults.struck == 1)
        await asyncio.sleep(5)
        await ran.stop()
    assert "committing copy/0 works again after 1 failures" in caplog.text
    found = await checkpoint(memory, job, "copy/0")
    assert found is not None
    assert found.number == 2
    assert (await progress(memory, job, "copy/0", words)).after == "0"
    assert values(memory, out) == ["a"]


async def test_an_outage_of_the_checkpoints_is_said_once_for_all_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=4)
    out = memory.stream("out", key=str, value=str)

    class Away(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "checkpoint":
                raise UnavailableError("away")

    job = copying(words, out, commit_interval="1s")
    async with running(resolved(job, memory)) as ran:
        for outage in range(2):
            memory.broker.faults = Away()
            for partition in range(4):
                memory.put(words, "a", "a", partition=str(partition))
            await asyncio.sleep(60)
            memory.broker.faults = None
            await asyncio.sleep(60)
            said = [r.getMessage() for r in caplog.records if "committing" in r.getMessage()]
            assert len(said) == 2 * (outage + 1), said
            assert "fails, trying again: away" in said[-2]
            assert "works again" in said[-1]
        await ran.stop()


async def test_a_checkpoint_that_cannot_be_written_ends_the_job() -> None:
    memory, words, out = streams()
    memory.put(words, "a", "a")
    job = copying(words, out, commit_interval="1s")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        store: Any = type(memory.checkpoints().store("copying"))
        original = store.write

        async def full(
            self: Any,
            claim: Claim,
            checkpoint: Checkpoint,
            changes: Changes | None = None,
            within: Transaction | None = None,
        ) -> None:
            raise CheckpointError("the disk is full")

        store.write = full
        try:
            with pytest.raises(CheckpointError, match="the disk is full"):
                await ran.ended()
        finally:
            store.write = original


async def test_much_uncommitted_state_is_committed_early_and_stops_the_task_until_then() -> None:
    memory, words, _ = streams()
    job = Job("stateful", commit_interval="1h", max_uncommitted_bytes="10KiB")
    entries = job.store("entries", key=str, value=str)
    sizes: list[int] = []

    @job.task(words, stores=[entries])
    async def keep(word: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.store(entries).put(word.key, "x" * 1000)
        sizes.append(ctx._scope.overlays["entries"].size)  # type: ignore[attr-defined]

    for number in range(100):
        memory.put(words, f"k{number}", "v")
    memory.broker.faults = watch = Watch()
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(sizes) == 100)
        await ran.stop()
    assert watch.seen.count("checkpoint") >= 9
    assert max(sizes) <= 12 * 1024


async def test_state_in_memory_is_bounded_while_the_checkpoints_are_away() -> None:
    memory, words, _ = streams()
    job = Job("stateful", commit_interval="1h", max_uncommitted_bytes="10KiB")
    entries = job.store("entries", key=str, value=str)
    calls: list[str] = []

    class Away(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "checkpoint" and calls:
                raise UnavailableError("away")

    @job.task(words, stores=[entries])
    async def keep(word: Message[str, str], ctx: TaskContext[None]) -> None:
        calls.append(word.key)
        ctx.store(entries).put(word.key, "x" * 1000)

    for number in range(100):
        memory.put(words, f"k{number}", "v")
    memory.broker.faults = Away()
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(300)
        assert 10 <= len(calls) <= 24  # one generation in the commit, one above it
        memory.broker.faults = None
        await ran.until(lambda: len(calls) == 100)
        await ran.stop()


@pytest.mark.parametrize("requests", list(Requests))
async def test_numbers_grow_over_all_owners_of_a_task(requests: Requests) -> None:
    memory = Memory(requests=requests)
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    job = copying(words, out)
    numbers: list[tuple[int, int]] = []
    for word in ("a", "b"):
        memory.put(words, word, word)
        async with running(resolved(job, memory)) as ran:
            await memory.wait_for(out, len(numbers) + 1)
            await ran.stop()
        found = await checkpoint(memory, job, "copy/0")
        assert found is not None
        numbers.append((found.epoch, found.number))
    assert numbers == [(1, 2), (2, 3)]


async def test_a_restart_goes_on_behind_the_last_commit() -> None:
    memory, words, out = streams()
    job = copying(words, out)
    for word in ("a", "b", "c"):
        memory.put(words, word, word)
        async with running(resolved(job, memory)) as ran:
            await memory.wait_for(out, len(values(memory, out)) + 1)
            await ran.stop()
    assert values(memory, out) == ["a", "b", "c"]


async def test_at_least_once_a_crash_repeats_what_was_not_committed() -> None:
    memory, words, out = streams()
    job = copying(words, out, commit_interval="1h")
    memory.put(words, "a", "a")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.abort()
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    assert values(memory, out) == ["a", "a"]


async def test_ignored_checkpoints_are_written_over_and_the_job_starts_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory, words, out = streams()
    memory.put(words, "a", "a")
    job = copying(words, out)
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    async with running(resolved(job, memory, ignore_checkpoint=True)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    assert values(memory, out) == ["a", "a"]
    assert "are ignored and written over" in caplog.text


@pytest.mark.asyncio(loop_factories=["real"])
async def test_ignored_checkpoints_are_set_aside_in_a_thread_where_that_can_be_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, words, out = streams()
    memory.put(words, "a", "a")
    kept = LocalCheckpoints(tmp_path / "kept.log")
    set_aside, threads = LocalCheckpoints.set_aside, list[threading.Thread]()

    def noted(self: LocalCheckpoints, job: str) -> str | None:
        threads.append(threading.current_thread())
        return set_aside(self, job)

    monkeypatch.setattr(LocalCheckpoints, "set_aside", noted)
    caplog.set_level(logging.INFO)
    for count, told in [(1, "there are no checkpoints to ignore"), (2, "they were set aside")]:
        again = resolved(copying(words, out), memory, checkpoints=kept, ignore_checkpoint=True)
        with use_seam(Seam()):
            async with running(again) as ran:
                await memory.wait_for(out, count)
                await ran.stop()
        assert told in caplog.text
    assert values(memory, out) == ["a", "a"]
    assert threading.main_thread() not in threads


async def test_nothing_to_read_is_no_reason_to_fail() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str)
    await run(copying(words, out), memory)
    assert values(memory, out) == []
