"""Tasks come and go while a container runs: granted, revoked, lost, handed over, fenced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from samza_py import Job, Message
from samza_py.checkpoint import Grant
from samza_py.connectors.memory import Faults, Memory, MemoryStream, Script
from samza_py.errors import UnavailableError
from samza_py.runtime.coordinators import Static
from tests.runtime.running import Running, checkpoint, progress, resolved, run, running, values

Words = MemoryStream[str, str]


class Shop:
    """A broker, a script, and any number of containers of one job."""

    def __init__(self, *, partitions: int = 2, finite: bool = False) -> None:
        self.memory = Memory()
        self.script = Script()
        self.words = self.memory.stream(
            "words", key=str, value=str, partitions=partitions, finite=finite
        )
        self.out = self.memory.stream("out", key=str, value=str)
        self.job = Job("shop", commit_interval="1s")
        self.calls: list[str] = []
        self.seconds = 0.1

        @self.job.task(self.words, to=self.out)
        async def work(word: Message[str, str]) -> str:
            self.calls.append(word.value)
            await asyncio.sleep(self.seconds)
            return word.value

    def put(self, partition: int, *words: str) -> None:
        for word in words:
            self.memory.put(self.words, word, word, partition=str(partition))

    def container(self, name: str) -> Any:
        link = self.memory.connect(name)
        return running(resolved(self.job, link, coordination=self.script.container(link)))

    async def out_is(self, *words: str) -> None:
        """Wait until just these have arrived."""
        async with asyncio.timeout(1000):
            await self.memory.wait_for(self.out, len(words))
        assert sorted(values(self.memory, self.out)) == sorted(words)


def ran(container: Running) -> list[str]:
    return sorted(task.name for task in container.container.statistics().tasks)


async def test_only_what_is_granted_runs() -> None:
    shop = Shop()
    shop.put(0, "a")
    shop.put(1, "b")
    async with shop.container("one") as one:
        shop.script.grant("one", ["work/0"])
        await shop.out_is("a")
        assert ran(one) == ["work/0"]
        shop.script.grant("one", ["work/1"])
        await shop.out_is("a", "b")
        await one.stop()


async def test_a_task_granted_twice_is_left_running() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a", "b")
    shop.seconds = 5
    async with shop.container("one") as one:
        shop.script.grant("one", ["work/0"])
        await one.until(lambda: shop.calls == ["a"])
        shop.script.grant("one", ["work/0"])
        await shop.out_is("a", "b")
        assert shop.calls == ["a", "b"]
        await one.stop()


async def test_a_revoked_task_lets_its_call_end_commits_and_is_released() -> None:
    shop = Shop()
    shop.put(0, "a", "b")
    shop.seconds = 10
    async with shop.container("one") as one:
        shop.script.grant("one")
        await one.until(lambda: shop.calls == ["a"])
        shop.script.revoke("one", ["work/0"], deadline_s=60)
        await shop.script.wait_for_owner("work/0", None)
        assert (await progress(shop.memory, shop.job, "work/0", shop.words)).after == "0"
        assert shop.calls == ["a"]
        shop.put(1, "c")
        await shop.out_is("a", "c")  # the other task has gone on
        await one.stop()


async def test_a_task_that_is_not_released_by_its_deadline_is_dropped() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a")
    shop.seconds = 1000
    async with shop.container("one") as one:
        shop.script.grant("one")
        await one.until(lambda: shop.calls == ["a"])
        shop.script.revoke("one", deadline_s=10)
        await shop.script.wait_for_owner("work/0", None)
        assert asyncio.get_running_loop().time() < 20
        await one.stop()
    assert (await progress(shop.memory, shop.job, "work/0", shop.words)).after == "-1"


async def test_a_lost_task_is_dropped_at_once_and_writes_nothing() -> None:
    shop = Shop()
    shop.put(0, "a", "b", "c")
    shop.seconds = 0.6
    async with shop.container("one") as one:
        shop.script.grant("one")
        await one.until(lambda: shop.calls == ["a", "b"])  # "a" is finished and not committed
        shop.script.lose("one", ["work/0"])
        await one.until(lambda: ran(one) == ["work/0", "work/1"])
        await asyncio.sleep(10)
        assert shop.calls == ["a", "b"]
        await one.stop()
    assert (await progress(shop.memory, shop.job, "work/0", shop.words)).after == "-1"


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_a_task_that_is_lost_and_granted_again_at_once_runs_again(turns: int) -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a")
    shop.seconds = 5
    async with shop.container("one") as one:
        shop.script.grant("one")
        await one.until(lambda: shop.calls == ["a"])
        shop.script.lose("one")
        for _ in range(turns):
            await asyncio.sleep(0)
        shop.script.grant("one")
        await shop.out_is("a")
        assert shop.calls == ["a", "a"]
        await one.stop()


async def test_a_task_is_handed_over_where_it_stood() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a", "b")
    async with shop.container("one") as one, shop.container("two") as two:
        shop.script.grant("one")
        await shop.out_is("a", "b")
        shop.script.hand_over("work/0", "two")
        await shop.script.wait_for_owner("work/0", "two")
        shop.put(0, "c", "d")
        await shop.out_is("a", "b", "c", "d")
        assert shop.calls == ["a", "b", "c", "d"]
        assert two.task("work/0").counters.received == 2
        await one.stop()
        await two.stop()


async def test_what_tasks_did_before_they_left_is_counted_in_one_sum() -> None:
    shop = Shop()
    async with shop.container("one") as one:
        for number in range(4):
            shop.script.grant("one", ["work/0"])
            shop.put(0, f"word {number}")
            await shop.out_is(*(f"word {n}" for n in range(number + 1)))
            shop.script.revoke("one", ["work/0"], deadline_s=60)
            await one.until(lambda: not ran(one))
            found = one.container.statistics()
            assert found.tasks == ()
            assert found.left.handled == found.total().handled == number + 1
        await one.stop()


async def test_a_container_that_stops_gives_its_tasks_to_the_others() -> None:
    shop = Shop(partitions=2)
    shop.put(0, "a")
    shop.put(1, "b")
    async with shop.container("one") as one, shop.container("two") as two:
        shop.script.grant("one", ["work/0"])
        shop.script.grant("two", ["work/1"])
        await shop.out_is("a", "b")
        shop.script.grant("two", ["work/0"])  # as soon as it is free
        await one.stop()
        shop.put(0, "c")
        await shop.out_is("a", "b", "c")
        assert sorted(shop.calls) == ["a", "b", "c"]
        await two.stop()


async def test_a_fenced_container_asks_the_coordinator_and_drops_what_is_not_its_own() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a")
    shop.seconds = 5
    async with shop.container("one") as one:
        shop.script.grant("one")
        await one.until(lambda: shop.calls == ["a"])
        # Somebody else becomes the owner, and "one" does not hear of it.
        shop.script._owners["work/0"] = "two"
        async with shop.container("two") as two:
            await shop.out_is("a", "a")  # at least once: "one" has sent it, too
            await one.until(lambda: not one.container._supervisors)
            assert not one.child.done()
            await two.stop()
        await one.stop()


async def test_a_fenced_container_that_still_owns_the_task_claims_it_anew() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a")
    shop.seconds = 5
    async with shop.container("one") as one:
        shop.script.grant("one")
        await one.until(lambda: shop.calls == ["a"])
        store = shop.memory.checkpoints().store("shop")
        await store.open(Grant("work/0"))  # a claim that nobody acts upon
        await shop.out_is("a", "a")
        shop.put(0, "b")
        await shop.out_is("a", "a", "b")
        await one.stop()
    assert (await progress(shop.memory, shop.job, "work/0", shop.words)).after == "1"


async def test_a_grant_that_is_not_renewed_is_dropped_in_time() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a")
    shop.seconds = 1000

    class Silent(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "events" and shop.calls:
                await asyncio.get_running_loop().create_future()

    async with shop.container("one") as one:
        shop.memory.broker.faults = Silent()
        shop.script.grant("one", ["work/0"], valid_for_s=20)
        await one.until(lambda: shop.calls == ["a"])
        await one.until(lambda: not one.container._supervisors)
        assert 20 <= asyncio.get_running_loop().time() < 25
        await one.abort()


async def test_a_grant_that_was_over_before_it_was_heard_starts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A container that stood still hears old grants first; that they are lost is still to come."""
    shop = Shop(partitions=1)
    shop.put(0, "a")

    def on_its_way(task: str, until: float) -> None:
        """The word that it is lost."""

    monkeypatch.setattr(shop.script, "_expire_at", on_its_way)
    async with shop.container("one") as one:
        shop.script.grant("one", ["work/0"], valid_for_s=-1)
        await asyncio.sleep(10)
        assert await checkpoint(shop.memory, shop.job, "work/0") is None
        shop.script.grant("one", ["work/0"], valid_for_s=100)
        await shop.out_is("a")
        assert shop.calls == ["a"]
        await one.stop()


async def test_a_grant_that_is_renewed_runs_on() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a")
    shop.seconds = 50
    async with shop.container("one") as one:
        shop.script.grant("one", ["work/0"], valid_for_s=20)
        for _ in range(4):
            await asyncio.sleep(15)
            shop.script.grant("one", ["work/0"], valid_for_s=20)
        await shop.out_is("a")
        assert shop.calls == ["a"]
        await one.stop()


async def test_a_coordinator_that_cannot_be_told_of_a_release_is_told_later() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a")

    class Deaf(Faults):
        def __init__(self) -> None:
            self.asked = 0

        async def before(self, operation: str, client: str) -> None:
            if operation == "release_tasks" and self.asked < 3:
                self.asked += 1
                raise UnavailableError("deaf")

    shop.memory.broker.faults = faults = Deaf()
    async with shop.container("one") as one:
        shop.script.grant("one")
        await shop.out_is("a")
        shop.script.revoke("one")
        await shop.script.wait_for_owner("work/0", None)
        assert faults.asked == 3
        await one.stop()


async def test_containers_that_share_finite_inputs_all_end_when_the_last_task_has() -> None:
    shop = Shop(partitions=3, finite=True)
    shop.put(0, "a")
    shop.put(1, "b", "c", "d")
    shop.put(2, "e")
    shop.seconds = 3
    async with shop.container("one") as one, shop.container("two") as two:
        shop.script.grant("one", ["work/0", "work/2"])
        shop.script.grant("two", ["work/1"])
        await one.ended()
        await two.ended()
    assert sorted(values(shop.memory, shop.out)) == ["a", "b", "c", "d", "e"]


async def test_static_containers_share_the_tasks_and_end_together() -> None:
    shop = Shop(partitions=3, finite=True)
    for at, word in enumerate(("a", "b", "c")):
        shop.put(at, word)
    await asyncio.gather(
        *(run(shop.job, shop.memory, coordination=Static(at, 2)) for at in range(2))
    )
    assert sorted(values(shop.memory, shop.out)) == ["a", "b", "c"]
    assert sorted(shop.calls) == ["a", "b", "c"]


async def test_a_container_that_lost_its_network_is_replaced() -> None:
    shop = Shop(partitions=1)
    shop.put(0, "a", "b", "c")
    link = shop.memory.connect("one")
    given = resolved(shop.job, link, coordination=shop.script.container(link))
    async with running(given) as one:
        shop.script.grant("one")
        await one.until(lambda: len(shop.calls) == 2)
        link.sever(silent=True)
        shop.script.gone("one")
        async with shop.container("two") as two:
            shop.script.grant("two")
            shop.put(0, "d")
            await two.until(lambda: {"a", "b", "c", "d"} <= set(values(shop.memory, shop.out)))
            await two.stop()
    assert (await progress(shop.memory, shop.job, "work/0", shop.words)).after == "3"
