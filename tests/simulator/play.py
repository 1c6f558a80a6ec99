"""Plays a scenario: feeds the input, starts containers, and does to them what operators do."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

from tests.simulator.scenario import Given, chance
from tests.simulator.stage import Stage
from tests.simulator.world import Incarnation, World

#: With nothing in the way any more, all must be over after so many virtual seconds.
GRACE_S = 300.0
LOOK_S = 0.5


class Play:
    """One play of a scenario.

    Args:
        stage: what it is played on.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._world: World = stage.world
        self._scenario = stage.world.scenario
        self._draw = chance(stage.world.scenario.seed, "play")
        self._live: dict[str, Incarnation] = {}
        draw = chance(self._scenario.seed, "split")
        late_s = draw.random() * self._scenario.trouble.until_s
        #: When partition 0 is split, if it is: before any container looks at it, or under its eyes.
        self._split_s = draw.choice((0.0, late_s)) if self._scenario.splits else math.inf

    async def run(self) -> None:
        """Play to the end, or to the first thing that is wrong."""
        world = self._world
        world.loop = asyncio.get_running_loop()
        whole = asyncio.ensure_future(self._whole())
        limit = self._scenario.trouble.until_s + GRACE_S
        await asyncio.wait(
            (whole, world.failed()), timeout=limit, return_when=asyncio.FIRST_COMPLETED
        )
        if whole.done():
            whole.result()
        elif not world.violations:
            world.violated(f"it is not over after {limit:g} s:\n{self._stage.stuck()}")
        for problem in self._stage.ledger.finished() if not world.violations else ():
            world.violated(problem)
        await self._clear(whole)

    async def _whole(self) -> None:
        feeder = asyncio.ensure_future(self._feed(self._prepare()))
        if self._scenario.containers == 1:
            await self._alone()
        else:
            await self._together()
        await feeder

    async def _clear(self, whole: asyncio.Future[None]) -> None:
        """Leave nothing running, whatever state it is in."""
        whole.cancel()
        for incarnation in self._world.incarnations:
            self._world.crash(incarnation, "the play is over")
        current = asyncio.current_task()
        for _ in range(300):
            left = [task for task in asyncio.all_tasks() if task is not current]
            if not left:
                return
            for task in left:
                task.cancel()
            for _ in range(3):
                await asyncio.sleep(0)

    def _prepare(self) -> list[Given]:
        """Put in what is to be split, and split it where no container is to look at it before.

        Returns:
            What is left to be put in.
        """
        given = list(self._scenario.given)
        if not self._scenario.splits:
            return given
        for one in given:
            if one.partition == "0":
                self._stage.put(one)
        if self._split_s == 0.0:
            self._split()
        left = [self._not_before_the_split(one) for one in given if one.partition != "0"]
        return sorted(left, key=lambda one: one.at_s)

    def _not_before_the_split(self, one: Given) -> Given:
        late = one.partition in ("0a", "0b") and self._split_s < math.inf
        return replace(one, at_s=max(one.at_s, self._split_s)) if late else one

    def _split(self) -> None:
        self._world.note("input", "split")
        self._stage.split()
        self._split_s = math.inf

    async def _feed(self, given: list[Given]) -> None:
        """Put the input in at its times; then close it."""
        for one in given:
            await self._split_until(one.at_s)
            await self._until(one.at_s)
            self._stage.put(one)
        await self._split_until(self._scenario.trouble.until_s)
        self._stage.close()

    async def _split_until(self, at_s: float) -> None:
        """Split at its time, where that has come by then."""
        if self._split_s <= at_s:
            await self._until(self._split_s)
            self._split()

    async def _until(self, at_s: float) -> None:
        left_s = at_s - asyncio.get_running_loop().time()
        if left_s > 0:
            await asyncio.sleep(left_s)

    # One container, started again and again -----------------------------------------------------

    async def _alone(self) -> None:
        while True:
            incarnation = self._stage.start("c0")
            actor = asyncio.ensure_future(self._act_on(incarnation))
            await self._stage.end_of(incarnation)
            actor.cancel()
            if self._stage.ledger.complete and not incarnation.dead:
                break
            await asyncio.sleep(self._draw.random() * 3.0)
        if self._draw.random() < 0.3:
            # A finished job that is started again finds nothing to do but timers that are due.
            while not await self._ends_by_itself():
                pass

    async def _ends_by_itself(self) -> bool:
        incarnation = self._stage.start("c0")
        await self._stage.end_of(incarnation)
        return not incarnation.dead and incarnation.aborted_s is None

    async def _act_on(self, incarnation: Incarnation) -> None:
        every = self._scenario.trouble.acts_every_s
        while every:
            await asyncio.sleep(every * (0.3 + self._draw.random()))
            if not self._world.troubled:
                return
            self._end(incarnation)

    def _end(self, incarnation: Incarnation) -> None:
        """End a container in one of the ways in which containers are ended."""
        container = incarnation.container
        if container is None or not incarnation.running:
            return
        how = self._draw.choice(("stop", "stop", "crash", "abort"))
        if how == "crash":
            self._world.crash(incarnation, "by an operator")
            return
        if how == "abort":
            self._world.abort(incarnation, container.abort)
            return
        self._world.note(incarnation, "STOP")
        incarnation.stopped = True
        container.request_stop()

    # Several containers, and tasks that move ------------------------------------------------------

    async def _together(self) -> None:
        names = [f"c{at}" for at in range(self._scenario.containers)]
        lives = [asyncio.ensure_future(self._live_on(name)) for name in names]
        balancer = asyncio.ensure_future(self._balance())
        troubles = asyncio.ensure_future(self._trouble())
        await asyncio.wait(lives)
        balancer.cancel()
        troubles.cancel()
        for life in lives:
            life.result()

    async def _live_on(self, name: str) -> None:
        """Start a container again whenever it is gone, until there is nothing left to do."""
        await asyncio.sleep(self._draw.random() * 2.0)
        while True:
            incarnation = self._live[name] = self._stage.start(name)
            await self._stage.end_of(incarnation)
            if incarnation.dead:
                # Sometimes it is back before anybody has noticed.
                await asyncio.sleep(self._draw.random() * 4.0)
                if self._draw.random() < 0.7:
                    self._stage.script.gone(name)
            elif (
                self._stage.ledger.complete
                and incarnation.aborted_s is None
                and not incarnation.cut_off
            ):
                return  # else it may have left something open, which the next start ends
            await asyncio.sleep(self._draw.random() * 3.0)

    async def _balance(self) -> None:
        """See to it that every task gets an owner, as a coordinator does."""
        script = self._stage.script
        while True:
            await asyncio.sleep(LOOK_S)
            running = self._running()
            for task in script._tasks:
                owner = script.owner(task)
                if owner is not None and owner not in running:
                    script.gone(owner)
                if not running:
                    continue
                lease_s = self._scenario.trouble.lease_s
                owner = script.owner(task)
                if owner is None or lease_s is not None:
                    to = self._draw.choice(running) if owner is None else owner
                    script.grant(to, (task,), valid_for_s=lease_s)

    async def _trouble(self) -> None:
        every = self._scenario.trouble.acts_every_s
        while every:
            await asyncio.sleep(every * (0.3 + self._draw.random()))
            if not self._world.troubled:
                break
            self._act()
        if self._draw.random() < 0.5:
            # Nothing comes after this that could put right what goes wrong now.
            self._lose_and_grant()

    def _act(self) -> None:
        """Do one of the things that happen to containers and their tasks."""
        script, running = self._stage.script, self._running()
        if not running or not script._tasks:
            return
        name = self._draw.choice(running)
        task = self._draw.choice(script._tasks)
        what = self._draw.choice(
            ("hand over", "hand over", "lose", "spread", "end", "cut off", "forget")
        )
        self._world.note("script", f"{what} {name} {task}")
        if what == "hand over":
            script.hand_over(task, name, deadline_s=self._draw.choice((0.5, 5.0, 30.0)))
        elif what == "lose" and script.owner(task) is not None:
            script.lose(script.owner(task) or "", (task,))
        elif what == "spread":
            script.spread(*running)
        elif what == "end":
            self._end(self._live[name])
        elif what == "cut off":
            self._cut_off(name)
        elif what == "forget":
            # It is taken for dead, and is told nothing: it finds out by itself.
            self._live[name].forgotten = True
            script.gone(name)
            self._end_soon(self._live[name], 10.0)

    def _lose_and_grant(self) -> None:
        """Take tasks away and give them back at once: their old calls are still at it."""
        for task in self._stage.script._tasks:
            owner = self._stage.script.owner(task)
            if owner in self._running():
                self._world.note("script", f"lose and grant {owner} {task}")
                self._stage.script.lose(owner, (task,))
                lease_s = self._scenario.trouble.lease_s
                self._stage.script.grant(owner, (task,), valid_for_s=lease_s)

    def _cut_off(self, name: str) -> None:
        """Its network is gone, for ever; after a while somebody ends it."""
        incarnation = self._live[name]
        incarnation.cut_off = True
        for link in incarnation.links:
            link.sever()
        self._stage.script.gone(name)
        self._end_soon(incarnation, 5.0)

    def _end_soon(self, incarnation: Incarnation, within_s: float) -> None:
        """Somebody sees that a container is of no use any more, and ends it."""

        def end() -> None:
            if incarnation.running and incarnation.container is not None:
                self._world.abort(incarnation, incarnation.container.abort)

        asyncio.get_running_loop().call_later(self._draw.random() * within_s, end)

    def _running(self) -> list[str]:
        live = sorted(self._live.items())
        return [n for n, one in live if one.running and not (one.cut_off or one.forgotten)]
