"""What a declared task says of itself: style, context, policies, and what is refused."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest

from samza_py import DeadLetter, Fail, Message, Retry, Skip, StreamTask, TaskContext
from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError
from samza_py.specification import TaskSpec

MEMORY = Memory()
ONE, TWO = MEMORY.stream("one"), MEMORY.stream("two")
Bytes = Message[bytes, bytes]


def plain(message: Bytes) -> None: ...


async def awaited(message: Bytes) -> None: ...


def yielding(message: Bytes) -> Iterator[bytes]:
    yield b""


async def both(message: Bytes) -> AsyncIterator[bytes]:
    yield b""


def with_context(message: Bytes, ctx: TaskContext[None]) -> None: ...


def with_more(message: Bytes, *more: object) -> None: ...


def with_a_default(message: Bytes, number: int = 5) -> None: ...


def with_a_named_one(message: Bytes, *, named: int) -> None: ...


class Called:
    async def __call__(self, message: Bytes) -> None: ...


class Task(StreamTask[bytes, bytes, None]):
    async def process(self, message: Bytes, ctx: TaskContext[None]) -> None: ...


def spec(handler: Any = plain, **settings: Any) -> TaskSpec:
    given: dict[str, Any] = {"name": "work", "kind": "message", "inputs": (ONE, TWO), **settings}
    return TaskSpec(handler=handler, **given)


@pytest.mark.parametrize(
    ("handler", "style"),
    [
        (plain, "plain"),
        (awaited, "async"),
        (yielding, "generator"),
        (both, "async_generator"),
        (functools.partial(awaited), "async"),
        (Called(), "async"),
        (Called().__call__, "async"),
    ],
)
def test_the_style_of_a_handler_is_read_off_it(handler: Any, style: str) -> None:
    assert spec(handler).style == style


def test_the_style_of_a_class_is_that_of_its_process() -> None:
    assert spec(Task, kind="object").style == "async"


@pytest.mark.parametrize(
    ("handler", "takes"),
    [
        (plain, False),
        (with_context, True),
        (functools.partial(with_context, ctx=cast("Any", None)), False),
        (with_more, True),
        (with_a_default, False),
        (with_a_named_one, False),
        (Called(), False),
        (str, False),
    ],
)
def test_a_second_parameter_that_must_be_given_is_the_context(handler: Any, takes: bool) -> None:
    if handler is str:
        handler = str.upper  # a function that says nothing of its parameters
    assert spec(handler).takes_context is takes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "no good"}, "task no good.name"),
        ({"name": ""}, "task .name"),
        ({"inputs": ()}, "reads nothing"),
        ({"max_concurrency": 0}, "task work.max_concurrency"),
        ({"batch_messages": 0}, "task work.batch_messages"),
        ({"order": "keys"}, "task work.order"),
        ({"grouping": "some"}, "task work.grouping"),
        ({"read_by": "clock"}, "task work.read_by"),
        ({"handler": awaited, "blocking": True}, "task work.blocking"),
        ({"handler": yielding, "blocking": True}, "task work.blocking"),
        ({"handler": Task}, "is a class; add it with job.add"),
        ({"priorities": {"memory.three": 1}}, "memory.three is not one of its inputs"),
        ({"input_policies": {"memory.three": Skip()}}, "memory.three is not one of its inputs"),
        ({"bootstrap": ("memory.three",)}, "memory.three is not one of its inputs"),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        spec(**settings)
    assert said in str(refused.value)


def test_the_inputs_policy_beats_the_tasks_and_that_one_the_jobs() -> None:
    declared = spec(on_error=Skip(), input_policies={"memory.one": Fail()})
    assert declared.policy(ONE, Retry(3)) == Fail()
    assert declared.policy(TWO, Retry(3)) == Skip()
    assert spec().policy(TWO, Retry(3)) == Retry(3)


def test_the_dead_letter_outputs_are_those_of_the_policies_in_force() -> None:
    first, second, third = (MEMORY.stream(f"dead-{n}") for n in range(3))
    declared = spec(
        on_error=DeadLetter(first),
        input_policies={"memory.one": Retry(3, then=DeadLetter(second))},
    )
    assert declared.dead_letters(DeadLetter(third)) == (second, first)
    assert spec().dead_letters(DeadLetter(third)) == (third,)
    assert spec().dead_letters(Fail()) == ()
