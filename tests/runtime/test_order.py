"""What calls never overlap over, and what they do overlap."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import pytest

from samza_py import Job, Limit, Message
from samza_py.connectors.memory import Memory, MemoryStream
from tests.runtime.running import run, values

Words = MemoryStream[str, str]


class Overlap:
    """Notes which calls run at the same time."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.most = 0
        self.together: set[frozenset[str]] = set()

    async def call(self, what: str, seconds: float = 1.0) -> None:
        self.running.append(what)
        self.most = max(self.most, len(self.running))
        self.together.add(frozenset(self.running))
        await asyncio.sleep(seconds)
        self.running.remove(what)


async def calls(
    given: list[tuple[str | None, str]],
    *,
    order: Literal["key", "partition", "none"],
    partitions: int = 1,
    max_concurrency: int = 8,
) -> tuple[Overlap, list[str], float]:
    """Run these keys and values; what overlapped, what came out, and how long it took."""
    memory = Memory()
    words: MemoryStream[Any, str] = memory.stream(
        "words", key=str, value=str, partitions=partitions, finite=True
    )
    out = memory.stream("out", key=str, value=str)
    for number, (key, value) in enumerate(given):
        memory.put(words, key, value, partition=str(number % partitions))
    job = Job("order")
    overlap = Overlap()

    @job.task(words, to=out, order=order, max_concurrency=max_concurrency, grouping="all")
    async def note(word: Message[Any, str]) -> str:
        # The later a message the shorter its call: without an order they would end in reverse.
        await overlap.call(word.value, 10.0 - float(word.offset))
        return word.value

    start = asyncio.get_running_loop().time()
    await run(job, memory)
    return overlap, values(memory, out), asyncio.get_running_loop().time() - start


async def test_calls_of_one_key_never_overlap_and_end_in_order() -> None:
    given: list[tuple[str | None, str]] = [("k", str(n)) for n in range(5)]
    overlap, out, _ = await calls(given, order="key")
    assert overlap.most == 1
    assert out == ["0", "1", "2", "3", "4"]


async def test_calls_of_different_keys_overlap_up_to_max_concurrency() -> None:
    given: list[tuple[str | None, str]] = [(f"k{n}", str(n)) for n in range(6)]
    overlap, out, _ = await calls(given, order="key", max_concurrency=3)
    assert overlap.most == 3
    assert sorted(out) == ["0", "1", "2", "3", "4", "5"]
    assert out != sorted(out)


async def test_a_busy_key_does_not_keep_the_others_waiting() -> None:
    given: list[tuple[str | None, str]] = [("hot", f"h{n}") for n in range(4)]
    given += [("cold", "c")]
    overlap, out, _ = await calls(given, order="key", max_concurrency=2)
    assert frozenset({"h0", "c"}) in overlap.together
    assert [value for value in out if value != "c"] == ["h0", "h1", "h2", "h3"]


async def test_a_missing_key_has_no_order() -> None:
    given: list[tuple[str | None, str]] = [(None, str(n)) for n in range(4)]
    overlap, out, _ = await calls(given, order="key")
    assert overlap.most == 4
    assert out == ["3", "2", "1", "0"]


async def test_calls_of_one_partition_never_overlap_where_that_is_the_order() -> None:
    """Samza's 2 (testProcessInOrder)."""
    given: list[tuple[str | None, str]] = [(f"k{n}", str(n)) for n in range(6)]
    overlap, out, _ = await calls(given, order="partition", partitions=2)
    assert overlap.most == 2
    assert [value for value in out if int(value) % 2 == 0] == ["0", "2", "4"]
    assert [value for value in out if int(value) % 2 == 1] == ["1", "3", "5"]


async def test_without_an_order_even_one_key_overlaps() -> None:
    given: list[tuple[str | None, str]] = [("k", str(n)) for n in range(4)]
    overlap, out, _ = await calls(given, order="none")
    assert overlap.most == 4
    assert out == ["3", "2", "1", "0"]


@pytest.mark.parametrize("kind", ["serial", "concurrent", "batch"])
async def test_a_limit_is_shared_by_all_tasks_that_are_given_it(kind: str) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, partitions=6, finite=True)
    for number in range(12):
        memory.put(words, f"k{number}", str(number), partition=str(number % 6))
    job = Job("limited")
    limit = Limit(2)
    overlap = Overlap()

    async def one(word: Message[str, str]) -> None:
        await overlap.call(word.value)

    async def many(words: Any) -> None:
        await overlap.call(words[0].value)

    if kind == "batch":
        job.batch_task(words, max_concurrency=limit, name="batches")(many)
    elif kind == "concurrent":
        job.task(words, max_concurrency=limit, name="calls")(one)
    else:
        job.task(words, max_concurrency=Limit(1), name="first")(one)
    await run(job, memory)
    assert overlap.most == (1 if kind == "serial" else 2)


async def test_a_plain_def_with_concurrency_handles_each_message_once() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    out = memory.stream("out", key=str, value=str)
    for number in range(100):
        memory.put(words, f"k{number}", str(number))
    job = Job("plain")

    @job.task(words, to=out, max_concurrency=4)
    def keep(word: Message[str, str]) -> str:
        return word.value

    await run(job, memory)
    assert sorted(values(memory, out), key=int) == [str(number) for number in range(100)]
