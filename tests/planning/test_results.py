"""A handler whose results cannot go where its task sends them is named."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NewType, Protocol, TypedDict, cast

import pytest

from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.message import Message, Record
from samza_py.planning import parameters, results
from samza_py.resolving import Sources, resolve
from samza_py.serde import Json
from samza_py.task import StreamTask, TaskContext


@dataclass
class Order:
    sku: str


@dataclass
class Price:
    cents: int


@dataclass
class Rebate(Price):
    """A price that is also one."""


class Shaped(Protocol):
    def shape(self) -> int: ...


class Typed(TypedDict):
    cents: int


Cents = NewType("Cents", int)
MEMORY = Memory()
ORDERS = MEMORY.stream("orders", key=str, value=Order)
PRICED = MEMORY.stream("priced", key=str, value=Price)
OrderMessage = Message[str, Order]


def refused(job: Job[Any]) -> list[ConfigError]:
    resolved = resolve(job, Sources()).resolved
    return [*parameters.problems(resolved), *results.problems(resolved)]


def of(handler: Any, *, declare: str = "task", to: Any = None) -> str:
    """What is said of a job with this one handler."""
    job = Job("pricing", checkpoints=LocalCheckpoints("/nowhere"))
    if declare == "add":
        job.add(handler, ORDERS, to=to, name="price")
    else:
        getattr(job, declare)(ORDERS, to=to, name="price")(handler)
    return "\n".join(map(str, refused(job)))


def returning(annotation: Any, style: str = "plain") -> Callable[..., Any]:
    """A handler of a style that is annotated with a result."""

    def plain(order: OrderMessage) -> Any: ...
    async def awaited(order: OrderMessage) -> Any: ...

    def yielding(order: OrderMessage) -> Any:
        yield

    async def both(order: OrderMessage) -> Any:
        yield

    handler: Any = {"plain": plain, "async": awaited, "yield": yielding, "both": both}[style]
    handler.__annotations__["return"] = annotation
    return cast("Callable[..., Any]", handler)


@pytest.mark.parametrize(
    ("annotation", "style"),
    [
        (Order, "plain"),
        (Order, "async"),
        (Order | None, "async"),
        (Price | Order, "async"),
        (Awaitable[Order], "plain"),
        (Coroutine[Any, Any, Order], "plain"),
        (Iterator[Order], "yield"),
        (Iterable[Order | None], "yield"),
        (AsyncIterator[Order], "both"),
        (AsyncIterator[Record[str, Order]], "both"),
        (Record[str, Order], "plain"),
        (Cents, "plain"),
        (Typed, "plain"),
        (dict[str, int], "plain"),
        ("Order", "plain"),
    ],
)
def test_a_result_that_never_fits_its_output_is_named(annotation: Any, style: str) -> None:
    said = of(returning(annotation, style), to=PRICED)
    assert "job pricing, task price, " in said
    assert "but its output memory.priced takes Price; mend the annotation" in said
    assert f"{Path(__file__).name}:" in said


@pytest.mark.parametrize(
    ("annotation", "style"),
    [
        (Price, "async"),
        (Rebate, "async"),
        (object, "plain"),
        (Any, "plain"),
        (None, "plain"),
        (Price | None, "plain"),
        (Record[Any, Any], "plain"),
        (Record, "plain"),
        (Iterator[Price], "plain"),
        (Iterator, "yield"),
        (Price, "yield"),  # a wrong annotation, and yet the right result
        (AsyncIterator[Record[str, Price | None]], "both"),
        (Literal[1], "plain"),
        (Shaped, "plain"),
        ("Hidden", "plain"),
        ("Price | None", "plain"),
    ],
)
def test_a_result_that_fits_or_is_unknown_is_left_alone(annotation: Any, style: str) -> None:
    assert of(returning(annotation, style), to=PRICED) == ""


DECLARED: list[tuple[Any, Any, bool]] = [
    (float, int, True),
    (int, float, False),
    (int, Cents, True),
    (bytes, bytearray, True),
    (Json[Order | Price](), Rebate, True),
    (Json[Order | Price](), str, False),
    (Json(), Order, True),
    (dict, Typed, True),
    (list[int], Order, True),  # written as JSON, which no class is held against
]


@pytest.mark.parametrize(("value", "annotation", "fits"), DECLARED)
def test_a_result_is_held_against_what_the_output_declares(
    value: Any, annotation: Any, fits: bool
) -> None:
    out = MEMORY.stream("out", key=str, value=value)
    assert (of(returning(annotation), to=out) == "") is fits


def test_a_list_of_results_is_told_to_yield() -> None:
    said = of(returning(list[Price]), to=PRICED)
    assert "only `yield` gives several results: yield them one by one" in said


def test_a_result_without_an_output_is_named() -> None:
    assert "returns Price, but the task has no to=; add an output" in of(returning(Price))
    assert of(returning(Price | None)) != ""
    assert of(returning(None)) == ""


@pytest.mark.parametrize(
    ("annotation", "told"),
    [
        (Sequence[Record[Any, Order]], "output memory.priced takes Price"),
        (list[Price], "write Record(value, source=message)"),
        (list[Record[Any, Price]] | None, ""),
        (Awaitable[Sequence[Record[Any, Price]]], ""),
        (Iterator[Record[Any, Price]], ""),
        (list, ""),
    ],
)
def test_results_of_a_batch_are_records(annotation: Any, told: str) -> None:
    handler = returning(annotation)
    handler.__annotations__["order"] = Sequence[OrderMessage]
    said = of(handler, declare="batch_task", to=PRICED)
    assert (told in said) if told else said == ""


def test_the_result_of_a_class_is_that_of_its_process() -> None:
    class Wrong(StreamTask[str, Order, Any]):
        async def process(self, message: OrderMessage, ctx: TaskContext[Any]) -> Order:
            return message.value

    assert "says that it returns Order" in of(Wrong, declare="add", to=PRICED)
    assert of(functools.partial(Wrong), declare="add", to=PRICED) == ""


def test_everything_that_the_type_checkers_take_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Path(__file__).parent.parent / "typing" / "handlers.py"
    spec = importlib.util.spec_from_file_location("handlers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "handlers", module)
    spec.loader.exec_module(module)
    assert len(module.job.tasks) > 10
    assert refused(module.job) == []
    assert refused(module.bare) == []
