"""A run that is cancelled from outside: by whoever holds its child, by a timeout, and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import pytest

from samza_py import Job, Message, StreamTask, TaskContext
from samza_py.connectors.memory import Memory, MemoryStream, Script
from samza_py.connectors.memory.consumer import MemoryConsumer
from samza_py.consumer import Fetched
from samza_py.message import TaskPartition
from samza_py.runtime.container import Container
from tests.runtime.running import Running, progress, resolved, running, values

Words = MemoryStream[str, str]


class Shop:
    """A job whose task takes a second for a message, and another to close."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.words: Words = self.memory.stream("words", key=str, value=str)
        self.out: Words = self.memory.stream("out", key=str, value=str)
        for word in ("a", "b", "c"):
            self.memory.put(self.words, word, word)
        self.told: list[str] = []
        told = self.told

        @asynccontextmanager
        async def lifespan() -> AsyncGenerator[None]:
            try:
                yield None
            finally:
                told.append("lifespan ends")

        self.job = Job("shop", commit_interval="1h", lifespan=lifespan)

        class Work(StreamTask[str, str, None]):
            async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> str:
                told.append(f"calls {message.value}")
                await asyncio.sleep(1)
                return message.value

            async def close(self) -> None:
                told.append("closes")
                await asyncio.sleep(1)
                told.append("closed")

        self.job.add(Work, self.words, name="work", to=self.out)

    async def until_b(self, ran: Running) -> None:
        await ran.until(lambda: "calls b" in self.told)

    async def after(self) -> str:
        after = (await progress(self.memory, self.job, "work/0", self.words)).after
        assert isinstance(after, str)
        return after


@pytest.mark.parametrize("again_s", [(0.0,), (0.5,), (0.0, 0.5, 0.1, 0.3)])
async def test_a_run_that_is_cancelled_again_and_again_still_tidies_up(
    again_s: tuple[float, ...],
) -> None:
    shop = Shop()
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.until_b(ran)
        ran.child.cancel()
        for pause_s in again_s:
            await asyncio.sleep(pause_s)
            ran.child.cancel()
        await asyncio.wait((ran.child,))
        assert ran.child.cancelled()
    assert shop.told == ["calls a", "calls b", "closes", "closed", "lifespan ends"]
    assert await shop.after() == "-1"


@pytest.mark.parametrize("turns", range(12))
async def test_a_run_that_is_cancelled_twice_in_any_turn_of_its_end_leaves_no_child(
    turns: int,
) -> None:
    shop = Shop()
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.until_b(ran)
        ran.child.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        ran.child.cancel()
        await asyncio.wait((ran.child,))
        left = {child.get_name() for child in asyncio.all_tasks()}
        assert not [name for name in left if "work/0" in name or name == "intake memory"]


async def test_a_timeout_around_a_run_is_told_as_a_timeout() -> None:
    shop = Shop()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.5):
            await Container(resolved(shop.job, shop.memory)).run()
    assert shop.told[-2:] == ["closed", "lifespan ends"]
    assert await shop.after() == "-1"


async def test_a_timeout_that_a_stop_of_the_opening_comes_before_is_still_one() -> None:
    shop = Shop()
    container = Container(resolved(shop.job, shop.memory))
    asyncio.get_running_loop().call_soon(container.request_stop)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await container.run()
    assert "calls a" not in shop.told


async def test_what_was_cancelled_goes_on_from_its_checkpoint_when_it_is_run_again() -> None:
    shop = Shop()
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.until_b(ran)
        ran.child.cancel()
        await asyncio.wait((ran.child,))
    shop.memory.close(shop.words)
    async with running(resolved(shop.job, shop.memory)) as again:
        await again.ended()
    assert sorted(set(values(shop.memory, shop.out))) == ["a", "b", "c"]


async def test_a_task_that_is_lost_twice_still_closes() -> None:
    """It must leave its consumer, too: else that would go on reading for nobody."""
    shop, script = Shop(), Script()
    link = shop.memory.connect("one")
    async with running(resolved(shop.job, link, coordination=script.container(link))) as ran:
        script.grant("one")
        await shop.until_b(ran)
        script.lose("one")
        await ran.until(lambda: "closes" in shop.told)
        ran.container._supervisors[0].drop()
        await ran.until(lambda: not ran.container._supervisors)
        assert shop.told[-1] == "closed"
        await ran.stop()


@pytest.mark.leaves_children
async def test_a_consumer_that_swallows_its_cancellation_does_not_keep_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released = asyncio.get_running_loop().create_future()

    async def deaf(self: MemoryConsumer, wanted: object) -> dict[TaskPartition, Fetched]:
        while not released.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(released)
        return {}

    monkeypatch.setattr(MemoryConsumer, "poll", deaf)
    shop = Shop()
    async with running(resolved(shop.job, shop.memory)) as ran:
        await asyncio.sleep(1)
        ran.child.cancel()
        await asyncio.wait((ran.child,))
        assert ran.child.cancelled()
    assert "leaves behind what did not end: intake memory" in caplog.text
    released.set_result(None)
