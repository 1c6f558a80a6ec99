"""What becomes of a message that fails: the policy in force, and each thing it may say."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from samza_py import BatchFailed, DeadLetter, Fail, Job, Message, Record, Retry, Skip, TaskContext
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.errors import SerdeError, TaskFailedError
from samza_py.producer import Limits
from samza_py.serde import Serde
from tests.runtime.running import progress, run, values

Words = MemoryStream[str, str]


def streams(*given: str) -> tuple[Memory, Words, Words]:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str)
    for word in given:
        memory.put(words, word, word)
    return memory, words, out


def headers(message: Message[Any, Any]) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers}


async def test_fail_names_task_position_and_key_and_commits_what_was_finished() -> None:
    """Samza's 13 (testExceptionIsPropagated)."""
    memory, words, out = streams("a", "b", "bad", "c")
    job = Job("failing")

    @job.task(words, to=out)
    def work(word: Message[str, str]) -> str:
        if word.value == "bad":
            raise ValueError("no good")
        return word.value

    with pytest.raises(TaskFailedError) as failed:
        await run(job, memory)
    said = "task work/0 failed at memory.words[0] offset 2, key 'bad': ValueError: no good"
    assert str(failed.value) == said
    assert isinstance(failed.value.__cause__, ValueError)
    assert values(memory, out) == ["a", "b"]
    assert (await progress(memory, job, "work/0", words)).after == "1"


async def test_fail_in_one_of_several_calls_commits_the_others_that_are_finished() -> None:
    memory, words, out = streams("slow", "bad", "fast")
    job = Job("failing")

    @job.task(words, to=out, max_concurrency=3)
    async def work(word: Message[str, str]) -> str:
        await asyncio.sleep({"slow": 100, "bad": 2, "fast": 1}[word.value])
        if word.value == "bad":
            raise ValueError
        return word.value

    with pytest.raises(TaskFailedError, match="offset 1, key 'bad': ValueError"):
        await run(job, memory)
    assert values(memory, out) == ["fast"]
    done = await progress(memory, job, "work/0", words)
    assert (done.after, done.done) == ("-1", (("2", "2"),))


async def test_when_one_task_fails_the_others_end_in_good_order() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=3)
    out = memory.stream("out", key=str, value=str)
    memory.put(words, None, "bad", partition="0")
    memory.put(words, None, "good", partition="1")
    memory.put(words, None, "bad too", partition="2")
    job = Job("failing")

    @job.task(words, to=out)
    async def work(word: Message[Any, str]) -> str:
        await asyncio.sleep({"bad": 1, "bad too": 2, "good": 3}[word.value])
        if word.value != "good":
            raise ValueError(word.value)
        return word.value

    with pytest.raises(TaskFailedError, match="work/0 failed"):
        await run(job, memory)
    assert values(memory, out) == ["good"]
    assert (await progress(memory, job, "work/1", words, "1")).after == "0"


async def test_skip_counts_the_message_and_says_so_once_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory, words, out = streams("bad", "bad", "bad", "good")
    job = Job("skipping", on_error=Skip())

    @job.task(words, to=out)
    def work(word: Message[str, str]) -> str:
        if word.value == "bad":
            raise ValueError("no good")
        return word.value

    with caplog.at_level(logging.WARNING):
        ran = await run(job, memory)
    assert values(memory, out) == ["good"]
    assert ran.container.statistics().total().skipped == 3
    assert [r.getMessage() for r in caplog.records if "skipped" in r.getMessage()] == [
        "task work/0 skipped memory.words[0] offset 0, key 'bad': ValueError('no good')"
    ]


async def test_a_dead_letter_is_the_source_unchanged_and_says_where_it_came_from() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    dead = memory.stream("words.dead")
    memory.put(words, "k", "bad", timestamp_ms=5, headers=[("own", b"1")])
    job = Job("burying", on_error=DeadLetter(dead))

    @job.task(words)
    def work(word: Message[str, str]) -> None:
        raise ValueError("no good")

    ran = await run(job, memory)
    (letter,) = memory.read_raw(dead)
    assert (letter.raw_key, letter.raw_value, letter.timestamp_ms) == (b"k", b"bad", 5)
    assert headers(letter) == {
        "own": "1",
        "samza-task": "work/0",
        "samza-source": "memory.words[0]",
        "samza-offset": "0",
        "samza-attempts": "1",
        "samza-error-type": "ValueError",
        "samza-error": "no good",
    }
    assert ran.container.statistics().total().dead == 1


async def test_a_dead_letter_over_the_outputs_limit_is_cut_and_says_so() -> None:
    memory = Memory(limits=Limits(bytes=10_000))
    words = memory.stream("words", finite=True)
    dead = memory.stream("words.dead")
    long = b"x" * 50_000
    memory.put(words, b"k", long)
    job = Job("burying", on_error=DeadLetter(dead))

    @job.task(words)
    def work(word: Message[bytes, bytes]) -> None:
        raise ValueError

    await run(job, memory)
    (letter,) = memory.read_raw(dead)
    said = headers(letter)
    assert len(letter.raw_value) < 10_000
    assert long.startswith(letter.raw_value)
    assert said["samza-truncated"] == "true"
    assert said["samza-length"] == "50000"
    assert said["samza-sha256"] == hashlib.sha256(long).hexdigest()


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_retry_counts_the_first_call_waits_longer_each_time_and_then_does_what_it_says(
    max_concurrency: int,
) -> None:
    memory, words, _ = streams("bad")
    dead = memory.stream("dead")
    policy = Retry(4, backoff="1s", max_backoff="3s", then=DeadLetter(dead))
    job = Job("retrying", on_error=policy)
    calls: list[tuple[int, float]] = []

    @job.task(words, max_concurrency=max_concurrency)
    async def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
        calls.append((ctx.attempt, asyncio.get_running_loop().time()))
        raise ValueError

    ran = await run(job, memory)
    assert [attempt for attempt, _ in calls] == [1, 2, 3, 4]
    waits = [later - sooner for (_, sooner), (_, later) in pairwise(calls)]
    for wait, longest in zip(waits, (1.0, 2.0, 3.0), strict=True):
        assert longest / 2 <= wait <= longest + 0.001
    (letter,) = memory.read_raw(dead)
    assert headers(letter)["samza-attempts"] == "4"
    assert ran.container.statistics().total().retries == 3


async def test_retry_is_for_the_exceptions_it_names_and_fails_by_default_at_its_end() -> None:
    memory, words, _ = streams("bad")
    job = Job("retrying", on_error=Retry(5, backoff=0, on=(ConnectionError,)))
    calls: list[int] = []

    @job.task(words)
    def work(word: Message[str, str], ctx: TaskContext[None]) -> None:
        calls.append(ctx.attempt)
        raise ConnectionError if ctx.attempt < 3 else ValueError("other")

    with pytest.raises(TaskFailedError, match="after 3 attempts: ValueError: other"):
        await run(job, memory)
    assert calls == [1, 2, 3]


async def test_the_inputs_policy_beats_the_tasks_and_that_one_the_jobs() -> None:
    memory = Memory()
    named = [memory.stream(name, value=str, finite=True) for name in ("one", "two", "three")]
    for stream in named:
        memory.put(stream, None, "bad")
    by_input, by_task, by_job = (memory.stream(f"dead-{name}") for name in ("in", "task", "job"))
    job = Job("policies", on_error=DeadLetter(by_job))

    def work(word: Message[bytes, str]) -> None:
        raise ValueError

    job.task(named[0], named[1], name="both", on_error={named[0]: DeadLetter(by_input)})(work)
    job.task(named[2], name="own", on_error=DeadLetter(by_task))(work)
    await run(job, memory)

    def sources(stream: MemoryStream[Any, Any]) -> list[str]:
        return [headers(letter)["samza-source"] for letter in memory.read_raw(stream)]

    assert sources(by_input) == ["memory.one[0]"]
    assert sources(by_task) == ["memory.three[0]"]
    assert sources(by_job) == ["memory.two[0]"]


@pytest.mark.parametrize("kind", ["serial", "concurrent", "batch"])
@pytest.mark.parametrize("broken", ["by the serde", "by the consumer"])
async def test_what_cannot_be_decoded_goes_by_the_policy_and_never_to_the_handler(
    kind: str, broken: str
) -> None:
    """Samza's 18 (TestSystemConsumers): a bad message is skipped and the next one delivered."""
    memory = Memory()
    numbers = memory.stream("numbers", key=str, value=int, finite=True)
    dead = memory.stream("dead")
    memory.put(numbers, "k", 1)
    if broken == "by the serde":
        memory.put_raw(numbers, b"k", b"no number")
    else:
        memory.put_undecodable(numbers, b"no number")
    memory.put(numbers, "k", 3)
    job = Job("undecodable", on_error=Retry(5, backoff="1h", then=DeadLetter(dead)))
    seen: list[int] = []

    def one(number: Message[str, int]) -> None:
        seen.append(number.value)

    def many(numbers: Sequence[Message[str, int]]) -> None:
        seen.extend(number.value for number in numbers)

    if kind == "batch":
        job.batch_task(numbers, name="work")(many)
    else:
        job.task(numbers, name="work", max_concurrency=1 if kind == "serial" else 3)(one)
    await run(job, memory)
    assert seen == [1, 3]
    (letter,) = memory.read_raw(dead)
    assert letter.raw_value == b"no number"
    assert headers(letter)["samza-attempts"] == "0"
    assert headers(letter)["samza-error-type"] == "SerdeError"
    assert asyncio.get_running_loop().time() < 3600  # no retry was waited for


class Shouted(Serde[str]):
    """Text in capitals; its decoder would take anything."""

    def decoder(self) -> Callable[[Any], str]:
        return lambda data: str(data).upper()

    def encoder(self) -> Callable[[str], Any]:
        return str.encode


@pytest.mark.parametrize("max_concurrency", [1, 3])
@pytest.mark.parametrize("serde", [str, Shouted()])
async def test_a_tombstone_is_undecodable_where_the_type_has_no_none(
    serde: Any, max_concurrency: int
) -> None:
    memory = Memory()
    words: Words = memory.stream("words", key=str, value=serde, finite=True)
    memory.put(words, "k", None)
    job = Job("tombstones")

    @job.task(words, max_concurrency=max_concurrency)
    def work(word: Message[str, str]) -> None:
        raise AssertionError

    with pytest.raises(TaskFailedError, match="a tombstone") as failed:
        await run(job, memory)
    assert isinstance(failed.value.__cause__, SerdeError)


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_a_call_over_its_timeout_fails_as_a_timeout_error(max_concurrency: int) -> None:
    """Samza's 30 (TestAsyncFlatMap): timed out after 100 ms; 14 for messages."""
    memory, words, _ = streams("slow")
    job = Job("timeouts", on_error=Retry(2, backoff=0, on=(TimeoutError,)))
    calls: list[float] = []

    @job.task(words, timeout="100ms", max_concurrency=max_concurrency)
    async def work(word: Message[str, str]) -> None:
        calls.append(asyncio.get_running_loop().time())
        await asyncio.sleep(100)

    with pytest.raises(TaskFailedError, match=r"after 2 attempts: .*timeout=0.1 s"):
        await run(job, memory)
    assert len(calls) == 2
    assert 0.1 <= calls[1] - calls[0] <= 0.15


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_each_call_of_a_message_has_its_whole_time(max_concurrency: int) -> None:
    memory, words, out = streams("slow")
    job = Job("timeouts", on_error=Retry(3, backoff=0, on=(TimeoutError,)))
    calls: list[int] = []

    @job.task(words, to=out, timeout="100ms", max_concurrency=max_concurrency)
    async def work(word: Message[str, str], ctx: TaskContext[None]) -> str:
        calls.append(ctx.attempt)
        await asyncio.sleep(100 if ctx.attempt == 1 else 0.08)
        return word.value

    await run(job, memory)
    assert calls == [1, 2]
    assert values(memory, out) == ["slow"]


@pytest.mark.parametrize("max_concurrency", [1, 3])
async def test_a_call_under_its_timeout_is_left_alone(max_concurrency: int) -> None:
    memory, words, out = streams("a", "b", "c")
    job = Job("timeouts")

    @job.task(words, to=out, timeout="1s", max_concurrency=max_concurrency)
    async def work(word: Message[str, str]) -> str:
        await asyncio.sleep(0.9)
        return word.value

    await run(job, memory)
    assert sorted(values(memory, out)) == ["a", "b", "c"]


@pytest.mark.parametrize("before", [0, 40], ids=["at the start", "in a slice"])
@pytest.mark.parametrize("kind", ["serial", "concurrent", "batch"])
async def test_a_handler_that_swallows_its_timeout_has_succeeded_and_leaves_no_trace(
    kind: str, before: int
) -> None:
    quick = [f"quick {number}" for number in range(before)]
    memory, words, out = streams(*quick, "swallows", "cancels itself", *quick)
    job = Job("swallowing", on_error=Skip(), commit_interval="1h")

    async def work(word: Message[str, str]) -> str:
        if word.value.startswith("quick"):
            return word.value
        if word.value != "swallows":
            raise asyncio.CancelledError  # nobody has cancelled it: an error like any other
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return word.value

    async def batch(words: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        return [Record(await work(word), source=word) for word in words]

    if kind == "batch":
        job.batch_task(words, to=out, timeout="1s", batch_messages=1)(batch)
    else:
        job.task(words, to=out, timeout="1s", max_concurrency=1 if kind == "serial" else 2)(work)
    ran = await run(job, memory)
    assert sorted(values(memory, out)) == sorted([*quick, "swallows", *quick])
    assert ran.container.statistics().total().skipped == 1


async def test_a_blocking_call_over_its_timeout_is_left_to_itself_and_can_send_nothing() -> None:
    memory, words, out = streams("slow", "fast")
    job = Job("blocking", on_error=Skip())
    go_on, ended = threading.Event(), threading.Event()
    errors: list[Exception] = []

    @job.task(words, to=out, timeout="20ms", blocking=True)
    def work(word: Message[str, str], ctx: TaskContext[None]) -> str:
        if word.value == "slow":
            go_on.wait(10)
            try:
                ctx.send(out, "late")
            except Exception as error:
                errors.append(error)
            ended.set()
        return word.value

    timer = threading.Timer(0.2, go_on.set)
    timer.start()
    ran = await run(job, memory)
    ended.wait(10)
    assert values(memory, out) == ["fast"]
    assert [type(error).__name__ for error in errors] == ["ContextClosedError"]
    assert ran.container.statistics().total().skipped == 1


async def test_a_batch_that_names_its_culprits_runs_the_others_again_together() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str)
    for key, value in [("a", "1"), ("b", "bad"), ("c", "3"), ("b", "4"), ("a", "5")]:
        memory.put(words, key, value)
    job = Job("batches", on_error=Skip())
    batches: list[list[str]] = []

    @job.batch_task(words, to=out)
    async def work(batch: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        batches.append([word.value for word in batch])
        bad = {i: ValueError("no") for i, word in enumerate(batch) if word.value == "bad"}
        if bad:
            raise BatchFailed(bad)
        return [Record(word.value, source=word) for word in batch]

    ran = await run(job, memory)
    assert batches == [["1", "bad", "3", "4", "5"], ["1", "3", "5"], ["4"]]
    assert values(memory, out) == ["1", "3", "5", "4"]
    assert ran.container.statistics().total().skipped == 1


async def test_a_batch_that_fails_otherwise_runs_one_by_one_by_the_policy() -> None:
    memory, words, out = streams("a", "bad", "c")
    job = Job("batches", on_error=Retry(3, backoff=0, then=Skip()))
    batches: list[list[str]] = []

    @job.batch_task(words, to=out)
    def work(batch: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        batches.append([word.value for word in batch])
        if any(word.value == "bad" for word in batch):
            raise ValueError
        return [Record(word.value, source=word) for word in batch]

    await run(job, memory)
    assert batches == [["a", "bad", "c"], ["a"], ["bad"], ["bad"], ["bad"], ["c"]]
    assert values(memory, out) == ["a", "c"]


async def test_a_batch_that_names_a_message_it_was_not_given_runs_one_by_one() -> None:
    memory, words, out = streams("a", "b")
    job = Job("batches", on_error=Skip())

    @job.batch_task(words, to=out)
    def work(batch: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        if len(batch) > 1:
            raise BatchFailed({7: ValueError("who?")})
        return [Record(word.value, source=word) for word in batch]

    await run(job, memory)
    assert values(memory, out) == ["a", "b"]


@pytest.mark.parametrize("errors", [{-1: ValueError()}, {"0": ValueError()}, {0: "why"}, {}])
async def test_a_batch_that_names_nothing_that_could_be_fails_by_the_policy(errors: Any) -> None:
    memory, words, out = streams("a", "b")
    job = Job("batches", on_error=Skip())

    @job.batch_task(words, to=out)
    def work(batch: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        if batch[0].value == "a":
            raise BatchFailed(errors)
        return [Record(word.value, source=word) for word in batch]

    ran = await run(job, memory)
    assert values(memory, out) == ["b"]
    assert ran.container.statistics().total().skipped == 1


async def test_a_batch_result_without_a_source_fails_and_says_what_to_write() -> None:
    memory, words, out = streams("a", "b")
    job = Job("batches")

    @job.batch_task(words, to=out)
    def work(batch: Sequence[Message[str, str]]) -> Any:
        if len(batch) > 1:
            return ["just a text"]
        raise LookupError("alone")

    with pytest.raises(TaskFailedError, match="LookupError: alone"):
        await run(job, memory)


async def test_fail_is_the_default_and_may_be_said() -> None:
    for policy in (None, Fail()):
        memory, words, _ = streams("bad")
        job = Job("failing", on_error=policy)

        @job.task(words)
        def work(word: Message[str, str]) -> None:
            raise KeyError("gone")

        with pytest.raises(TaskFailedError, match="KeyError: 'gone'"):
            await run(job, memory)
