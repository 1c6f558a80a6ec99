"""Every way to declare a handler: both type checkers must take all of this."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, assert_type

from samza_py import (
    BatchFailed,
    DeadLetter,
    Fail,
    Job,
    Json,
    Limit,
    Message,
    Record,
    Retry,
    Skip,
    StreamTask,
    TaskContext,
)
from samza_py.connectors.memory import Memory


@dataclass
class Order:
    sku: str
    count: int


@dataclass
class Priced:
    sku: str
    total: float


class Clients:
    def price(self, sku: str) -> float:
        return 1.0


@asynccontextmanager
async def clients() -> AsyncGenerator[Clients]:
    yield Clients()


memory = Memory()
orders = memory.stream("orders", key=str, value=Order)
returns = memory.stream("returns", key=str, value=Order)
numbers = memory.stream("numbers", key=int, value=int)
priced = memory.stream("priced", key=str, value=Priced)
dead = memory.stream("orders.dead")
either = memory.stream("either", key=str, value=Json[Order | Priced]())
job = Job("pricing", lifespan=clients)
bare = Job("bare")


@job.task(orders, to=priced, max_concurrency=64, timeout="5s")
async def awaited(order: Message[str, Order], ctx: TaskContext[Clients]) -> Priced:
    assert_type(order.key, str)
    assert_type(order.value, Order)
    assert_type(ctx.resources, Clients)
    return Priced(order.value.sku, ctx.resources.price(order.value.sku))


@job.task(orders, to=priced, on_error=Retry(3, backoff="200ms", then=DeadLetter(dead)))
def plain(order: Message[str, Order]) -> Priced | None:
    return None if not order.value.count else Priced(order.value.sku, 1.0)


@job.task(orders, to=priced, max_concurrency=Limit(5), on_error={orders: Skip()})
def record(order: Message[str, Order]) -> Record[str, Priced]:
    return Record(Priced(order.value.sku, 1.0), key="k", headers=[("a", b"b")])


@job.task(orders, to=priced)
def yielding(order: Message[str, Order]) -> Iterator[Priced]:
    yield Priced(order.value.sku, 1.0)


@job.task(orders, to=priced)
async def yielding_later(order: Message[str, Order]) -> AsyncGenerator[Priced]:
    yield Priced(order.value.sku, 1.0)


@job.task(orders)
async def silent(order: Message[str, Order]) -> None: ...


@job.task(orders, returns, to=priced)
async def two_inputs(order: Message[str, Order]) -> Priced:
    return Priced(order.value.sku, 1.0)


@bare.task(orders, numbers)
def of_two_types(message: Message[str, Order] | Message[int, int]) -> None:
    assert_type(message.value, Order | int)


@bare.task(either)
def of_a_union(message: Message[str, Order | Priced]) -> None:
    assert_type(message.value, Order | Priced)


@bare.task(orders)
def takes_more_than_comes(message: Message[str | None, Order | Priced]) -> None: ...


@bare.task(orders, outputs=[priced, dead])
def sends(order: Message[str, Order], ctx: TaskContext[None]) -> None:
    ctx.send(priced, Priced("a", 1.0), key="k")
    ctx.send(dead, b"raw")


@job.batch_task(orders, to=priced, batch_messages=100)
async def batch(orders: Sequence[Message[str, Order]]) -> Sequence[Record[Any, Priced]]:
    if not orders:
        raise BatchFailed({0: ValueError()})
    return [Record(Priced(order.value.sku, 1.0), source=order) for order in orders]


counts = job.store("counts", key=str, value=int)


class Counting(StreamTask[str, Order, Clients]):
    async def start(self, ctx: TaskContext[Clients]) -> None:
        assert_type(ctx.resources, Clients)

    async def process(self, message: Message[str, Order], ctx: TaskContext[Clients]) -> Priced:
        store = ctx.store(counts)
        assert_type(store.get(message.key), int | None)
        store.put(message.key, (store.get(message.key) or 0) + message.value.count)
        ctx.set_timer("later", after="1m")
        return Priced(message.value.sku, 1.0)

    async def on_timer(self, name: str, ctx: TaskContext[Clients]) -> None: ...


job.add(Counting, orders, to=priced, stores=[counts], on_error=Fail())


def of_order(order: Order) -> Priced:
    return Priced(order.sku, float(order.count))


async def of_order_later(order: Order) -> Priced:
    return of_order(order)


job.input(orders).filter(lambda order: order.count > 0).map(of_order).to(priced)
job.input(orders, name="later").map(of_order_later).key_by(lambda one: one.sku).to(priced)
# A topic is both ends: what one task writes another one reads.
job.task(priced, name="back")(lambda message: None)
