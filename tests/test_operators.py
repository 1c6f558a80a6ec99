"""The fluent form: steps fused into one handler, in order, awaited or not."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samza_py import Job, Message, Partition, Record
from samza_py.connectors.memory import Memory
from samza_py.message import Offset
from samza_py.operators import Step, fused

PLACE = Partition("memory", "words", "0")


def message(value: Any, key: Any = "k") -> Message[Any, Any]:
    return Message(PLACE, Offset("0"), None, None, key=key, value=value)


def ran(steps: list[Step], value: Any) -> list[tuple[Any, Any]]:
    """The keys and values that a fused handler gives."""
    result = fused(steps)(message(value))
    if hasattr(result, "__anext__"):

        async def gathered() -> list[Record[Any, Any]]:
            return [record async for record in result]

        records = asyncio.run(gathered())
    else:
        records = list(result)
    return [(record.key, record.value) for record in records]


def as_async(step: Step) -> Step:
    async def awaited(value: Any) -> Any:
        await asyncio.sleep(0)
        return step.fn(value)

    return Step(step.does, awaited)


STEPS = {
    "map": Step("map", lambda value: value + 1),
    "filter": Step("filter", lambda value: value % 3 != 0),
    "flat_map": Step("flat_map", lambda value: range(value % 4)),
    "key_by": Step("key_by", lambda value: f"key {value}"),
}


def by_hand(names: list[str], value: int) -> list[tuple[Any, Any]]:
    pairs: list[tuple[Any, Any]] = [("k", value)]
    for name in names:
        fn = STEPS[name].fn
        if name == "map":
            pairs = [(key, fn(value)) for key, value in pairs]
        elif name == "filter":
            pairs = [(key, value) for key, value in pairs if fn(value)]
        elif name == "key_by":
            pairs = [(fn(value), value) for _, value in pairs]
        else:
            pairs = [(key, item) for key, value in pairs for item in fn(value)]
    return pairs


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=6), st.integers(0, 20))
def test_a_chain_does_what_its_steps_do_one_after_the_other(names: list[str], value: int) -> None:
    assert ran([STEPS[name] for name in names], value) == by_hand(names, value)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.booleans()), min_size=1, max_size=5),
    st.integers(0, 20),
)
def test_a_chain_with_awaited_steps_does_the_same(
    named: list[tuple[str, bool]], value: int
) -> None:
    steps = [as_async(STEPS[name]) if awaits else STEPS[name] for name, awaits in named]
    assert ran(steps, value) == by_hand([name for name, _ in named], value)


async def looked_up(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_plain_function_that_gives_an_awaitable_is_named_with_what_to_do(name: str) -> None:
    steps = [Step("map", lambda value: value), Step(STEPS[name].does, lambda v: looked_up([v]))]
    wanted = rf"step 2 of the flow, {name}\(.*<lambda>\), returned an awaitable \(coroutine\)"
    handler = fused(steps)
    for _ in range(2):
        with pytest.raises(TypeError, match=f"{wanted}.*make the function one"):
            list(handler(message(1)))


def test_a_step_that_few_messages_come_to_is_looked_at_when_one_does() -> None:
    handler = fused([Step("filter", lambda v: v > 1), Step("map", lambda v: looked_up([v]))])
    assert list(handler(message(1))) == []
    with pytest.raises(TypeError, match="step 2 of the flow"):
        list(handler(message(2)))


def test_after_a_result_of_every_step_the_steps_are_called_directly() -> None:
    depths: list[int] = []

    def deep(value: int) -> int:
        depths.append(len(inspect.stack(0)))
        return value

    handler = fused([Step("map", deep), Step("map", deep)])
    for value in (1, 2, 3):
        assert list(handler(message(value))) == [Record(value, key="k")]
    assert depths[0] > depths[2] == depths[4]


def test_an_object_that_is_called_as_async_def_is_awaited() -> None:
    class LookUp:
        async def __call__(self, value: int) -> int:
            return value + 1

    assert ran([Step("map", LookUp())], 1) == [("k", 2)]


def test_a_flow_is_a_value_that_may_be_continued_in_two_ways() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    upper = memory.stream("upper", key=str, value=str)
    sizes = memory.stream("sizes", key=str, value=int)
    job = Job("flows")
    kept = job.input(words).filter(bool)
    kept.map(str.upper).to(upper)
    kept.map(len).to(sizes)
    assert [spec.name for spec in job.tasks] == ["words-to-upper", "words-to-sizes"]
    assert [len(kept.steps), len(kept.map(len).steps)] == [1, 2]


@pytest.mark.parametrize("name", [None, "shout"])
def test_a_flow_becomes_a_task_with_its_settings(name: str | None) -> None:
    memory = Memory()
    words = memory.stream("words.in", key=str, value=str)
    upper = memory.stream("upper", key=str, value=str)
    job = Job("flows")
    settings: Any = {} if name is None else {"name": name}
    job.input(words, max_concurrency=4, **settings).map(str.upper).to(upper)
    (spec,) = job.tasks
    assert spec.name == (name or "words-in-to-upper")
    assert (spec.to, spec.inputs, spec.max_concurrency) == (upper, (words,), 4)
    assert spec.style == "generator"
