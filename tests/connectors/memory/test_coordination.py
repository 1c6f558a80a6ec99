"""What a script makes of its containers: who owns which task, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from samza_py.checkpoint import Grant, Role
from samza_py.connectors.memory import Memory, Script
from samza_py.coordination import Coordinator, Event, Granted, Lost, Revoked
from tests.connectors.memory.steps import turns

TASKS = ("t/0", "t/1")


class Container:
    """One that keeps what it hears."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.heard: list[Event] = []

    async def listen(self) -> None:
        async for event in self.coordinator.events():
            self.heard.append(event)

    @property
    def last(self) -> Event:
        return self.heard[-1]


@asynccontextmanager
async def running(script: Script, memory: Memory) -> AsyncGenerator[Container, None]:
    async with script.container(memory).coordinator("shop", TASKS) as coordinator:
        container = Container(coordinator)
        child = asyncio.ensure_future(container.listen())
        await turns()
        yield container
    await turns()
    child.cancel()
    await asyncio.wait([child])


async def test_what_is_granted_before_a_container_comes_up_is_its_when_it_does() -> None:
    script, memory = Script(), Memory()
    script.grant("main")
    async with running(script, memory) as one:
        assert one.heard == [Granted((Grant("t/0"), Grant("t/1")))]
        assert await one.coordinator.owns("t/0")
        assert not await one.coordinator.owns("t/9")


async def test_events_end_when_the_coordinator_is_closed_and_its_tasks_are_free() -> None:
    script, memory = Script(), Memory()
    async with script.container(memory).coordinator("shop", TASKS) as coordinator:
        child = asyncio.ensure_future(Container(coordinator).listen())
        script.grant("main", ["t/0"])
        await turns()
    await child
    assert script.owner("t/0") is None


async def test_a_new_owner_starts_only_when_the_old_one_has_released() -> None:
    script, memory = Script(), Memory()
    async with (
        running(script, memory.connect("one")) as one,
        running(script, memory.connect("two")) as two,
    ):
        script.grant("one")
        await turns()
        script.hand_over("t/0", "two")
        script.hand_over("t/1", "one")
        await turns()
        assert isinstance(one.last, Revoked)
        assert one.last.tasks == ("t/0",)
        assert (two.heard, await one.coordinator.owns("t/0")) == ([], True)
        await one.coordinator.release(["t/0", "t/9"])
        await script.wait_for_owner("t/0", "two")
        await turns()
        assert two.heard == [Granted((Grant("t/0"),))]
        assert not await one.coordinator.owns("t/0")


async def test_what_is_not_released_within_its_deadline_is_lost() -> None:
    script, memory = Script(), Memory()
    async with (
        running(script, memory.connect("one")) as one,
        running(script, memory.connect("two")) as two,
    ):
        script.grant("one")
        script.hand_over("t/0", "two", deadline_s=0.001)
        await script.wait_for_owner("t/0", "two")
        await turns()
        assert one.last == Lost(("t/0",))
        assert two.heard == [Granted((Grant("t/0"),))]


async def test_what_is_lost_is_free_at_once() -> None:
    script, memory = Script(), Memory()
    async with (
        running(script, memory.connect("one")) as one,
        running(script, memory.connect("two")) as two,
    ):
        script.grant("one")
        script.grant("two", ["t/1"])
        script.lose("one")
        assert (script.owner("t/0"), script.owner("t/1")) == (None, "two")
        await turns()
        assert one.last == Lost(("t/0", "t/1"))
        assert two.heard == [Granted((Grant("t/1"),))]


async def test_the_tasks_of_a_severed_container_wait_until_it_is_declared_gone() -> None:
    script, memory = Script(), Memory()
    dead = memory.connect("dead")
    async with running(script, memory.connect("two")) as two:
        async with running(script, dead) as one:
            script.grant("dead")
            await turns()
            script.spread("two")
            dead.sever(silent=True)
            await turns()
            assert len(one.heard) == 1
        assert script.owner("t/0") == "dead"
        script.gone("dead")
        await turns()
        assert two.heard == [Granted((Grant("t/0"),)), Granted((Grant("t/1"),))]


async def test_a_container_that_comes_up_anew_is_told_what_it_owns() -> None:
    script, memory = Script(), Memory()
    async with running(script, memory):
        script.grant("main", ["t/1"])
        await turns()
        async with script.container(memory).coordinator("shop", TASKS) as again:
            assert await anext(aiter(again.events())) == Granted((Grant("t/1"),))


async def test_a_grant_that_is_not_renewed_is_lost() -> None:
    script, memory = Script(), Memory()
    now = asyncio.get_running_loop().time()
    async with running(script, memory) as one:
        script.grant("main", ["t/0"], valid_for_s=60)
        script.grant("main", ["t/0"], valid_for_s=0.001)
        await script.wait_for_owner("t/0", None)
        await turns()
        first, second, lost = one.heard
        assert isinstance(first, Granted)
        assert isinstance(second, Granted)
        until = first.grants[0].valid_until
        assert until is not None
        assert until >= now + 60
        assert lost == Lost(("t/0",))


async def test_a_standby_owns_nothing() -> None:
    script, memory = Script(), Memory()
    async with running(script, memory) as one:
        script.grant("main", ["t/0"], role=Role.STANDBY)
        await turns()
        assert one.heard == [Granted((Grant("t/0", Role.STANDBY),))]
        assert script.owner("t/0") is None


async def test_tasks_are_spread_in_turn() -> None:
    script, memory = Script(), Memory()
    async with running(script, memory.connect("one")), running(script, memory.connect("two")):
        script.spread("one", "two")
        assert (script.owner("t/0"), script.owner("t/1")) == ("one", "two")


def test_it_says_what_it_is() -> None:
    coordination = Script().container(Memory())
    assert str(coordination) == "scripted, as container main"
    assert (coordination.several, coordination.fenced) == (True, True)
