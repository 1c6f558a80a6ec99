"""A job that could lose something, or that nobody meant, is named before anything is opened."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest

from samza_py.admin import Admin
from samza_py.checkpoint import Checkpoints, CheckpointStore
from samza_py.connectors.memory import Memory
from samza_py.coordination import Coordination, Coordinator
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.message import Message
from samza_py.planning import one_error, problems, warnings
from samza_py.policies import DeadLetter, Retry
from samza_py.producer import Promise
from samza_py.resolved import ResolvedJob
from samza_py.serde import Json, Raw
from samza_py.store import Store
from samza_py.system import AnyStream, Input, Output, Stream, System
from samza_py.task import StreamTask, TaskContext


class Kept(Checkpoints):
    """Checkpoints that are only described."""

    def __init__(
        self, *, shared: bool = False, durable: bool = True, transactions_of: str | None = None
    ) -> None:
        self.shared = shared
        self.durable = durable
        self._transactions_of = transactions_of

    def store(self, job: str) -> CheckpointStore:
        raise NotImplementedError

    def location(self, job: str) -> str:
        return "the file kept.log"

    @property
    def transactions_of(self) -> str | None:
        return self._transactions_of


class Sharing(Coordination):
    def __init__(self, *, several: bool = False) -> None:
        self.several = several

    def coordinator(self, job: str, tasks: Sequence[str]) -> Coordinator:
        raise NotImplementedError

    def __str__(self) -> str:
        return "three containers" if self.several else "one container"


class Outlet(System):
    """A system that can only be written to."""

    name = "outlet"

    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        raise NotImplementedError

    def producer(self, outputs: Mapping[str, Output[Any, Any]], claim: Any) -> Any:
        raise NotImplementedError


class Shards(Input[bytes, bytes]):
    stable_keys = False


def resolved(
    job: Job[Any], checkpoints: Checkpoints | None = None, coordination: Coordination | None = None
) -> ResolvedJob:
    return ResolvedJob(
        job,
        job.options,
        job.systems,
        job.streams,
        checkpoints or Kept(),
        coordination or Sharing(),
    )


def found(job: Job[Any], **changes: Any) -> str:
    return "\n".join(str(problem) for problem in problems(resolved(job, **changes)))


def noted(job: Job[Any], **changes: Any) -> str:
    return "\n".join(warnings(resolved(job, **changes)))


async def price(order: Message[Any, Any]) -> None:
    """A handler with nothing to remark on."""


@dataclass
class Order:
    sku: str


@dataclass
class Rush(Order):
    """An order that is also one."""


# Declarations ------------------------------------------------------------------------------


def test_an_ordinary_job_has_neither_problems_nor_warnings() -> None:
    memory = Memory()
    job = Job("pricing")
    orders, priced = memory.stream("orders", key=str, value=Order), memory.stream("priced")
    counts = job.store("counts", key=str, value=int)
    dead = DeadLetter(memory.stream("dead"))
    policy = Retry(3, then=dead)
    job.task(orders, to=priced, stores=[counts], on_error=policy, max_concurrency=8)(price)
    assert found(job) == ""
    assert noted(job) == ""


def test_a_job_without_tasks_says_how_to_declare_one() -> None:
    assert "@job.task(orders, to=priced)" in found(Job("pricing"))


def test_two_systems_of_one_name_are_refused_once() -> None:
    job = Job("pricing")
    first, second = Memory(), Memory()
    job.task(first.stream("a"), to=second.stream("b"))(price)
    job.task(second.stream("c"), name="again")(price)
    assert found(job).count("systems.memory") == 1
    assert 'Memory(..., name="other")' in found(job)


def test_a_stream_declared_twice_with_other_types_names_both() -> None:
    memory = Memory()
    job = Job("pricing")
    job.task(memory.stream("orders", value=Order), name="one")(price)
    job.task(memory.stream("orders", value=str), name="two")(price)
    assert "memory.orders" in found(job)
    assert "Json(Order)" in found(job)


def test_a_stream_declared_twice_alike_is_one_stream() -> None:
    memory = Memory()
    job = Job("pricing")
    for name in ("one", "two"):
        job.task(memory.stream("orders", value=Order), name=name)(price)
    assert found(job) == ""


def test_an_output_is_not_read_and_an_input_not_written() -> None:
    memory = Memory()
    index = cast("Any", Output(memory, "index", Raw(), Raw()))
    shards = cast("Any", Shards(memory, "shards", Raw(), Raw()))
    job = Job("pricing")
    job.task(index, to=shards)(price)
    assert "memory.index (a Output), which is only an output" in found(job)
    assert "memory.shards (a Shards), which is only an input" in found(job)


def test_a_system_that_cannot_be_read_from_is_named() -> None:
    job = Job("pricing")
    job.task(Stream(Outlet(), "orders", Raw(), Raw()))(price)
    assert "a Outlet cannot be read from" in found(job)


class Bare:
    """What somebody declares who forgets the decorator."""

    sku: str


@dataclass
class Misspelt:
    sku: "strng"  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Bare, "stream memory.orders.value: Bare is a class without declared fields; put @datac"),
        (Misspelt, "stream memory.orders.value: Misspelt cannot be read: name 'strng' is not def"),
        (Json[Order | Rush](), "more than one dataclass"),
        (Order, ""),
        (dict[str, Any], ""),
    ],
)
def test_a_type_that_can_hold_nothing_is_refused(value: Any, told: str) -> None:
    job = Job("pricing")
    job.task(Memory().stream("orders", value=value))(price)
    assert (told in found(job)) if told else found(job) == ""


def test_a_start_that_is_none_is_refused_with_those_there_are() -> None:
    job = Job("pricing")
    start: Any = "oldest"
    job.task(Memory().stream("orders", start=start))(price)
    assert "stream memory.orders.start = 'oldest': is none; write Oldest(), Newest()" in found(job)


def test_what_is_only_written_is_written_by_the_types_of_its_values() -> None:
    job = Job("pricing")
    outlet = Outlet()
    written: Output[bytes, Any] = Output(outlet, "written", Raw(), Json[Order | Rush]())
    job.task(Memory().stream("orders"), to=written)(price)
    assert found(job) == ""


def test_a_dead_letter_output_takes_bytes() -> None:
    memory = Memory()
    job = Job("pricing", on_error=DeadLetter(memory.stream("dead", value=Order)))
    job.task(memory.stream("orders"))(price)
    assert "declare it without types" in found(job)


def test_a_task_that_reads_what_it_writes_is_warned_of() -> None:
    memory = Memory()
    orders = memory.stream("orders")
    job = Job("pricing")
    job.task(orders, to=orders)(price)
    assert "it feeds itself for ever" in noted(job)


# State -------------------------------------------------------------------------------------


def test_a_store_of_another_job_is_refused() -> None:
    job = Job("pricing")
    counts = Job("other").store("counts", key=str, value=int)
    job.task(Memory().stream("orders"), stores=[counts])(price)
    assert 'declare it with job.store("counts"' in found(job)


def test_a_store_that_nobody_uses_is_warned_of() -> None:
    job = Job("pricing")
    job.store("counts", key=str, value=int)
    job.task(Memory().stream("orders"))(price)
    assert "store counts: no task uses it" in noted(job)


@pytest.mark.parametrize(("shared", "refused"), [(False, True), (True, False)])
def test_calls_of_one_key_may_overlap_over_shared_stores_only(shared: bool, refused: bool) -> None:
    job = Job("pricing")
    counts = job.store("counts", key=str, value=int, shared=shared)
    orders = Memory().stream("orders")
    job.task(orders, stores=[counts], order="none", max_concurrency=4)(price)
    assert ("shared=True" in found(job)) is refused


@pytest.mark.parametrize(("grouping", "refused"), [("partition_id", True), ("all", False)])
def test_keyed_state_needs_keys_that_stay_or_one_task(grouping: Any, refused: bool) -> None:
    job = Job("pricing")
    counts: Store[str, int] = job.store("counts", key=str, value=int)
    shards = Shards(Memory(), "shards", Raw(), Raw())
    job.task(shards, stores=[counts], grouping=grouping)(price)
    assert ("repartition first" in found(job)) is refused


# Keeping -----------------------------------------------------------------------------------


def exactly_once(promise: Promise) -> Job[Any]:
    memory = Memory(promise=promise)
    job = Job("pricing", guarantee="exactly_once")
    job.task(memory.stream("orders"), to=memory.stream("priced"))(price)
    return job


@pytest.mark.parametrize("promise", [Promise.IDEMPOTENT, Promise.TWO_PHASE])
def test_exactly_once_takes_outputs_that_replace_or_stage(promise: Promise) -> None:
    assert found(exactly_once(promise)) == ""


class Ticking(StreamTask[bytes, bytes, None]):
    async def process(self, message: Message[bytes, bytes], ctx: TaskContext[None]) -> bytes:
        return message.value

    async def on_timer(self, name: str, ctx: TaskContext[None]) -> None: ...


@pytest.mark.parametrize("promise", [Promise.IDEMPOTENT, Promise.TWO_PHASE])
def test_what_a_hook_sends_has_no_message_to_replace_itself_by(promise: Promise) -> None:
    memory = Memory(promise=promise)
    job: Job[None] = Job("pricing", guarantee="exactly_once")
    job.add(Ticking, memory.stream("orders"), to=memory.stream("priced"))
    told = "task Ticking has on_timer and writes to memory.priced" in found(job)
    assert told is (promise is Promise.IDEMPOTENT)


def test_exactly_once_names_the_output_that_may_repeat() -> None:
    assert "memory.priced promises at least once only" in found(exactly_once(Promise.AT_LEAST_ONCE))


def test_transactions_must_hold_the_checkpoints_too() -> None:
    job = exactly_once(Promise.TRANSACTIONAL)
    assert found(job, checkpoints=Kept(transactions_of="memory")) == ""
    assert "keep the checkpoints in memory" in found(job)
    assert "in kafka's" in found(job, checkpoints=Kept(transactions_of="kafka"))


def test_exactly_once_needs_checkpoints_that_last() -> None:
    refusal = found(exactly_once(Promise.TWO_PHASE), checkpoints=Kept(durable=False))
    assert "do not last" in refusal


def test_several_containers_need_checkpoints_that_all_can_reach() -> None:
    job = Job("pricing")
    job.task(Memory().stream("orders"))(price)
    several = Sharing(several=True)
    assert "the file kept.log serves one container" in found(job, coordination=several)
    assert found(job, coordination=several, checkpoints=Kept(shared=True)) == ""
    dying = Kept(shared=True, durable=False)
    assert "serves one container" in found(job, coordination=several, checkpoints=dying)


def test_checkpoints_that_end_with_the_process_are_warned_of_unless_the_inputs_do_too() -> None:
    job = Job("pricing")
    outlet = Outlet()
    job.task(Stream(outlet, "orders", Raw(), Raw()))(price)
    assert "every start reads the inputs from the beginning" in noted(
        job, checkpoints=Kept(durable=False)
    )
    in_memory = Job("pricing")
    in_memory.task(Memory().stream("orders"))(price)
    assert noted(in_memory, checkpoints=Kept(durable=False)) == ""


# Handlers ----------------------------------------------------------------------------------


def sleeps(order: Message[Any, Any]) -> None:
    time.sleep(1)


async def sleeps_in_a_coroutine(order: Message[Any, Any]) -> None:
    time.sleep(1)  # noqa: ASYNC251  (what the check is to find)


def plain(order: Message[Any, Any]) -> None:
    """A def that does not block."""


@pytest.mark.parametrize(
    ("handler", "settings", "remark"),
    [
        (plain, {"timeout": "1s"}, "nothing can interrupt it"),
        (plain, {"max_concurrency": 4}, "calls never overlap"),
        (plain, {"timeout": "1s", "blocking": True}, "runs on in its thread"),
        (price, {"timeout": "10m"}, "longer than job.shutdown_timeout (25 s)"),
        (sleeps, {}, "time.sleep() stops every task of the container while it runs; add blocking"),
        (sleeps_in_a_coroutine, {}, "use an async client, or asyncio.to_thread"),
        (sleeps, {"blocking": True}, ""),
        (plain, {}, ""),
    ],
)
def test_a_handler_that_will_not_do_what_is_meant_is_remarked_on(
    handler: Callable[..., Any], settings: Any, remark: str
) -> None:
    job = Job("pricing")
    job.task(Memory().stream("orders"), **settings)(handler)
    assert (remark in noted(job)) if remark else (noted(job) == "")


async def takes_an_order(order: Message[str, Order]) -> None: ...
async def takes_text(order: Message[str, str]) -> None: ...
async def takes_either(order: Message[str, Order | str]) -> None: ...
async def takes_anything(order: Any) -> None: ...


async def takes_orders(batch: Sequence[Message[str, Order]]) -> None: ...


class TakesText(StreamTask[str, str, Any]):
    async def process(self, message: Message[str, str], ctx: TaskContext[Any]) -> None: ...


def of_orders(value: type[Any] = Order) -> tuple[Job[Any], Stream[str, Any]]:
    return Job("pricing"), Memory().stream("orders", key=str, value=value)


@pytest.mark.parametrize("handler", [takes_an_order, takes_either, takes_anything])
def test_a_handler_may_take_what_the_stream_holds_or_more(handler: Callable[..., Any]) -> None:
    for held in (Order, Rush):
        job, orders = of_orders(held)
        job.task(orders)(handler)
        assert noted(job) == ""


def test_a_handler_that_takes_another_type_is_warned_of() -> None:
    job, orders = of_orders()
    job.task(orders)(takes_text)
    told = "takes Message[str, str], but memory.orders holds Message[str, Order]"
    assert told in noted(job)


def test_batches_and_classes_are_compared_too() -> None:
    job, orders = of_orders(str)
    job.batch_task(orders)(takes_orders)
    job.add(TakesText, orders)
    assert "task takes_orders: takes Message[str, Order]" in noted(job)
    assert "TakesText" not in noted(job)


# Telling -----------------------------------------------------------------------------------


def test_several_problems_become_one_error_that_names_all() -> None:
    first, second = ConfigError("a", "is wrong"), ConfigError("b", "is wrong too")
    assert one_error("pricing", [first]) is first
    text = str(one_error("pricing", [first, second]))
    assert "a: is wrong" in text
    assert "b: is wrong too" in text


def test_checking_asks_no_system_anything() -> None:
    opened: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        opened.append("lifespan")
        yield

    job = Job("pricing", lifespan=lifespan)
    job.task(Stream(Outlet(), "orders", Raw(), Raw()))(price)
    problems(resolved(job))
    assert opened == []
