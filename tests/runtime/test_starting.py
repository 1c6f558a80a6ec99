"""Where partitions start: resolved and kept, after their parents, refused where not safe."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from samza_py import AtOffset, AtTime, Job, Message, Newest, Oldest
from samza_py.admin import StartAt
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.errors import CheckpointError, ConfigError, ConnectorError, PositionLostError
from samza_py.producer import Promise
from tests.runtime.running import progress, resolved, run, running, values

Words = MemoryStream[str, str]


def copying(words: Words, out: Words, **settings: Any) -> Job[None]:
    job = Job("copying", commit_interval="1s")

    @job.task(words, to=out, **settings)
    async def copy(word: Message[str, str]) -> str:
        return word.value

    return job


@pytest.mark.parametrize(
    ("start", "read", "said"),
    [
        (Oldest(), ["a", "b", "c"], "the oldest message (position -1)"),
        (Newest(), [], "the newest message (position 2)"),
        (AtTime(1001), ["b", "c"], "the first message from 1001 ms on (position 0)"),
        (AtOffset({"0": "1"}), ["c"], "the configured offset (position 1)"),
        (
            AtOffset({"7": "1"}),
            ["a", "b", "c"],
            "the oldest message, since AtOffset does not name it (position -1)",
        ),
    ],
)
async def test_a_start_is_resolved_and_kept_before_the_first_poll(
    start: StartAt, read: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Samza's 20 and 22: the four kinds of start."""
    memory = Memory()
    words = memory.stream("words", key=str, value=str, start=start)
    out = memory.stream("out", key=str, value=str)
    for number, word in enumerate(("a", "b", "c")):
        memory.put(words, word, word, timestamp_ms=1000 + number)

    class Order(Faults):
        def __init__(self) -> None:
            self.seen: list[str] = []

        async def before(self, operation: str, client: str) -> None:
            self.seen.append(operation)

    memory.broker.faults = faults = Order()
    job = copying(words, out)
    with caplog.at_level(logging.INFO):
        async with running(resolved(job, memory)) as ran:
            await ran.until(lambda: "poll" in faults.seen)
            assert faults.seen.index("checkpoint") < faults.seen.index("assign")
            memory.put(words, "d", "d")
            await memory.wait_for(out, len(read) + 1)
            await ran.stop()
    assert values(memory, out) == [*read, "d"]
    assert f"task copy/0 has no checkpoint for memory.words[0]: it starts at {said}" in caplog.text


async def test_a_resolved_start_holds_after_a_crash_although_more_has_come() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, start=Newest())
    out = memory.stream("out", key=str, value=str)
    memory.put(words, "old", "old")
    job = copying(words, out)
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: bool(ran.container._supervisors))
        await asyncio.sleep(0.5)
        await ran.abort()
    memory.put(words, "new", "new")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    assert values(memory, out) == ["new"]


async def test_a_partition_that_has_come_since_is_read_from_its_oldest_message() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, start=Newest())
    out = memory.stream("out", key=str, value=str)
    memory.put(words, "old", "old")
    job = copying(words, out)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(2)
        await ran.stop()
    memory.grow(words, 2)
    memory.put(words, "grown", "grown", partition="1")
    async with running(resolved(copying(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    assert values(memory, out) == ["grown"]


async def test_a_child_waits_until_the_end_of_its_parent_is_checkpointed() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    for word in ("a", "b"):
        memory.put(words, word, word)
    memory.split(words, "0", "left", "right")
    for word in ("c", "d", "e", "f"):
        memory.put(words, word, word)
    memory.close(words)
    job = Job("split", commit_interval="1s")
    ends: dict[str, float] = {}
    starts: dict[str, float] = {}

    @job.task(words, to=out)
    async def copy(word: Message[str, str]) -> str:
        starts.setdefault(word.partition.id, asyncio.get_running_loop().time())
        await asyncio.sleep(5)
        ends[word.partition.id] = asyncio.get_running_loop().time()
        return word.value

    await run(job, memory)
    assert sorted(values(memory, out)) == ["a", "b", "c", "d", "e", "f"]
    assert set(starts) == {"0", "left", "right"}
    assert ends["0"] <= min(starts["left"], starts["right"])


async def test_a_merged_child_waits_for_all_its_parents() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=2)
    out = memory.stream("out", key=str, value=str)
    memory.put(words, "a", "a", partition="0")
    memory.put(words, "b", "b", partition="1")
    memory.merge(words, ["0", "1"], "both")
    memory.put(words, "c", "c")
    memory.close(words)
    job = Job("merge", commit_interval="1s")

    @job.task(words, to=out, grouping="all")
    async def copy(word: Message[str, str]) -> str:
        await asyncio.sleep(5)
        return word.value

    await run(job, memory)
    assert sorted(values(memory, out)[:2]) == ["a", "b"]
    assert values(memory, out)[2:] == ["c"]


async def test_a_child_starts_at_once_where_its_parents_end_is_already_checkpointed() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    memory.put(words, "a", "a")
    memory.split(words, "0", "left")
    job = copying(words, out)
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await asyncio.sleep(5)
        await ran.stop()
    memory.put(words, "b", "b")
    before = asyncio.get_running_loop().time()
    async with running(resolved(copying(words, out), memory)) as ran:
        await memory.wait_for(out, 2)
        assert asyncio.get_running_loop().time() - before < 0.5
        await ran.stop()


async def test_a_stop_while_a_child_waits_for_its_parent_ends_the_run() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    for word in ("a", "b"):
        memory.put(words, word, word)
    memory.split(words, "0", "left")
    job = Job("split")

    @job.task(words, to=out)
    async def copy(word: Message[str, str]) -> str:
        await asyncio.sleep(5)
        return word.value

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(2)
        await ran.stop()
    assert values(memory, out) == ["a"]


@pytest.mark.parametrize("partitions", [2, 8, 9])
async def test_a_start_from_a_checkpoint_says_on_one_line_where_it_goes_on(
    partitions: int, caplog: pytest.LogCaptureFixture
) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=partitions)
    out = memory.stream("out", key=str, value=str)
    job = copying(words, out, grouping="all")
    for word in ("a", "b"):
        memory.put(words, word, word, partition="0")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    caplog.set_level(logging.INFO)
    caplog.clear()
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: bool(ran.container.statistics().tasks))
        await asyncio.sleep(1)
        await ran.stop()
    (line,) = [r.getMessage() for r in caplog.records if "goes on" in r.getMessage()]
    listed = [f"memory.words[{at}] after {1 if at == 0 else -1}" for at in range(partitions)]
    shown = ", ".join(listed) if partitions <= 8 else f"9 partitions, the first {listed[0]}"
    assert line == f"task copy/all goes on from its checkpoint: {shown}"
    assert "has no checkpoint" not in caplog.text


async def test_a_start_with_nothing_left_to_read_says_how_to_begin_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    job = copying(words, memory.stream("out", key=str, value=str))
    memory.close(words)
    await run(job, memory)
    with caplog.at_level(logging.INFO):
        await run(job, memory)
    said = (
        "goes on from its checkpoint: memory.words[0] at its end; --ignore-checkpoint begins again"
    )
    assert said in caplog.text


async def test_a_stream_that_was_made_anew_is_refused_until_the_job_starts_over() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    memory.put(words, "a", "a")
    job = copying(words, out)
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    memory.recreate(words)
    memory.put(words, "b", "b")
    with pytest.raises(
        PositionLostError, match=r"memory.words\[0\] has changed .*made anew.*--ignore-c"
    ):
        await run(copying(words, out), memory)
    async with running(resolved(copying(words, out), memory, ignore_checkpoint=True)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    assert values(memory, out) == ["a", "b"]


async def test_a_position_that_is_gone_ends_the_job_and_skips_nothing() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=2)
    out = memory.stream("out", key=str, value=str)
    memory.put(words, "a", "a", partition="0")
    job = copying(words, out)
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        memory.put(words, "b", "b", partition="1")
        await memory.wait_for(out, 2)
        memory.recreate(words)
        with pytest.raises(PositionLostError, match="deleted or made again"):
            await ran.ended()
    assert (await progress(memory, job, "copy/1", words, "1")).after == "0"


async def test_a_checkpoint_with_staged_output_that_is_no_longer_declared_is_refused() -> None:
    memory = Memory(promise=Promise.TWO_PHASE)
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    other = memory.stream("other", key=str, value=str)
    memory.put(words, "a", "a")

    class Unfinished(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "finish":
                from samza_py.errors import UnavailableError

                raise UnavailableError("away")

    memory.broker.faults = Unfinished()
    async with running(resolved(copying(words, out), memory)) as ran:
        await ran.until(lambda: bool(memory.broker.staged))
        await asyncio.sleep(5)
        await ran.abort()
    memory.broker.faults = None
    with pytest.raises(CheckpointError, match=r"output staged for memory.out, which the job no"):
        await run(copying(words, other), memory)
    async with running(resolved(copying(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    assert values(memory, out) == ["a"]


async def test_a_stream_that_is_not_there_is_named() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, create=False)
    out = memory.stream("out", key=str, value=str)
    with pytest.raises(ConnectorError, match="memory has no stream 'words'"):
        await run(copying(words, out), memory)


async def test_nothing_is_made_or_set_aside_where_an_input_is_not_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A mistyped root: its outputs would be made below it before anybody hears of the mistake."""
    memory = Memory()
    words = memory.stream("words", key=str, value=str, create=False)
    out = memory.stream("out", key=str, value=str, create=False)
    with pytest.raises(ConnectorError, match="memory has no stream 'words'"):
        await run(copying(words, out), memory, ignore_checkpoint=True)
    assert "out" not in memory.broker.topics
    assert "ignored" not in caplog.text


async def test_outputs_that_are_missing_are_made() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str, create=False, partitions=3)
    memory.put(words, "a", "a")
    await run(copying(words, out), memory)
    assert values(memory, out) == ["a"]


async def test_progress_of_a_partition_that_is_gone_is_kept() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    memory.put(words, "a", "a")
    memory.split(words, "0", "left")
    job = copying(words, out, grouping="all")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 1)
        await asyncio.sleep(3)
        await ran.stop()
    del memory.broker.topic("words").logs["0"]
    memory.put(words, "b", "b")
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 2)
        await ran.stop()
    kept = await progress(memory, job, "copy/all", words, "0")
    assert str(kept.after) == "End.END"


async def test_an_input_without_partitions_is_refused() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    memory.broker.topic("words").logs.clear()
    with pytest.raises(ConfigError, match=r"stream memory\.words: has no partitions to read"):
        await run(copying(words, out), memory)
