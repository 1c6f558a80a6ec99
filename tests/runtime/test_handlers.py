"""Every way to write a handler, and what becomes of what it gives back."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# What is called here is made of lambdas in tables, whose types nobody needs.

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Generator,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from samza_py import Job, Json, Message, Record, Skip, StreamTask, TaskContext
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.errors import TaskFailedError
from tests.runtime.running import pairs, run, values

Words = MemoryStream[str, str]


def streams(*given: str) -> tuple[Memory, Words, Words]:
    """A memory with a finite input that holds these values, and an output."""
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str)
    for number, word in enumerate(given):
        memory.put(words, f"k{number}", word, timestamp_ms=1000 + number)
    return memory, words, out


async def shouted(decorate: Any) -> list[str]:
    """What a handler makes of two words."""
    memory, words, out = streams("a", "b")
    job = Job("shouting")
    decorate(job, words, out)
    await run(job, memory)
    return values(memory, out)


async def test_a_plain_def_is_called_with_the_message() -> None:
    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, to=out)
        def shout(word: Message[str, str]) -> str:
            return word.value.upper()

    assert await shouted(decorate) == ["A", "B"]


async def test_a_plain_def_may_take_the_context() -> None:
    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, to=out)
        def shout(word: Message[str, str], ctx: TaskContext[None]) -> str:
            return f"{word.value} {ctx.task} {ctx.attempt}"

    assert await shouted(decorate) == ["a shout/0 1", "b shout/0 1"]


async def test_an_async_def_is_awaited() -> None:
    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, to=out)
        async def shout(word: Message[str, str]) -> str:
            await asyncio.sleep(1)
            return word.value.upper()

    assert await shouted(decorate) == ["A", "B"]


async def test_an_async_def_may_take_the_context() -> None:
    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, outputs=[out])
        async def shout(word: Message[str, str], ctx: TaskContext[None]) -> None:
            await asyncio.sleep(1)
            ctx.send(out, word.value.upper())

    assert await shouted(decorate) == ["A", "B"]


async def test_a_generator_gives_one_result_a_yield() -> None:
    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, to=out)
        def twice(word: Message[str, str]) -> Iterator[str]:
            yield word.value
            yield word.value.upper()

    assert await shouted(decorate) == ["a", "A", "b", "B"]


async def test_an_async_generator_gives_one_result_a_yield() -> None:
    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, to=out)
        async def twice(word: Message[str, str], ctx: TaskContext[None]) -> AsyncIterator[str]:
            yield word.value
            await asyncio.sleep(1)
            yield word.value.upper()

    assert await shouted(decorate) == ["a", "A", "b", "B"]


@pytest.mark.parametrize("max_concurrency", [1, 4])
async def test_a_blocking_def_runs_in_a_thread_and_keeps_the_order(max_concurrency: int) -> None:
    threads: set[str] = set()

    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, to=out, blocking=True, order="partition", max_concurrency=max_concurrency)
        def shout(word: Message[str, str], ctx: TaskContext[None]) -> str:
            threads.add(threading.current_thread().name)
            return word.value.upper()

    assert await shouted(decorate) == ["A", "B"]
    assert threads
    assert all(name.startswith("samza-py handler") for name in threads)


async def test_a_batch_task_gets_what_is_there_up_to_its_bound() -> None:
    memory, words, out = streams("a", "b", "c")
    job = Job("batches")
    sizes: list[int] = []

    @job.batch_task(words, to=out, batch_messages=2)
    async def shout(batch: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        sizes.append(len(batch))
        return [Record(word.value.upper(), source=word) for word in batch]

    await run(job, memory)
    assert sizes == [2, 1]
    assert pairs(memory, out) == [("k0", "A"), ("k1", "B"), ("k2", "C")]


@pytest.mark.parametrize("wrap", ["future", "generator", "awaitable"])
async def test_a_plain_def_may_give_what_another_function_made(wrap: str) -> None:
    class Later:
        def __init__(self, word: str) -> None:
            self.word = word

        def __await__(self) -> Generator[Any, None, str]:
            yield from asyncio.sleep(0).__await__()
            return self.word

    def decorate(job: Job[None], words: Words, out: Words) -> None:
        @job.task(words, to=out)
        def shout(word: Message[str, str]) -> Any:
            if wrap == "future":
                return asyncio.ensure_future(asyncio.sleep(0, word.value.upper()))
            if wrap == "generator":
                return (part for part in word.value.upper())
            return Later(word.value.upper())

    assert await shouted(decorate) == ["A", "B"]


async def test_a_class_has_state_of_its_own_for_each_task_and_hooks_around_its_messages() -> None:
    memory = Memory()
    words = memory.stream("words", value=str, partitions=2, finite=True)
    out = memory.stream("out", value=str)
    memory.put(words, None, "a", partition="0")
    memory.put(words, None, "b", partition="1")
    memory.put(words, None, "c", partition="1")
    closed: list[str] = []

    class Count(StreamTask[bytes, str, None]):
        def __init__(self) -> None:
            self.words: list[str] = []

        async def start(self, ctx: TaskContext[None]) -> None:
            ctx.send(out, f"start {ctx.task}")

        async def process(self, message: Message[bytes, str], ctx: TaskContext[None]) -> None:
            self.words.append(message.value)

        async def on_end(self, ctx: TaskContext[None]) -> str:
            return "end " + "".join(self.words)

        async def close(self) -> None:
            closed.append("".join(self.words))

    job = Job("counting")
    job.add(Count, words, to=out)
    await run(job, memory)
    assert sorted(values(memory, out)) == ["end a", "end bc", "start Count/0", "start Count/1"]
    assert sorted(closed) == ["a", "bc"]


async def test_the_fluent_form_runs_every_step_also_those_that_are_awaited() -> None:
    memory, words, out = streams("a b", "c", "")
    job = Job("flow")

    async def shout(word: str) -> str:
        await asyncio.sleep(1)
        return word.upper()

    def key(word: str) -> str:
        return f"key {word}"

    job.input(words).filter(bool).flat_map(str.split).map(shout).key_by(key).to(out)
    await run(job, memory)
    assert pairs(memory, out) == [("key A", "A"), ("key B", "B"), ("key C", "C")]


async def test_a_plain_flow_keeps_the_key_where_no_step_changes_it() -> None:
    memory, words, out = streams("a b", "")
    job = Job("flow")
    job.input(words, name="split").flat_map(str.split).map(str.upper).to(out)
    await run(job, memory)
    assert pairs(memory, out) == [("k0", "A"), ("k0", "B")]


async def test_results_keep_key_and_time_and_none_sends_nothing() -> None:
    memory, words, out = streams("a", "skip", "b")
    job = Job("keeping")

    @job.task(words, to=out)
    def keep(word: Message[str, str]) -> str | None:
        return None if word.value == "skip" else word.value

    await run(job, memory)
    assert pairs(memory, out) == [("k0", "a"), ("k2", "b")]
    assert [m.timestamp_ms for m in memory.read(out)] == [1000, 1002]


@pytest.mark.parametrize("with_context", [False, True])
async def test_a_record_sets_key_headers_time_and_partition(with_context: bool) -> None:
    memory, words, _ = streams("a")
    out = memory.stream("several", key=str, value=str, partitions=3)
    job = Job("records")
    record = Record("new", key="other", headers=[("h", b"1")], timestamp_ms=7, partition="2")
    if with_context:

        @job.task(words, to=out)
        def with_it(word: Message[str, str], ctx: TaskContext[None]) -> Record[str, str]:
            return record
    else:

        @job.task(words, to=out)
        def without(word: Message[str, str]) -> Record[str, str]:
            return record

    await run(job, memory)
    (sent,) = memory.read(out)
    assert (sent.key, sent.value, sent.timestamp_ms) == ("other", "new", 7)
    assert list(sent.headers) == [("h", b"1")]
    assert sent.partition.id == "2"


@dataclass
class Order:
    number: int


def numbered(count: int) -> tuple[Memory, MemoryStream[str, Order], MemoryStream[str, int]]:
    """A memory with a finite input of orders, and an output of their numbers."""
    memory = Memory()
    orders = memory.stream("orders", key=str, value=Order, finite=True)
    memory.put_all(orders, [(f"k{number}", Order(number)) for number in range(count)])
    return memory, orders, memory.stream("out", key=str, value=int)


@pytest.mark.parametrize("max_concurrency", [1, 3])
@pytest.mark.parametrize("sends", [True, False])
async def test_a_value_lives_no_longer_than_its_call_where_nobody_keeps_the_message(
    sends: bool, max_concurrency: int
) -> None:
    memory, orders, out = numbered(50)
    job = Job("counting")
    seen: list[weakref.ref[Order]] = []
    alive: list[int] = []

    @job.task(orders, to=out, max_concurrency=max_concurrency)
    async def number(order: Message[str, Order]) -> int | None:
        alive.append(sum(one() is not None for one in seen))
        seen.append(weakref.ref(order.value))
        return order.value.number if sends else None

    await run(job, memory)
    assert alive == [0] * 50
    assert sorted(values(memory, out)) == (list(range(50)) if sends else [])


@pytest.mark.parametrize("max_concurrency", [1, 3])
@pytest.mark.parametrize("kept_by", ["a list", "a closure", "its context"])
async def test_a_message_that_is_kept_keeps_its_value(kept_by: str, max_concurrency: int) -> None:
    memory, orders, out = numbered(50)
    job = Job("counting")
    kept: list[Callable[[], Message[str, Order]]] = []
    contexts: list[Any] = []

    def keep(order: Message[str, Order]) -> int:
        if kept_by == "a list":
            kept.append([order].pop)
        else:
            kept.append(lambda: order)
        return order.value.number

    if kept_by == "its context":

        @job.task(orders, to=out, name="number", max_concurrency=max_concurrency)
        async def number_and_keep_the_context(
            order: Message[str, Order], ctx: TaskContext[None]
        ) -> int:
            contexts.append(ctx)
            return order.value.number
    else:

        @job.task(orders, to=out, name="number", max_concurrency=max_concurrency)
        async def number(order: Message[str, Order]) -> int:
            return keep(order)

    await run(job, memory)
    found = [context.message for context in contexts] or [one() for one in kept]
    assert sorted(message.value.number for message in found) == list(range(50))


async def test_a_record_without_a_key_keeps_the_inputs_and_none_leaves_it_out() -> None:
    memory, words, out = streams("kept", "none")
    job = Job("records")

    @job.task(words, to=out)
    def keep(word: Message[str, str]) -> Record[Any, str]:
        return Record(word.value) if word.value == "kept" else Record(word.value, key=None)

    await run(job, memory)
    assert pairs(memory, out) == [("k0", "kept"), (None, "none")]


async def test_a_list_is_one_value() -> None:
    memory, words, _ = streams("a b")
    out = memory.stream("lists", key=str, value=list[str])
    job = Job("lists")

    @job.task(words, to=out)
    def split(word: Message[str, str]) -> list[str]:
        return word.value.split()

    await run(job, memory)
    assert values(memory, out) == [["a", "b"]]


async def test_a_key_goes_to_the_output_in_the_outputs_own_form() -> None:
    memory, words, _ = streams("a", "b")
    out = memory.stream("json", key=list[str] | str, value=str)  # type: ignore[arg-type]
    single = memory.stream("single", key=list[str] | str, value=str)  # type: ignore[arg-type]
    job = Job("keys")

    @job.task(words, to=single)
    def one(word: Message[str, str]) -> str:
        return word.value

    @job.batch_task(words, to=out)
    def batch(words: Sequence[Message[str, str]]) -> Sequence[Record[Any, str]]:
        return [Record(word.value, source=word) for word in words]

    await run(job, memory)
    assert [m.raw_key for m in memory.read_raw(single)] == [b'"k0"', b'"k1"']
    assert [m.raw_key for m in memory.read_raw(out)] == [b'"k0"', b'"k1"']


async def test_a_result_without_an_output_fails_the_call_and_says_so() -> None:
    memory, words, _ = streams("a")
    job = Job("nowhere")

    @job.task(words)
    def lost(word: Message[str, str]) -> Any:
        return word.value

    with pytest.raises(TaskFailedError, match="returned str, but the task has no to="):
        await run(job, memory)


@pytest.mark.parametrize("with_context", [True, False])
async def test_a_result_of_another_type_than_the_output_has_fails_the_call_each_time(
    with_context: bool,
) -> None:
    memory, orders, out = numbered(6)
    job = Job("counting", on_error=Skip())
    give: Any = lambda order: order.value.number if order.value.number % 2 else "a text"  # noqa: E731
    if with_context:
        job.task(orders, to=out, name="work")(lambda order, ctx: give(order))
    else:
        job.task(orders, to=out, name="work")(give)
    ran = await run(job, memory)
    assert values(memory, out) == [1, 3, 5]
    assert ran.container.statistics().total().skipped == 3


async def test_a_result_of_another_type_is_refused_with_both_types_named() -> None:
    memory, orders, out = numbered(1)
    job = Job("counting")
    wrong: Any = lambda order: "a text"  # noqa: E731
    job.task(orders, to=out, name="work")(wrong)
    with pytest.raises(TaskFailedError, match=r"does not fit output memory.out: it takes int, not"):
        await run(job, memory)


async def test_an_output_of_anything_takes_anything() -> None:
    memory, words, _ = streams("a", "b")
    anything: Any = Any
    out = memory.stream("anything", key=str, value=anything)
    job: Job[None] = Job("any")

    @job.task(words, to=out)
    def work(word: Message[str, str]) -> Any:
        return {"a": [1, None]} if word.value == "a" else 2.5

    await run(job, memory)
    assert values(memory, out) == [{"a": [1, None]}, 2.5]


async def test_a_context_sends_to_declared_outputs_and_to_no_other() -> None:
    memory, words, out = streams("a")
    other = memory.stream("other", key=str, value=str)
    job = Job("sending")

    @job.task(words, outputs=[out])
    def send(word: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.send(out, "x", key="k", headers=[("h", b"1")], timestamp_ms=5)
        ctx.send(out, "y")
        ctx.send(other, "z")

    with pytest.raises(TaskFailedError, match=r"sends to memory.other, which it does not declare"):
        await run(job, memory)
    assert values(memory, out) == []
    assert values(memory, other) == []


async def test_a_streams_name_in_place_of_the_stream_says_what_to_pass() -> None:
    memory, words, out = streams("a")
    name: Any = "memory.out"
    job = Job("sending")

    @job.task(words, outputs=[out])
    def send(word: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.send(name, "x")

    with pytest.raises(TaskFailedError, match="pass the stream object, not its name"):
        await run(job, memory)


async def test_what_a_context_sends_has_the_time_of_the_input_and_only_the_given_key() -> None:
    memory, words, out = streams("a")
    job = Job("sending")

    @job.task(words, outputs=[out])
    def send(word: Message[str, str], ctx: TaskContext[None]) -> None:
        ctx.send(out, "x", key="k", headers=[("h", b"1")], timestamp_ms=5)
        ctx.send(out, "y")

    await run(job, memory)
    first, second = memory.read(out)
    assert (first.key, first.value, first.timestamp_ms) == ("k", "x", 5)
    assert list(first.headers) == [("h", b"1")]
    no_key: object = second.key
    assert no_key is None
    assert (second.value, second.timestamp_ms) == ("y", 1000)


async def test_every_task_sees_what_the_lifespan_gave_once_for_the_container() -> None:
    memory, words, out = streams("a", "b")
    entered: list[str] = []

    @asynccontextmanager
    async def clients() -> AsyncGenerator[dict[str, str]]:
        entered.append("in")
        yield {"a": "alpha", "b": "beta"}
        entered.append("out")

    job = Job("resources", lifespan=clients)

    @job.task(words, to=out)
    def look(word: Message[str, str], ctx: TaskContext[dict[str, str]]) -> str:
        return ctx.resources[word.value]

    await run(job, memory)
    assert values(memory, out) == ["alpha", "beta"]
    assert entered == ["in", "out"]


async def test_a_tombstone_is_a_value_where_the_type_says_so() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=Json[str | None](), finite=True)
    out = memory.stream("out", key=str, value=Json[str | None]())
    memory.put(words, "k", None)
    job = Job("tombstones")
    seen: list[object] = []

    @job.task(words, to=out)
    def keep(word: Message[str, str | None]) -> Record[Any, str | None]:
        seen.append(word.value)
        return Record(None)

    await run(job, memory)
    assert seen == [None]
    assert [(m.raw_key, m.raw_value) for m in memory.read_raw(out)] == [(b"k", None)]
