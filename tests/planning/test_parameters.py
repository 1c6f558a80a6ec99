"""A handler that cannot be called as the runtime calls it is named, with what to write."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Protocol

import pytest

from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.memory import Memory
from samza_py.job import Job
from samza_py.message import Message
from samza_py.planning import problems
from samza_py.resolving import Sources, resolve
from samza_py.task import StreamTask, TaskContext

if TYPE_CHECKING:
    Hidden = Any


@dataclass
class Order:
    sku: str


@dataclass
class Price:
    cents: int


class Client:
    """What a handler may want and cannot be given."""


class Shaped(Protocol):
    def shape(self) -> int: ...


MEMORY = Memory()
ORDERS = MEMORY.stream("orders", key=str, value=Order)
REFUNDS = MEMORY.stream("refunds", key=str, value=Price)
OrderMessage = Message[str, Order]


def of(handler: Any, *, declare: str = "task", inputs: Any = (ORDERS,)) -> str:
    """What is said of a job with this one handler."""
    job = Job("pricing", checkpoints=LocalCheckpoints("/nowhere"))
    if declare == "add":
        job.add(handler, *inputs, name="price")
    else:
        getattr(job, declare)(*inputs, name="price")(handler)
    return "\n".join(map(str, problems(resolve(job, Sources()).resolved)))


def nothing() -> None: ...
def keyword(*, order: OrderMessage) -> None: ...
def the_value(order: Order) -> None: ...
def text(order: str) -> None: ...
def value_or_message(order: OrderMessage | Order) -> None: ...
def swapped(ctx: TaskContext[None], order: OrderMessage) -> None: ...
def sequence(orders: Sequence[OrderMessage]) -> None: ...
def client(order: OrderMessage, client: Client) -> None: ...
def three(order: OrderMessage, ctx: TaskContext[None], client: Client) -> None: ...
def named(order: OrderMessage, *, client: Client) -> None: ...
def defaulted(order: OrderMessage, ctx: TaskContext[None] | None = None) -> None: ...
def batch_of_one(orders: OrderMessage) -> None: ...
def batch_of_values(orders: list[Order]) -> None: ...


class NoContext(StreamTask[str, Order, Any]):
    async def process(self, message: OrderMessage) -> None: ...  # type: ignore[override]


class OfValues(StreamTask[str, Order, Any]):
    async def process(self, order: Order, ctx: TaskContext[Any]) -> None: ...  # type: ignore[override]


class WithArguments(StreamTask[str, Order, Any]):
    def __init__(self, rate: float, kept: int = 3) -> None: ...
    async def process(self, message: OrderMessage, ctx: TaskContext[Any]) -> None: ...


class NoTask:
    async def process(self, message: OrderMessage, ctx: TaskContext[Any]) -> None: ...


@pytest.mark.parametrize(
    ("handler", "declare", "told"),
    [
        (nothing, "task", "no parameter for the message; write `price(message: Message[str, Order"),
        (keyword, "task", "no parameter for the message"),
        (the_value, "task", "parameter order, HERE: is a Message, and no Order; write `order: "),
        (the_value, "task", "order: Message[str, Order]` and read order.value"),
        (text, "task", "parameter order, HERE: is a Message, and no str; write"),
        (value_or_message, "task", "is a Message, and no Order"),
        (swapped, "task", "parameter ctx, HERE: is a Message, and no TaskContext"),
        (swapped, "task", "parameter order, HERE: is the task's context, and no "),
        (sequence, "task", "or use job.batch_task"),
        (client, "task", "parameter client, HERE: is the task's context, and no Client; write "),
        (client, "task", "let the job's lifespan yield it and read ctx.resources"),
        (three, "task", "parameter client, HERE: is given nothing: message and context are all"),
        (named, "task", "parameter client, HERE: is given nothing"),
        (defaulted, "task", "parameter ctx, HERE: is not given the context, since it has a def"),
        (batch_of_one, "batch_task", "is a sequence of messages, and no "),
        (batch_of_one, "batch_task", "write `orders: Sequence[Message[str, Order]]`"),
        (batch_of_values, "batch_task", "is a Message, and no Order"),
        (NoContext, "add", "process is called with message and context; add `ctx: TaskContext["),
        (OfValues, "add", "parameter order, HERE: is a Message, and no Order"),
        (WithArguments, "add", "WithArguments() is called without rate, one object for each task"),
        (WithArguments, "add", "job.add(lambda: WithArguments(...), ...)"),
        (NoTask, "add", "is no StreamTask; write `class NoTask(StreamTask[...])`"),
        (WithArguments(1.0), "add", "job.add takes the class, not an object of it"),
    ],
)
def test_a_parameter_that_cannot_be_filled_is_named_with_what_to_write(
    handler: Any, declare: str, told: str
) -> None:
    said = of(handler, declare=declare)
    assert said.startswith("job pricing, task price")
    before, _, after = told.partition("HERE")
    function = getattr(handler, "process", handler)
    here = f"{Path(__file__).name}:{function.__code__.co_firstlineno}"
    assert before in said
    assert not after or here + after in said


def test_the_place_is_shown_from_the_current_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    line = text.__code__.co_firstlineno
    assert f", parameter order, test_parameters.py:{line}: is a Message" in of(text)


def with_rest(*rest: Any) -> None: ...
def with_own(order: OrderMessage, rate: int = 3, *, more: int = 4, **rest: Any) -> None: ...
def with_context(order: OrderMessage, ctx: TaskContext[Any]) -> None: ...
def maybe(order: Optional[OrderMessage]) -> None: ...  # noqa: UP045
def unresolved(order: Hidden) -> None: ...
def as_protocol(order: Shaped) -> None: ...
def as_object(order: object, ctx: object) -> None: ...
def bare(order: Message) -> None: ...  # type: ignore[type-arg]


class Called:
    def __call__(self, order: OrderMessage) -> None: ...


@functools.wraps(with_context)
def wrapped(*given: Any) -> None: ...


SILENT: list[Any] = [
    eval("lambda order, ctx: None"),  # without annotations
    with_rest,
    with_own,
    with_context,
    maybe,
    unresolved,
    as_protocol,
    as_object,
    bare,
    Called(),
    wrapped,
    functools.partial(client, client=Client()),
    print,
]


@pytest.mark.parametrize("handler", SILENT)
def test_what_can_be_called_or_says_nothing_is_left_alone(handler: Any) -> None:
    assert of(handler) == ""


def test_an_unresolved_context_hides_no_wrong_message() -> None:
    def handler(order: Order, ctx: Hidden) -> None: ...

    assert "is a Message, and no Order" in of(handler)


def test_every_input_stands_in_what_to_write() -> None:
    told = "write `order: Message[str, Order] | Message[str, Price]`"
    assert told in of(text, inputs=(ORDERS, REFUNDS))
