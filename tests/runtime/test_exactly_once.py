"""Cut off in the middle, started again: each kind of output keeps its promise, as does state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from samza_py import BatchFailed, Job, Message, Record, TaskContext
from samza_py.connectors.memory import Faults, Memory, MemoryStream
from samza_py.errors import ConnectorError, TaskFailedError, UnavailableError
from samza_py.producer import Promise, Requests
from tests.runtime.running import checkpoint, resolved, run, running, values
from tests.runtime.virtual_seam import VirtualSeam

EXACT = [Promise.TWO_PHASE, Promise.TRANSACTIONAL]
COUNT = 12

POINTS = [
    "commit.cut",
    "commit.settled",
    "commit.staged",
    "commit.prepared",
    "commit.in_transaction",
    "commit.written",
    "commit.finishing",
    "commit.finished",
]


class Shop:
    """Numbers in, running totals out; what was cut off is started again over the same broker."""

    def __init__(self, promise: Promise, requests: Requests = Requests.ORDERED) -> None:
        self.memory = Memory(promise=promise, requests=requests)
        self.numbers = self.memory.stream("numbers", key=str, value=int, finite=True)
        self.out: MemoryStream[str, int] = self.memory.stream("out", key=str, value=int)
        self.lives = 0
        for number in range(COUNT):
            self.memory.put(self.numbers, f"k{number}", number)

    def job(self, max_concurrency: int) -> Job[None]:
        job = Job("shop", guarantee="exactly_once", commit_interval="1s")
        totals = job.store("totals", key=str, value=int, shared=True)

        @job.task(
            self.numbers,
            to=self.out,
            stores=[totals],
            max_concurrency=max_concurrency,
            order="partition",
        )
        async def add(number: Message[str, int], ctx: TaskContext[None]) -> int:
            store = ctx.store(totals)
            total = (store.get("all") or 0) + number.value
            store.put("all", total)
            await asyncio.sleep(0.3)
            return total

        return job

    def next_life(self, max_concurrency: int = 1) -> tuple[Memory, Any]:
        """A new connection and what runs over it."""
        self.lives += 1
        link = self.memory.connect(f"life-{self.lives}")
        return link, running(resolved(self.job(max_concurrency), link))

    def expected(self) -> list[int]:
        return [sum(range(n + 1)) for n in range(COUNT)]


@pytest.mark.parametrize("promise", EXACT)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_process_killed_between_any_two_steps_of_a_commit_repeats_and_loses_nothing(
    point: str, at: int, promise: Promise, world: VirtualSeam
) -> None:
    shop = Shop(promise)
    link, life = shop.next_life()
    seen = 0
    killed = asyncio.Event()

    def kill(reached: str) -> None:
        nonlocal seen
        seen += reached == point
        if reached == point and seen == at:
            link.sever(silent=True)
            killed.set()

    world.on_point = kill
    async with life as first:
        waiting = asyncio.ensure_future(killed.wait())
        await asyncio.wait((first.child, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await first.abort()
    world.on_point = None
    async with shop.next_life()[1] as second:
        await second.ended()
    assert values(shop.memory, shop.out) == shop.expected()
    assert not shop.memory.broker.staged


@pytest.mark.parametrize("promise", EXACT)
@pytest.mark.parametrize("max_concurrency", [1, 4])
@pytest.mark.parametrize("silent", [True, False])
async def test_a_connection_cut_at_any_time_repeats_and_loses_nothing(
    promise: Promise, max_concurrency: int, silent: bool
) -> None:
    for tenths in range(1, 40, 3):
        shop = Shop(promise)
        link, life = shop.next_life(max_concurrency)
        async with life as first:
            await asyncio.sleep(tenths / 10)
            link.sever(silent=silent)
            await asyncio.sleep(1)
            await first.abort()
        async with shop.next_life(max_concurrency)[1] as second:
            await second.ended()
        assert values(shop.memory, shop.out) == shop.expected(), f"cut after {tenths / 10} s"


@pytest.mark.parametrize("struck", ["write", "receipt", "stage", "begin", "commit", "checkpoint"])
@pytest.mark.parametrize("promise", EXACT)
async def test_an_operation_that_fails_takes_the_task_back_and_not_the_job(
    struck: str, promise: Promise
) -> None:
    shop = Shop(promise)

    class Fails(Faults):
        left = 3

        async def before(self, operation: str, client: str) -> None:
            if operation == struck and self.left and values(shop.memory, shop.out):
                self.left -= 1
                raise UnavailableError(f"{struck} failed")

        async def after(self, operation: str, client: str) -> None:
            if struck == "receipt":
                await self.before(operation, client)

    shop.memory.broker.faults = Fails()
    async with shop.next_life()[1] as life:
        await life.ended()
    assert values(shop.memory, shop.out) == shop.expected()


@pytest.mark.parametrize("promise", EXACT)
@pytest.mark.parametrize("struck", ["stage", "commit", "checkpoint", "finish"])
async def test_an_outcome_that_nobody_knows_is_found_out(struck: str, promise: Promise) -> None:
    shop = Shop(promise)

    class Unknown(Faults):
        left = 2

        async def after(self, operation: str, client: str) -> None:
            if operation == struck and self.left:
                self.left -= 1
                raise UnavailableError(f"nobody knows what became of {struck}")

    shop.memory.broker.faults = Unknown()
    async with shop.next_life()[1] as life:
        await life.ended()
    assert values(shop.memory, shop.out) == shop.expected()


@pytest.mark.parametrize("promise", EXACT)
async def test_behind_a_commit_that_was_broken_off_the_same_instance_makes_no_other(
    promise: Promise,
) -> None:
    """What it had taken out of its transaction would be missing in the next, and be covered.

    The message that makes the other one worth it sends nothing: what is sent behind the cut is held
    until the commit is through, which would hold the other one up as well.
    """
    shop = Shop(promise)
    silent: set[int] = set()
    first = True

    class RefusesOne(Faults):
        asked = 0

        async def before(self, operation: str, client: str) -> None:
            if operation in ("commit", "stage") and values(shop.memory, shop.out):
                self.asked += 1
                if self.asked == 1:
                    await asyncio.sleep(1)  # one message more is finished, the next one fails
                    raise UnavailableError("the commit did not go through")

    job = Job("shop", guarantee="exactly_once", commit_interval="1s")

    @job.task(shop.numbers, to=shop.out, name="add", order="partition")
    async def copy(number: Message[str, int]) -> int | None:
        if silent and first:
            raise ValueError("fails once a commit is under way")
        await asyncio.sleep(0.3)
        if faults.asked == 1 and first:
            silent.add(number.value)
        return None if number.value in silent else number.value

    shop.memory.broker.faults = faults = RefusesOne()
    with pytest.raises(TaskFailedError, match="under way"):
        await run(job, shop.memory.connect("first"))
    first = False
    await run(job, shop.memory.connect("second"))
    assert len(silent) == 1
    assert values(shop.memory, shop.out) == [n for n in range(COUNT) if n not in silent]


async def test_an_idempotent_output_has_each_message_once_over_a_crash() -> None:
    memory = Memory(promise=Promise.IDEMPOTENT, requests=Requests.BY_MESSAGE)
    numbers = memory.stream("numbers", key=str, value=int)
    out = memory.stream("out", key=str, value=int)
    for number in range(6):
        memory.put(numbers, f"k{number}", number)
    job = Job("copies", commit_interval="1h")

    @job.task(numbers, to=out)
    async def copy(number: Message[str, int]) -> int:
        return number.value

    async with running(resolved(job, memory.connect("one"))) as first:
        await memory.wait_for(out, 6)
        await first.abort()
    for number in range(6, 8):
        memory.put(numbers, f"k{number}", number)
    async with running(resolved(job, memory.connect("two"))) as second:
        await memory.wait_for(out, 8)
        await second.stop()
    assert sorted(values(memory, out)) == list(range(8))


async def test_what_a_batch_task_sends_replaces_itself_at_an_idempotent_output() -> None:
    memory = Memory(promise=Promise.IDEMPOTENT)
    numbers = memory.stream("numbers", key=str, value=int)
    out = memory.stream("out", key=str, value=int)
    other = memory.stream("other", key=str, value=int)
    for number in range(6):
        memory.put(numbers, f"k{number}", number)
    job: Job[None] = Job("copies", guarantee="exactly_once", commit_interval="1h")
    size = 6

    @job.batch_task(numbers, to=out, outputs=[other], batch_messages=6)
    async def copy(
        batch: Sequence[Message[str, int]], ctx: TaskContext[None]
    ) -> Sequence[Record[Any, int]]:
        # Other batches at the second time, and so another order of what is sent.
        for message in batch[:size]:
            ctx.send(other, message.value, source=message)
            ctx.send(other, 100 + message.value, source=message)
        if len(batch) > size:
            raise BatchFailed({size: ValueError("later")})
        return [Record(message.value, source=message) for message in batch]

    async with running(resolved(job, memory.connect("one"))) as first:
        await memory.wait_for(out, 6)
        await first.abort()
    size = 4
    async with running(resolved(job, memory.connect("two"))) as second:
        with pytest.raises(TaskFailedError, match="later"):
            await second.ended()
    assert sorted(values(memory, out)) == list(range(6))
    assert sorted(values(memory, other)) == [*range(6), *range(100, 106)]


async def test_nothing_is_seen_of_a_transaction_before_it_is_committed() -> None:
    shop = Shop(Promise.TRANSACTIONAL)
    job = Job("quiet", guarantee="exactly_once", commit_interval="9.5s")

    @job.task(shop.numbers, to=shop.out)
    async def copy(number: Message[str, int]) -> int:
        await asyncio.sleep(1)
        return number.value

    async with running(resolved(job, shop.memory)) as ran:
        await asyncio.sleep(9)
        assert values(shop.memory, shop.out) == []
        await asyncio.sleep(2)
        assert values(shop.memory, shop.out) == list(range(9))
        await ran.stop()


async def test_a_finish_that_does_not_work_is_tried_again_and_the_job_does_not_end_before() -> None:
    shop = Shop(Promise.TWO_PHASE)

    class Unfinished(Faults):
        asked = 0

        async def before(self, operation: str, client: str) -> None:
            if operation == "finish":
                self.asked += 1
                if asyncio.get_running_loop().time() < 30:
                    raise UnavailableError("not yet")

    shop.memory.broker.faults = faults = Unfinished()
    async with shop.next_life()[1] as life:
        await asyncio.sleep(20)
        assert values(shop.memory, shop.out) == []
        await life.ended()
    assert faults.asked > 3
    assert values(shop.memory, shop.out) == shop.expected()
    found = await checkpoint(shop.memory, shop.job(1), "add/0")
    assert found is not None
    assert not any(found.outputs.values())


async def test_a_task_that_is_taken_back_again_and_again_without_coming_on_fails_the_job() -> None:
    shop = Shop(Promise.TWO_PHASE)

    class Broken(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "stage":
                raise ConnectorError("this will never work")

    shop.memory.broker.faults = Broken()
    with pytest.raises(Exception, match="this will never work"):
        await run(shop.job(1), shop.memory)
    assert values(shop.memory, shop.out) == []
