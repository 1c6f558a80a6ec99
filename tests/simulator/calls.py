"""Who calls which handler now, and whether it may: order, concurrency, ownership, parents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.simulator.scenario import Fate, Given, HandlerPlan
from tests.simulator.world import Incarnation, World

#: A container hears of a fence in the middle of a commit; ending its calls takes a few turns.
GRACE_S = 0.5

Place = tuple[str, int]
_Busy = tuple[str, str | None]


class Calls:
    """The calls of all handlers in all containers.

    Args:
        world: the simulation.
        given: what was put into the input, by partition and offset.

    Attributes:
        fenced: when a claim was refused as too old, by task and epoch.
        ended: handlers and partitions that a checkpoint says are read to their end.
    """

    def __init__(self, world: World, given: dict[Place, Given]) -> None:
        self.fenced: dict[tuple[str, int], float] = {}
        self.ended: set[tuple[str, str]] = set()
        self.made = 0
        self._world = world
        self._given = given
        self._active: dict[tuple[int, str], list[_Busy]] = {}
        self._failed: Counter[tuple[str, Place]] = Counter()
        self._stops: Counter[Place] = Counter()

    def fate(self, source: Place) -> Fate:
        """What is to happen to a message."""
        return self._given[source].fate

    def fails(self, plan: HandlerPlan, source: Place, ctx: Any) -> bool:
        """Whether this call is to fail."""
        fate = self.fate(source)
        if fate.kind == "poison":
            return True
        if fate.kind == "flaky":
            return ctx is not None and ctx.attempt <= fate.count
        if fate.kind == "transient" and self._failed[plan.name, source] < fate.count:
            self._failed[plan.name, source] += 1
            return True
        return False

    def stops(self, source: Place) -> bool:
        """Whether a handler is to ask its container to stop: for a message once or twice."""
        here = self._world.here()
        self._stops[source] += 1
        if here is None or self._stops[source] > self.fate(source).count:
            return False
        self._world.note(here, "is asked to stop by a handler")
        here.stopped = True
        return True

    @contextmanager
    def running(
        self, plan: HandlerPlan, messages: Sequence[tuple[Place, str | None]], attempt: int
    ) -> Generator[None]:
        """A call runs for so long; whether it may is looked at when it begins."""
        here = self._world.here()
        assert here is not None, "handlers are called in containers"
        (source, key), *_ = messages
        task = task_of(plan, source[0])
        self._world.note(here, f"{task} calls {source[0]}/{source[1]} #{attempt}")
        self.made += 1
        active = self._active.setdefault((here.number, task), [])
        if not here.dead:
            self._look(plan, here, source, key, active)
        busy = (source[0], key)
        active.append(busy)
        try:
            yield
        finally:
            active.remove(busy)

    @contextmanager
    def alone(self, plan: HandlerPlan, task: str) -> Generator[None]:
        """A timer is called for so long."""
        here = self._world.here()
        assert here is not None, "timers are called in containers"
        if not here.dead:
            self._world.note(here, f"{task} timer")
            self._owned(here, task)
            if self._active.get((here.number, task)):
                self._world.violated(f"{task} is called for a timer and a message at once")
        yield

    def _look(
        self,
        plan: HandlerPlan,
        here: Incarnation,
        source: Place,
        key: str | None,
        active: list[_Busy],
    ) -> None:
        say, task = self._world.violated, task_of(plan, source[0])
        same = [busy for busy in active if busy[0] == source[0]]
        if len(active) >= plan.concurrency:
            say(f"{task} has more than {plan.concurrency} calls at once")
        if plan.order == "partition" and same:
            say(f"{task} overlaps calls of partition {source[0]}")
        if plan.order == "key" and key is not None and any(busy[1] == key for busy in same):
            say(f"{task} overlaps calls of key {key}")
        child = bool(self._world.scenario.splits) and source[0] in ("0a", "0b")
        if child and (plan.name, "0") not in self.ended:
            say(f"{task} began {source[0]} before the end of its parent was in a checkpoint")
        self._owned(here, task)

    def _owned(self, here: Incarnation, task: str) -> None:
        if self._world.over(here):
            self._world.violated(f"{here} goes on with {task}, although it was aborted")
        epoch, now = here.claims.get(task, 0), self._world.now
        fenced = self.fenced.get((task, epoch))
        if fenced is not None and now > fenced + GRACE_S:
            self._world.violated(f"{here} goes on with {task}, although epoch {epoch} was fenced")
        lost = here.told_lost.get((task, epoch))
        if lost is not None and now > lost:
            self._world.violated(f"{here} goes on with {task}, although it was told at {lost:g}")
        until = here.valid_until.get(task)
        if until is not None and now > until:
            self._world.violated(f"{here} goes on with {task}, which was granted until {until:g}")


def task_of(plan: HandlerPlan, partition: str) -> str:
    """The task that a partition belongs to."""
    return f"{plan.name}/{'all' if plan.grouping == 'all' else partition}"
