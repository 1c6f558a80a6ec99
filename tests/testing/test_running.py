"""A job runs over memory with its own stream objects, and its results are typed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, assert_type

import pytest

from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError, TaskFailedError
from samza_py.job import Job
from samza_py.message import END, Message, Record
from samza_py.policies import DeadLetter, Retry
from samza_py.task import TaskContext
from samza_py.testing import RawRecord, arun, run


@dataclass
class Order:
    sku: str
    count: int


@dataclass
class Priced:
    sku: str
    total: int


class Prices:
    def __init__(self, each: int) -> None:
        self.each = each

    def of(self, sku: str) -> int:
        if sku == "nothing":
            raise LookupError(f"{sku} has no price")
        return self.each


entered: list[str] = []


@asynccontextmanager
async def prices() -> AsyncGenerator[Prices, None]:
    entered.append("lifespan")
    yield Prices(3)


shop = Memory("shop")
orders = shop.stream("orders", key=str, value=Order)
priced = shop.stream("priced", key=str, value=Priced)
large = shop.stream("large", key=str, value=str)
dead = shop.stream("orders-dead")
job = Job("pricing", lifespan=prices)
totals = job.store("totals", key=str, value=int)


@job.task(
    orders,
    to=priced,
    stores=[totals],
    on_error=Retry(2, backoff="1ms", then=DeadLetter(dead)),
)
async def price(order: Message[str, Order], ctx: TaskContext[Prices]) -> Priced:
    store = ctx.store(totals)
    store.put(order.key, (store.get(order.key) or 0) + order.value.count)
    return Priced(order.value.sku, order.value.count * ctx.resources.of(order.value.sku))


@job.task(priced, to=large)
def pick(order: Message[str, Priced]) -> str | None:
    return order.value.sku if order.value.total >= 10 else None


def test_values_go_in_and_typed_values_come_out() -> None:
    result = run(job, {orders: [Record(Order("a", 2), key="k"), Record(Order("b", 5), key="k")]})
    assert_type(result[priced], list[Priced])
    assert_type(result.records(priced), list[Record[str, Priced]])
    assert result[priced] == [Priced("a", 6), Priced("b", 15)]
    assert [record.key for record in result.records(priced)] == ["k", "k"]


def test_a_stream_between_two_tasks_is_read_to_its_end() -> None:
    result = run(job, {orders: [Record(Order(str(n), n), key="k") for n in range(8)]})
    assert result[large] == ["4", "5", "6", "7"]


def test_nothing_of_the_job_file_is_used_but_its_declarations() -> None:
    run(job, {orders: [Record(Order("a", 1), key="k")]})
    assert shop.read_raw(priced) == []
    assert shop.read_raw(orders) == []


def test_the_lifespan_is_entered_unless_resources_are_given() -> None:
    entered.clear()
    inputs = {orders: [Record(Order("a", 2), key="k")]}
    assert run(job, inputs, resources=Prices(100))[priced] == [Priced("a", 200)]
    assert entered == []
    assert run(job, inputs)[priced] == [Priced("a", 6)]
    assert entered == ["lifespan"]


def test_resources_may_be_a_context_manager() -> None:
    inputs = {orders: [Record(Order("a", 2), key="k")]}
    assert run(job, inputs, resources=prices())[priced] == [Priced("a", 6)]


def test_what_fails_for_good_is_a_dead_letter() -> None:
    result = run(job, {orders: [Record(Order(sku, 1), key="k") for sku in ("nothing", "a")]})
    (letter,) = result.dead_letters
    assert letter.to == "shop.orders-dead"
    assert letter.task == "price/0"
    assert letter.source == "shop.orders[0]"
    assert (letter.error_type, letter.attempts) == ("LookupError", 2)
    assert "nothing has no price" in letter.error
    assert result[dead] == [letter.value]
    assert result[priced] == [Priced("a", 3)]


def test_stored_bytes_that_no_serde_can_read_go_by_the_policy() -> None:
    result = run(job, {orders: [RawRecord(b"\xff not json", key=b"k")]})
    (letter,) = result.dead_letters
    assert letter.value == b"\xff not json"
    assert result[priced] == []


def test_checkpoints_say_that_everything_was_read() -> None:
    result = run(job, {orders: [Record(Order("a", 1), key="k")]})
    assert set(result.checkpoints) == {"price/0", "pick/0"}
    for checkpoint in result.checkpoints.values():
        assert [progress.after for progress in checkpoint.inputs.values()] == [END]


def test_state_is_there_after_the_run() -> None:
    items = [Record(Order("a", n), key=key) for n, key in ((1, "k"), (2, "other"), (4, "k"))]
    result = run(job, {orders: items}, partitions=3)
    assert_type(result.state(totals), dict[str, int])
    assert result.state(totals) == {"k": 5, "other": 2}


def test_a_job_may_be_run_again_and_remembers_nothing() -> None:
    inputs = {orders: [Record(Order("a", 1), key="k")]}
    assert run(job, inputs).state(totals) == {"k": 1}
    assert run(job, inputs).state(totals) == {"k": 1}


def test_inputs_that_are_not_named_are_empty() -> None:
    result = run(job, {})
    assert result[priced] == []


def test_several_partitions_make_several_tasks() -> None:
    items = [Record(Order(str(n), n), key=f"key-{n}", partition=str(n % 2)) for n in range(6)]
    result = run(job, {orders: items}, partitions=2)
    assert {"price/0", "price/1"} <= set(result.checkpoints)
    assert sorted(value.total for value in result[priced]) == [0, 3, 6, 9, 12, 15]


async def test_a_coroutine_awaits_it() -> None:
    result = await arun(job, {orders: [Record(Order("a", 2), key="k")]})
    assert result[priced] == [Priced("a", 6)]


def failing_job() -> Job[None]:
    failing: Job[None] = Job("failing")

    @failing.task(orders, to=priced)
    def refuse(order: Message[str, Order]) -> Priced:
        raise ValueError(f"not {order.value.sku}")

    return failing


def test_a_failed_task_is_raised_with_its_cause() -> None:
    with pytest.raises(TaskFailedError, match=r"refuse/0 failed at shop\.orders\[0\]") as caught:
        run(failing_job(), {orders: [Order("a", 1)]})
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_value_that_does_not_fit_its_stream_is_named() -> None:
    keys = shop.stream("names", key=str, value=str)
    named: Job[None] = Job("named")

    @named.task(keys)
    def nothing(name: Message[str, str]) -> None: ...

    with pytest.raises(ConfigError, match="item 1"):
        run(named, {keys: ["a", 7]})


@pytest.mark.parametrize(
    ("of", "inputs", "why"),
    [
        ("pricing", {}, r"job = 'pricing': is no Job; pass the object of the job file"),
        (job, None, "inputs: takes .* where all are empty; not None"),
        (job, [Order("a", 1)], r"inputs: takes \{stream: \[value, ...\]\}"),
        (job, {"shop.orders": []}, "inputs: 'shop.orders' is no input; pass the stream object"),
        (job, {orders: Order("a", 1)}, r"inputs of shop.orders: takes several items.* not Order"),
        (job, {orders: "apple"}, r"inputs of shop.orders: takes several items.* not 'apple'"),
        (job, {orders: {"sku": "a"}}, "inputs of shop.orders: takes several items"),
    ],
)
def test_other_things_than_a_job_and_lists_for_its_streams_are_refused(
    of: Any, inputs: Any, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        run(of, inputs)


async def test_in_a_coroutine_run_names_arun() -> None:
    with pytest.raises(ConfigError, match=r"in a coroutine: await arun\(...\)"):
        run(job, {})


def test_a_result_is_asked_for_by_the_stream_object() -> None:
    name: Any = "priced"
    with pytest.raises(ConfigError, match="stream priced: is no output of the job; there are"):
        run(job, {})[name]


def test_a_stream_that_no_task_reads_is_refused() -> None:
    with pytest.raises(ConfigError, match="no task reads it"):
        run(job, {large: ["a"]})


def test_an_output_of_another_job_is_refused() -> None:
    elsewhere = shop.stream("elsewhere", key=str, value=str)
    with pytest.raises(ConfigError, match="is no output of the job"):
        run(job, {})[elsewhere]


def test_a_job_that_reads_its_own_output_is_refused() -> None:
    circular: Job[None] = Job("circular")

    @circular.task(orders, to=orders)
    def again(order: Message[str, Order]) -> Order:
        return order.value

    with pytest.raises(ConfigError, match="never ends"):
        run(circular, {orders: []})
