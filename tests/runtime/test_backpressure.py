"""Nothing grows without a bound: what is read ahead, what is sent, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from samza_py import DeadLetter, Job, Message, Record, Skip, StreamTask, TaskContext
from samza_py.connectors.memory import Fault, Faults, Memory, MemoryStream
from samza_py.consumer import Room
from samza_py.message import Outgoing, TaskPartition
from samza_py.producer import Limits, Requests
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.port import Port
from samza_py.runtime.rooms import Rooms
from tests.runtime.running import Running, resolved, running, values

Numbers = MemoryStream[str, int]


class Clogged(Faults):
    """Writes to some outputs wait until they are freed; others go through."""

    def __init__(self, *outputs: str) -> None:
        self.outputs = set(outputs)
        self.free = asyncio.Event()
        self.each_s = 0.0

    async def before(self, operation: str, client: str) -> None:
        if operation == "write" and self.outputs == {"all"}:
            await self.free.wait()
            await asyncio.sleep(self.each_s)


def streams(
    count: int, *, partitions: int = 1, requests: Requests = Requests.ORDERED, **settings: Any
) -> tuple[Memory, Numbers, Numbers]:
    memory = Memory(requests=requests, limits=Limits(messages=7, in_flight=2), **settings)
    numbers = memory.stream("numbers", key=str, value=int, partitions=partitions)
    out = memory.stream("out", key=str, value=int)
    for number in range(count):
        memory.put(numbers, f"k{number}", number, partition=str(number % partitions))
    return memory, numbers, out


class Peaks:
    """The most that ever was in one buffer, and handed over to one output and not yet durable."""

    buffered = 0
    unsettled = 0


@pytest.fixture
def peaks(monkeypatch: pytest.MonkeyPatch) -> Peaks:
    """Looks at every step: whenever something is added."""
    seen = Peaks()
    put, fill = Port.put, PartitionBuffer.fill

    def put_and_look(self: Port, *args: Any) -> None:
        put(self, *args)
        seen.unsettled = max(seen.unsettled, self.unsettled_messages)

    def fill_and_look(self: PartitionBuffer, *args: Any) -> bool:
        filled = fill(self, *args)
        seen.buffered = max(seen.buffered, self.statistics().buffered)
        return filled

    monkeypatch.setattr(Port, "put", put_and_look)
    monkeypatch.setattr(PartitionBuffer, "fill", fill_and_look)
    return seen


def unsettled(ran: Running) -> int:
    return max((task.unsettled for task in ran.container.statistics().tasks), default=0)


def buffered(ran: Running) -> int:
    tasks = ran.container.statistics().tasks
    return max((sum(p.buffered for p in task.partitions) for task in tasks), default=0)


@pytest.mark.parametrize("kind", ["fast", "context", "generator", "concurrent", "batch"])
@pytest.mark.parametrize("requests", list(Requests))
async def test_a_full_output_stops_its_task_and_bounds_are_kept_at_every_step(  # noqa: C901  (a table)
    requests: Requests, kind: str, peaks: Peaks
) -> None:
    memory, numbers, out = streams(300, requests=requests)
    memory.broker.faults = clogged = Clogged("all")
    job = Job("bounds", max_outbox_messages=20, max_buffered_messages=30, commit_interval="1s")
    each, concurrency = 1, 1

    def fast(number: Message[str, int]) -> int:
        return number.value

    def context(number: Message[str, int], ctx: TaskContext[None]) -> None:
        ctx.send(out, number.value, key=number.key)

    def generator(number: Message[str, int]) -> Iterator[int]:
        for _ in range(3):
            yield number.value

    async def concurrent(number: Message[str, int]) -> int:
        await asyncio.sleep(0)
        return number.value

    def batch(numbers: Sequence[Message[str, int]]) -> Sequence[Record[Any, int]]:
        return [Record(number.value, source=number) for number in numbers]

    if kind == "batch":
        each = 8
        job.batch_task(numbers, to=out, batch_messages=8)(batch)
    elif kind == "context":
        job.task(numbers, outputs=[out])(context)
    elif kind == "generator":
        each = 3
        job.task(numbers, to=out)(generator)
    elif kind == "concurrent":
        concurrency = 4
        job.task(numbers, to=out, max_concurrency=concurrency)(concurrent)
    else:
        job.task(numbers, to=out)(fast)
    most = 20 + each * concurrency - 1
    sent = 300 * (3 if kind == "generator" else 1)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(10)
        assert 20 <= unsettled(ran) <= most
        assert ran.container.statistics().total().handled <= most
        clogged.free.set()
        await memory.wait_for(out, sent)
        await ran.stop()
    assert peaks.unsettled <= most
    assert peaks.buffered <= 30
    assert sorted(values(memory, out)) == sorted(list(range(300)) * (sent // 300))


@pytest.mark.parametrize("with_context", [True, False])
async def test_outputs_are_bounded_in_bytes_too(with_context: bool) -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=bytes)
    out = memory.stream("out", key=str, value=bytes)
    memory.broker.faults = clogged = Clogged("all")
    for number in range(100):
        memory.put(words, f"{number:04}", b"x" * 996)
    job = Job("bytes", max_outbox_bytes=10_000)

    if with_context:

        @job.task(words, outputs=[out])
        def send(word: Message[str, bytes], ctx: TaskContext[None]) -> None:
            ctx.send(out, word.value, key=word.key)
    else:

        @job.task(words, to=out)
        def copy(word: Message[str, bytes]) -> bytes:
            return word.value

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(10)
        assert unsettled(ran) == 10
        clogged.free.set()
        await memory.wait_for(out, 100)
        await ran.stop()


@pytest.mark.parametrize("requests", list(Requests))
async def test_the_count_of_unsettled_bytes_comes_back_to_nothing(requests: Requests) -> None:
    memory, numbers, out = streams(100, requests=requests)
    job = Job("bytes")

    @job.task(numbers, to=out)
    def copy(number: Message[str, int]) -> int:
        return number.value

    class Flaky(Faults):
        turn = 0

        def messages(self, client: str, batch: Sequence[Outgoing]) -> Mapping[int, Fault]:
            from samza_py.errors import UnavailableError
            from samza_py.producer import Retry

            self.turn += 1
            again = Fault(Retry(UnavailableError("again")))
            return {0: again} if self.turn % 3 == 0 else {}

    memory.broker.faults = Flaky()
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 100)
        await ran.until(lambda: unsettled(ran) == 0)
        (supervisor,) = ran.container._supervisors
        instance = supervisor._instance
        assert instance is not None
        assert instance._sending is not None
        assert [port.unsettled_bytes for port in instance._sending.ports] == [0]
        await ran.stop()


async def test_a_slow_task_is_not_read_ahead_of_its_bounds() -> None:
    memory = Memory()
    words = memory.stream("words", key=str, value=bytes)
    for number in range(500):
        memory.put(words, f"{number:04}", b"x" * 932)  # 1,000 bytes with key and envelope
    rooms: list[Room] = []
    polled = type(memory.consumer({})).poll

    async def poll(self: Any, wanted: Mapping[TaskPartition, Room]) -> Any:
        rooms.extend(wanted.values())
        return await polled(self, wanted)

    job = Job("slow", max_buffered_messages=1000, max_buffered_bytes=50_000)
    calls = 0

    @job.task(words)
    async def wait(word: Message[str, bytes]) -> None:
        nonlocal calls
        calls += 1
        await asyncio.sleep(1)

    consumer: Any = type(memory.consumer({}))
    consumer.poll = poll
    try:
        async with running(resolved(job, memory)) as ran:
            for _ in range(200):
                await asyncio.sleep(0.3)
                assert buffered(ran) <= 51
            assert calls >= 50
            await ran.stop()
    finally:
        consumer.poll = polled
    assert all(0 < room.bytes <= 50_000 and 0 < room.messages <= 1000 for room in rooms)


@pytest.mark.parametrize("partitions", [1, 4, 16])
async def test_a_container_holds_no_more_for_having_more_partitions(partitions: int) -> None:
    memory, numbers, out = streams(4000, partitions=partitions)
    memory.broker.faults = clogged = Clogged("all")
    job = Job("many", max_outbox_messages=1600, max_buffered_messages=1600)

    @job.task(numbers, to=out)
    def copy(number: Message[str, int]) -> int:
        return number.value

    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(10)
        tasks = ran.container.statistics().tasks
        assert len(tasks) == partitions
        assert {task.unsettled for task in tasks} == {1600 // partitions}
        assert 800 <= sum(p.buffered for task in tasks for p in task.partitions) <= 1600
        clogged.free.set()
        await memory.wait_for(out, 4000)
        await ran.stop()


def test_each_of_very_many_tasks_gets_enough_for_a_poll() -> None:
    rooms = Rooms(Job("many", max_outbox_messages=50).options)
    rooms.among(10_000)
    assert (rooms.buffered.messages, rooms.buffered.bytes) == (100, 64 << 10)
    assert rooms.unsettled.messages == 50
    rooms.among(0)
    assert (rooms.buffered.messages, rooms.buffered.bytes) == (20_000, 32 << 20)


async def test_a_full_output_stops_no_task_that_does_not_send_to_it() -> None:
    memory = Memory()
    other = Memory("other")
    one = memory.stream("one", key=str, value=int)
    two = memory.stream("two", key=str, value=int)
    free = memory.stream("free", key=str, value=int)
    stuck = other.stream("stuck", key=str, value=int)
    other.broker.faults = clogged = Clogged("all")
    for number in range(50):
        memory.put(one, f"k{number}", number)
        memory.put(two, f"k{number}", number)
    job = Job("apart", max_outbox_messages=5)

    def copy(number: Message[str, int]) -> int:
        return number.value

    job.task(one, to=stuck, name="to-stuck")(copy)
    job.task(two, to=free, name="to-free")(copy)
    async with running(resolved(job, memory, other)) as ran:
        await memory.wait_for(free, 50)
        assert values(other, stuck) == []
        assert ran.task("to-stuck/0").counters.handled == 5
        clogged.free.set()
        await other.wait_for(stuck, 50)
        await ran.stop()


async def test_an_output_of_the_same_producer_that_is_full_stops_no_other() -> None:
    memory = Memory()
    one = memory.stream("one", key=str, value=int)
    two = memory.stream("two", key=str, value=int)
    free = memory.stream("free", key=str, value=int)
    stuck = memory.stream("stuck", key=str, value=int)

    class OneStuck(Faults):
        def messages(self, client: str, batch: Sequence[Outgoing]) -> Mapping[int, Fault]:
            from samza_py.errors import UnavailableError
            from samza_py.producer import Retry

            if batch[0].stream == "free":
                return {}
            again = Fault(Retry(UnavailableError("no room"), after_s=1.0))
            return dict.fromkeys(range(len(batch)), again)

    memory.broker.faults = OneStuck()
    for number in range(50):
        memory.put(one, f"k{number}", number)
        memory.put(two, f"k{number}", number)
    job = Job("apart", max_outbox_messages=5)

    def copy(number: Message[str, int]) -> int:
        return number.value

    job.task(one, to=stuck, name="to-stuck")(copy)
    job.task(two, to=free, name="to-free")(copy)
    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(free, 50)
        memory.broker.faults = None
        await memory.wait_for(stuck, 50)
        await ran.stop()


@pytest.mark.parametrize("max_concurrency", [1, 4])
async def test_timers_wait_for_room_too(max_concurrency: int) -> None:
    memory, numbers, out = streams(1)
    memory.broker.faults = clogged = Clogged("all")

    class Ticks(StreamTask[str, int, None]):
        async def process(self, message: Message[str, int], ctx: TaskContext[None]) -> None:
            ctx.set_timer("tick", after=0.01)
            ctx.set_timer("tock", after=0.01)

        async def on_timer(self, name: str, ctx: TaskContext[None]) -> int:
            ctx.set_timer(name, after=0.01)
            return 1

    job: Job[None] = Job("ticking", max_outbox_messages=10)
    job.add(Ticks, numbers, to=out, max_concurrency=max_concurrency)
    async with running(resolved(job, memory)) as ran:
        await asyncio.sleep(60)
        assert unsettled(ran) == 10
        clogged.free.set()
        await memory.wait_for(out, 100)
        await ran.stop()


async def test_a_full_dead_letter_output_stops_the_task_too() -> None:
    memory, numbers, _ = streams(50)
    other = Memory("other")
    dead = other.stream("dead")
    other.broker.faults = clogged = Clogged("all")
    job = Job("dead", max_outbox_messages=5, on_error=DeadLetter(dead))

    @job.task(numbers)
    def fail(number: Message[str, int]) -> None:
        raise ValueError

    async with running(resolved(job, memory, other)) as ran:
        await asyncio.sleep(10)
        assert ran.container.statistics().total().dead == 5
        clogged.free.set()
        await other.wait_for(dead, 50)
        await ran.stop()


async def test_a_hot_partition_does_not_starve_the_others() -> None:
    memory = Memory()
    numbers = memory.stream("numbers", key=str, value=int, partitions=3)
    for number in range(900):
        memory.put(numbers, f"k{number}", number, partition="0")
    for partition in ("1", "2"):
        memory.put(numbers, "cold", 1000, partition=partition)
    job = Job("fair")
    order: list[int] = []

    @job.task(numbers, grouping="all")
    async def note(number: Message[str, int]) -> None:
        order.append(number.value)
        await asyncio.sleep(0.001)

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(order) == 902)
        await ran.stop()
    assert order.index(1000) < 20
    assert len(order) - order[::-1].index(1000) < 20


async def test_inputs_of_a_higher_priority_are_read_first() -> None:
    """Samza's 17 (TestTieredPriorityChooser), for the tiers."""
    memory = Memory()
    low = memory.stream("low", key=str, value=int)
    high = memory.stream("high", key=str, value=int)
    for number in range(20):
        memory.put(low, f"k{number}", number)
        memory.put(high, f"k{number}", 100 + number)
    job = Job("tiers")
    order: list[int] = []

    @job.task(low, high, priority={high: 1})
    async def note(number: Message[str, int]) -> None:
        await asyncio.sleep(0.01)
        order.append(number.value)

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(order) == 40)
        await ran.stop()
    assert order == [*range(100, 120), *range(20)]


async def test_a_bootstrap_input_is_read_to_its_head_before_any_other() -> None:
    """Samza's 16 (TestBootstrappingChooser)."""
    memory = Memory()
    table = memory.stream("table", key=str, value=int, partitions=2)
    facts = memory.stream("facts", key=str, value=int, partitions=2)
    for number in range(10):
        memory.put(table, f"k{number}", number, partition=str(number % 2))
        memory.put(facts, f"k{number}", 100 + number, partition=str(number % 2))
    job = Job("bootstrap")
    order: list[int] = []

    @job.task(facts, table, bootstrap=[table], grouping="all")
    async def note(number: Message[str, int]) -> None:
        await asyncio.sleep(0.01)
        order.append(number.value)

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(order) == 20)
        memory.put(facts, "late", 500, partition="0")
        memory.put(table, "late", 50, partition="0")
        await ran.until(lambda: len(order) == 22)  # caught up once, it is an input like any other
        await ran.stop()
    assert max(order[:10]) < 10


async def test_an_empty_bootstrap_input_holds_nothing_up() -> None:
    memory = Memory()
    table = memory.stream("table", key=str, value=int)
    facts = memory.stream("facts", key=str, value=int)
    memory.put(facts, "k", 1)
    job = Job("bootstrap")
    order: list[int] = []

    @job.task(facts, table, bootstrap=[table])
    async def note(number: Message[str, int]) -> None:
        order.append(number.value)

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: order == [1])
        await ran.stop()


async def test_by_event_time_the_oldest_of_all_partitions_goes_first() -> None:
    memory = Memory()
    one = memory.stream("one", key=str, value=int)
    two = memory.stream("two", key=str, value=int)
    for number in range(0, 20, 2):
        memory.put(one, "k", number, timestamp_ms=number)
        memory.put(two, "k", number + 1, timestamp_ms=number + 1)
    job = Job("times")
    order: list[int] = []

    @job.task(one, two, read_by="event_time")
    async def note(number: Message[str, int]) -> None:
        order.append(number.value)

    async with running(resolved(job, memory)) as ran:
        await ran.until(lambda: len(order) == 20)
        await ran.stop()
    assert order == list(range(20))


async def test_skipped_messages_take_no_room_at_outputs() -> None:
    memory, numbers, out = streams(200)
    job = Job("skipping", max_outbox_messages=5, on_error=Skip())

    @job.task(numbers, to=out)
    def odd(number: Message[str, int]) -> int:
        if number.value % 2 == 0:
            raise ValueError
        return number.value

    async with running(resolved(job, memory)) as ran:
        await memory.wait_for(out, 100)
        await ran.stop()
    assert values(memory, out) == list(range(1, 200, 2))
