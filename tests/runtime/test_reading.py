"""The intake: what is polled, what is not, and what becomes of a system that fails to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

import pytest

from samza_py import Job, Message
from samza_py.connectors.memory import Faults, Memory, MemoryStream, Script
from samza_py.connectors.memory.consumer import MemoryConsumer
from samza_py.consumer import Fetched, Room
from samza_py.errors import ConfigError, ConnectorError, ContainerError, UnavailableError
from samza_py.message import Partition, TaskPartition
from samza_py.specification import Order
from tests.runtime.running import progress, resolved, run, running, values

Words = MemoryStream[str, str]


class Polls:
    """Every poll as it was asked: the ids of the partitions that were wanted."""

    def __init__(self) -> None:
        self.wanted: list[set[str]] = []


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> Polls:
    seen = Polls()
    poll = MemoryConsumer.poll

    async def noted(
        self: MemoryConsumer, wanted: Mapping[TaskPartition, Room]
    ) -> Mapping[TaskPartition, Fetched]:
        seen.wanted.append({key.partition.id for key in wanted})
        return await poll(self, wanted)

    monkeypatch.setattr(MemoryConsumer, "poll", noted)
    return seen


def copying(words: Words, out: Words, seconds: float = 0.0) -> Job[None]:
    job = Job("copying", max_buffered_messages=4)

    @job.task(words, to=out)
    async def copy(word: Message[str, str]) -> str:
        await asyncio.sleep(seconds)
        return word.value

    return job


def streams(partitions: int, *, finite: bool = False) -> tuple[Memory, Words, Words]:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=partitions, finite=finite)
    return memory, words, memory.stream("out", key=str, value=str)


async def test_only_partitions_with_room_are_polled(polls: Polls) -> None:
    """Samza's 18 (TestSystemConsumers): what has messages waiting is not asked for more."""
    memory, words, out = streams(2)
    for number in range(20):
        memory.put(words, "k", str(number), partition="0")
    async with running(resolved(copying(words, out, 10.0), memory)) as ran:
        await asyncio.sleep(5)
        assert polls.wanted[-1] == {"1"}  # the other buffer is full
        memory.put(words, "k", "other", partition="1")
        await memory.wait_for(out, 2)
        assert {"0", "1"} in polls.wanted
        await ran.abort()


async def test_a_partition_that_gets_room_is_asked_for_while_the_others_are_silent(
    polls: Polls,
) -> None:
    memory, words, out = streams(2)
    for number in range(20):
        memory.put(words, "k", str(number), partition="0")
    async with running(resolved(copying(words, out, 1.0), memory)) as ran:
        await memory.wait_for(out, 20)
        await ran.stop()
    assert values(memory, out) == [str(number) for number in range(20)]


async def test_a_finished_partition_is_not_polled_again(polls: Polls) -> None:
    """Samza's 18 (TestSystemConsumers): no poll behind the end of a stream."""
    memory, words, out = streams(2)
    memory.put(words, "k", "a", partition="0")
    memory.broker.topic("words").log("0").close()
    async with running(resolved(copying(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await asyncio.sleep(5)
        for number in range(5):
            memory.put(words, "k", str(number), partition="1")
            await memory.wait_for(out, 2 + number)
        assert polls.wanted[-1] == {"1"}
        await ran.stop()


async def test_a_stopped_task_asks_for_nothing_more(polls: Polls) -> None:
    memory, words, out = streams(1)
    for number in range(3):
        memory.put(words, "k", str(number))
    async with running(resolved(copying(words, out, 100.0), memory)) as ran:
        await asyncio.sleep(5)
        ran.container.request_stop()
        before = len(polls.wanted)
        await asyncio.sleep(5)
        memory.put(words, "k", "late")
        await asyncio.sleep(5)
        assert len(polls.wanted) <= before + 1  # the one that was waiting
        await ran.abort()


async def test_a_system_whose_polls_fail_is_asked_again_with_growing_waits() -> None:
    memory, words, out = streams(1)

    class Away(Faults):
        times: ClassVar[list[float]] = []

        async def before(self, operation: str, client: str) -> None:
            if operation == "poll" and len(self.times) < 8:
                self.times.append(asyncio.get_running_loop().time())
                raise UnavailableError("away")

    memory.broker.faults = faults = Away()
    memory.put(words, "k", "a")
    async with running(resolved(copying(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    waits = [b - a for a, b in zip(faults.times, faults.times[1:], strict=False)]
    for index, wait in enumerate(waits):
        longest = min(10.0, 0.1 * 2**index)
        assert longest / 2 <= wait <= longest + 0.01


async def test_a_system_says_how_long_to_leave_it_alone() -> None:
    memory, words, out = streams(1)

    class Throttled(Faults):
        asked: ClassVar[list[float]] = []

        async def before(self, operation: str, client: str) -> None:
            if operation == "poll":
                self.asked.append(asyncio.get_running_loop().time())
                if len(self.asked) == 1:
                    raise UnavailableError("slow down", after_s=30.0)

    memory.broker.faults = faults = Throttled()
    memory.put(words, "k", "a")
    async with running(resolved(copying(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await ran.stop()
    assert faults.asked[1] - faults.asked[0] >= 30


@pytest.mark.parametrize("struck", ["poll", "assign", "open", "partitions", "claim"])
async def test_a_system_that_fails_for_good_ends_the_job_and_leaves_nothing_running(
    struck: str,
) -> None:
    memory, words, out = streams(1)

    class Broken(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == struck:
                raise ConnectorError("this will never work")

    memory.broker.faults = Broken()
    with pytest.raises(ConnectorError, match="this will never work"):
        await run(copying(words, out), memory)


async def test_a_second_system_that_cannot_be_opened_closes_the_first_and_leaves_no_child() -> None:
    memory, words, _ = streams(1)
    other = Memory("other")
    out = other.stream("out", key=str, value=str)

    class Broken(Faults):
        asked = 0

        async def before(self, operation: str, client: str) -> None:
            self.asked += 1
            if operation == "open" and self.asked > 1:  # the admin opens, the producer does not
                raise ConnectorError("no producer today")

    other.broker.faults = Broken()
    with pytest.raises(ConnectorError, match="no producer today"):
        await run(copying(words, out), memory, other)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lifespan_that_fails_ends_the_job_and_its_error_is_the_cause(when: str) -> None:
    memory, words, _ = streams(1, finite=True)

    @asynccontextmanager
    async def clients() -> AsyncGenerator[None]:
        if when == "before":
            raise LookupError("no clients")
        yield
        raise LookupError("no clients")

    job = Job("clients", lifespan=clients)

    @job.task(words)
    def work(word: Message[str, str]) -> None: ...

    with pytest.raises(ContainerError, match="the lifespan of job clients failed") as failed:
        await run(job, memory)
    assert repr(failed.value.__cause__) == "LookupError('no clients')"


class LaterBroken(Faults):
    """A consumer, or one partition of it, that fails for good once it is struck."""

    def __init__(self, broken: str) -> None:
        self.broken = broken
        self.struck = False

    async def before(self, operation: str, client: str) -> None:
        if self.struck and self.broken == "the consumer" and operation == "poll":
            raise ConnectorError("memory is damaged")

    def partition(self, client: str, partition: Partition) -> ConnectorError | None:
        if self.struck and self.broken == "one partition" and partition.id == "1":
            return ConnectorError(f"{partition} is damaged")
        return None


async def test_a_partition_that_fails_for_good_names_itself_and_ends_the_job() -> None:
    memory, words, out = streams(2)

    class OneBroken(Faults):
        def partition(self, client: str, partition: Partition) -> ConnectorError | None:
            return ConnectorError(f"{partition} is damaged") if partition.id == "1" else None

    memory.broker.faults = OneBroken()
    with pytest.raises(ConnectorError, match=r"memory.words\[1\] is damaged"):
        await run(copying(words, out), memory)


WENT_BACK = r"memory.words\[0\]: the consumer of memory went back to offset 0, after offset 1"


@pytest.mark.parametrize("order", ["key", "none"])
async def test_a_consumer_that_gives_a_message_again_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, order: Order
) -> None:
    """Believed, its messages would be processed twice, with no crash that explains it."""
    memory, words, _ = streams(1)
    poll, first = MemoryConsumer.poll, list[Mapping[TaskPartition, Fetched]]()

    async def repeats(
        self: MemoryConsumer, wanted: Mapping[TaskPartition, Room]
    ) -> Mapping[TaskPartition, Fetched]:
        said = await poll(self, wanted)
        first.append(said)
        return said if len(first) == 1 else first[0]

    monkeypatch.setattr(MemoryConsumer, "poll", repeats)
    job, seen = Job("once"), list[str]()

    @job.task(words, order=order, max_concurrency=1 if order == "key" else 4)
    async def see(word: Message[str, str]) -> None:
        seen.append(word.value)

    for value in ("a", "b"):
        memory.put(words, "k", value)
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(seen) == 2)
        memory.put(words, "k", "c")
        with pytest.raises(ConnectorError, match=WENT_BACK):
            await ran.ended()
    assert seen == ["a", "b"]
    assert (await progress(memory, job, "see/0", words)).after == "1"


@pytest.mark.parametrize("broken", ["the consumer", "one partition"])
async def test_what_was_finished_is_committed_where_an_input_fails_for_good(broken: str) -> None:
    memory, words, out = streams(2)
    job = copying(words, out)
    faults = LaterBroken(broken)
    memory.broker.faults = faults
    for partition in ("0", "1"):
        memory.put(words, "k", partition, partition=partition)
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: ran.container.statistics().total().handled == 2)
        faults.struck = True
        memory.put(words, "k", "2", partition="1")
        with pytest.raises(ConnectorError, match="is damaged"):
            await ran.ended()
    assert (await progress(memory, job, "copy/0", words, "0")).after == "0"
    of_the_other = len(values(memory, out)) - 1  # a poll under way may have brought one more
    after = (await progress(memory, job, "copy/1", words, "1")).after
    assert after == str(of_the_other - 1)
    assert of_the_other >= 1


async def test_a_consumers_failure_is_said_once_and_not_for_each_of_its_tasks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory, words, out = streams(5)
    memory.broker.faults = faults = LaterBroken("the consumer")
    faults.struck = True
    with pytest.raises(ConnectorError, match="is damaged"):
        await run(copying(words, out), memory)
    assert "failed, too" not in caplog.text


async def test_two_handlers_read_one_stream_each_at_its_own_pace() -> None:
    memory, words, _ = streams(1)
    job = Job("two")
    calls: dict[str, list[str]] = {"fast": [], "slow": []}

    @job.task(words)
    async def fast(word: Message[str, str]) -> None:
        calls["fast"].append(word.value)

    @job.task(words)
    async def slow(word: Message[str, str]) -> None:
        await asyncio.sleep(100)
        calls["slow"].append(word.value)

    for number in range(5):
        memory.put(words, "k", str(number))
    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(calls["fast"]) == 5)
        assert calls["slow"] == []
        await ran.until(lambda: len(calls["slow"]) == 5)
        await ran.stop()


async def test_a_consumer_that_cannot_be_made_is_a_config_error() -> None:
    class WriteOnly(Memory):
        def consumer(self, inputs: Mapping[str, object]) -> MemoryConsumer:
            raise ConfigError("systems.memory", "cannot be read from: it is only an output")

    memory = WriteOnly()
    words = memory.stream("words", key=str, value=str)
    out = memory.stream("out", key=str, value=str)
    with pytest.raises(ConfigError, match="cannot be read from"):
        await run(copying(words, out), memory)


async def test_a_revoke_that_fails_does_not_hide_how_the_task_ended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(self: MemoryConsumer, partitions: Collection[TaskPartition]) -> None:
        raise UnavailableError("cannot be told")

    monkeypatch.setattr(MemoryConsumer, "revoke", fails)
    memory, words, out = streams(1, finite=True)
    memory.put(words, "k", "a")
    await run(copying(words, out), memory)
    assert values(memory, out) == ["a"]
    assert "could not be revoked" in caplog.text


class SlowSeek(Faults):
    """The partition fails once, behind what a fetch has brought; the seek after that is slow."""

    def __init__(self) -> None:
        self.failed = False
        self.assigned = 0

    def broken_off(self, client: str, partition: Partition) -> ConnectorError | None:
        if self.failed:
            return None
        self.failed = True
        return UnavailableError(f"{partition} cannot be read on now")

    async def before(self, operation: str, client: str) -> None:
        if operation == "assign":
            self.assigned += 1
            if self.assigned == 2:
                await asyncio.sleep(5)


async def test_a_seek_of_an_earlier_instance_does_not_come_after_that_of_the_next_one() -> None:
    """It would skip what the next one has still to read: the end of a task waits for it."""
    memory, words, out = streams(1)
    script = Script()
    for letter in "abcdefghij":
        memory.put(words, letter, letter)
    memory.broker.faults = faults = SlowSeek()
    link = memory.connect("one")
    given = resolved(copying(words, out, seconds=2.0), link, coordination=script.container(link))
    async with running(given) as ran:
        script.grant("one")
        await ran.until(lambda: faults.assigned == 2)
        script.lose("one")
        script.grant("one")
        await memory.wait_for(out, 10)
        await ran.stop()
    assert list(dict.fromkeys(values(memory, out))) == list("abcdefghij")


async def test_what_came_before_a_partition_failed_is_handled_once() -> None:
    memory, words, out = streams(1, finite=True)
    for letter in "abcdef":
        memory.put(words, letter, letter)
    memory.broker.faults = faults = SlowSeek()
    await run(copying(words, out), memory)
    assert faults.failed
    assert values(memory, out) == list("abcdef")
