"""What an output refuses long after the call that sent it: by the policy, past its retries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from samza_py import DeadLetter, Fail, Job, Message, Retry, Skip, StreamTask, TaskContext
from samza_py.checkpoint import InputProgress
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.errors import RejectedError, TaskFailedError
from samza_py.message import Offset, Partition
from samza_py.policies import ErrorPolicy
from samza_py.producer import Promise, Requests
from samza_py.runtime.commit import Draft
from samza_py.runtime.participants import Condemned
from tests.runtime.running import checkpoint, progress, run, values

Words = MemoryStream[str, str]
WAYS = [Requests.ORDERED, Requests.WHOLE, Requests.BY_MESSAGE]


def streams(
    requests: Requests, promise: Promise = Promise.AT_LEAST_ONCE
) -> tuple[Memory, Words, Words]:
    """An output that takes four bytes at most."""
    memory = Memory(requests=requests, promise=promise)
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str, max_message_bytes=4)
    for word in ("a", "too long", "b"):
        memory.put(words, word[:1], word)
    return memory, words, out


def copying(words: Words, out: Words, policy: ErrorPolicy, **options: Any) -> Job[None]:
    job = Job("copying", on_error=policy, **options)

    @job.task(words, to=out)
    def copy(word: Message[str, str]) -> str:
        return word.value

    return job


@pytest.mark.parametrize("requests", WAYS)
async def test_a_late_rejection_goes_past_the_retries_to_the_dead_letters(
    requests: Requests,
) -> None:
    memory, words, out = streams(requests)
    dead = memory.stream("dead")
    job = copying(words, out, Retry(5, backoff="1h", then=DeadLetter(dead)))
    await run(job, memory)
    assert values(memory, out) == ["a", "b"]
    (letter,) = memory.read_raw(dead)
    assert (letter.raw_key, letter.raw_value) == (b"t", b"too long")
    assert dict(letter.headers)["samza-offset"] == b"1"
    assert dict(letter.headers)["samza-error-type"] == b"RejectedError"


@pytest.mark.parametrize("requests", WAYS)
async def test_a_late_rejection_may_be_skipped(requests: Requests) -> None:
    memory, words, out = streams(requests)
    ran = await run(copying(words, out, Skip()), memory)
    assert values(memory, out) == ["a", "b"]
    assert ran.container.statistics().total().skipped == 1


async def test_what_a_batch_task_sends_goes_by_the_policy_of_its_source() -> None:
    memory, words, out = streams(Requests.ORDERED)
    job: Job[None] = Job("copying", on_error=Skip())

    @job.batch_task(words, outputs=[out])
    def copy(batch: Sequence[Message[str, str]], ctx: TaskContext[None]) -> None:
        for word in batch:
            ctx.send(out, word.value, source=word)

    ran = await run(job, memory)
    assert values(memory, out) == ["a", "b"]
    assert ran.container.statistics().total().skipped == 1


@pytest.mark.parametrize("kind", ["batch", "single"])
async def test_a_source_is_named_in_a_batch_task_and_there_alone(kind: str) -> None:
    memory, words, out = streams(Requests.ORDERED)
    job: Job[None] = Job("copying")
    if kind == "batch":

        @job.batch_task(words, outputs=[out])
        def copy(batch: Sequence[Message[str, str]], ctx: TaskContext[None]) -> None:
            ctx.send(out, "a")

    else:

        @job.task(words, outputs=[out])
        def copy_one(word: Message[str, str], ctx: TaskContext[None]) -> None:
            ctx.send(out, "a", source=word)

    with pytest.raises(TaskFailedError, match="source="):
        await run(job, memory)


@pytest.mark.parametrize("requests", WAYS)
async def test_a_late_rejection_that_fails_the_job_is_not_covered_by_a_checkpoint(
    requests: Requests,
) -> None:
    memory, words, out = streams(requests)
    job = copying(words, out, Fail())
    with pytest.raises(TaskFailedError, match=r"memory.words\[0\] offset 1, key 't': Rej"):
        await run(job, memory)
    found = await checkpoint(memory, job, "copy/0")
    assert found is None or (await progress(memory, job, "copy/0", words)).after == "-1"


@pytest.mark.parametrize("requests", WAYS)
async def test_a_dead_letter_that_is_rejected_fails_the_job(requests: Requests) -> None:
    memory, words, out = streams(requests)
    dead = memory.stream("dead", max_message_bytes=4)
    job = copying(words, out, DeadLetter(dead))
    with pytest.raises(TaskFailedError, match="a dead letter was rejected"):
        await run(job, memory)
    assert (await progress(memory, job, "copy/0", words)).after == "-1"
    assert values(memory, dead) == []


async def test_what_a_hook_sends_and_an_output_rejects_fails_the_job() -> None:
    memory, words, out = streams(Requests.ORDERED)

    class AtEnd(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            return None

        async def on_end(self, ctx: TaskContext[None]) -> str:
            return "much too long"

    job = Job("hooks", on_error=Skip())
    job.add(AtEnd, words, to=out)
    with pytest.raises(TaskFailedError, match="what a timer sent was rejected"):
        await run(job, memory)


@pytest.mark.parametrize("kind", ["serial", "concurrent", "batch"])
@pytest.mark.parametrize("promise", [Promise.TRANSACTIONAL, Promise.TWO_PHASE])
async def test_exactly_once_a_rejected_message_is_a_dead_letter_exactly_once(
    promise: Promise, kind: str
) -> None:
    memory, words, out = streams(Requests.ORDERED, promise)
    dead = memory.stream("dead")
    job = Job("copying", on_error=DeadLetter(dead), guarantee="exactly_once")

    def one(word: Message[str, str]) -> str:
        return word.value

    def many(words: Any) -> Any:
        from samza_py import Record

        return [Record(word.value, source=word) for word in words]

    if kind == "batch":
        job.batch_task(words, to=out, name="copy")(many)
    else:
        job.task(words, to=out, name="copy", max_concurrency=1 if kind == "serial" else 3)(one)
    ran = await run(job, memory)
    assert sorted(values(memory, out)) == ["a", "b"]
    assert [letter.raw_value for letter in memory.read_raw(dead)] == [b"too long"]
    assert ran.container.statistics().total().dead >= 1


async def test_a_rejection_that_was_decided_is_forgotten_behind_the_checkpoint() -> None:
    memory = Memory()
    place = Partition("memory", "words", "0")
    gone = Partition("memory", "words", "7")
    error = RejectedError("too long")
    messages: dict[tuple[Partition, str], Exception] = {
        (place, "4"): error,
        (place, "10"): error,
        (gone, "1"): error,
    }
    condemned = Condemned(messages, {"memory": memory.admin({})})
    for number, (after, left) in enumerate([("3", ["4", "10"]), ("9", ["10"]), ("10", [])]):
        draft = Draft(number, inputs={place: InputProgress(Offset(after))})
        condemned.cut(draft)
        await condemned.commit(draft)
        assert [offset for _, offset in messages] == left
