"""What the simulated handlers do: whatever the fates of their messages say.

Whatever they send or keep says which input message it comes from, so that the ledger can work out
from the input alone what must be there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from typing import Any

from samza_py.message import Message, Record
from samza_py.store import Store
from samza_py.task import BatchFailed
from tests.simulator.calls import Calls
from tests.simulator.scenario import HandlerPlan
from tests.simulator.world import World

Source = tuple[str, int]
"""An input message: its partition and its offset."""

Steps = Generator[float, None, list[str]]


class HandlerFailure(Exception):
    """Raised by a handler whose message is to fail."""


def source_text(source: Source) -> str:
    """How records name the message they come from."""
    return f"{source[0]}/{source[1]}"


def source_of(value: bytes | None) -> Source | None:
    """The message that a record comes from; None for those of no message."""
    parts = (value or b"").decode(errors="replace").split("|")
    if len(parts) != 3 or "/" not in parts[1]:
        return None
    partition, offset = parts[1].split("/")
    return partition, int(offset)


def results(plan: HandlerPlan, source: Source) -> list[str]:
    """What a handler returns for a message: records for output A."""
    offset = source[1]
    count = offset % 3 if plan.shape in ("yield", "batch") else int(offset % 7 != 3)
    return [f"{plan.name}|{source_text(source)}|A{at}" for at in range(count)]


def sends(plan: HandlerPlan, source: Source) -> list[str]:
    """What a handler sends for a message: records for output B."""
    count = (source[1] + 1) % 3 if plan.sends else 0
    return [f"{plan.name}|{source_text(source)}|B{at}" for at in range(count)]


def sets_timer(plan: HandlerPlan, source: Source) -> bool:
    """Whether a handler sets a timer for a message."""
    return plan.timers and source[1] % 4 == 1


def entry_of(plan: HandlerPlan, source: Source, key: str | None) -> str | None:
    """The entry of the store that a handler adds a message to; None for none."""
    if plan.store == "none" or (plan.store == "own" and key is None):
        return None
    return key if plan.store == "own" else f"s{source[1] % 2}"


def timers_keep_state(plan: HandlerPlan) -> bool:
    """Whether timers write to the store: a store bound to a message's key does not let them."""
    return plan.store == "shared" or (plan.store == "own" and plan.concurrency == 1)


class Handling:
    """One handler.

    Args:
        world: the simulation.
        calls: who is called now.
        plan: what the handler is like.
        b: output B.
        store: its store.
    """

    def __init__(
        self, world: World, calls: Calls, plan: HandlerPlan, b: Any, store: Store[str, list[str]]
    ) -> None:
        self.plan = plan
        self.b = b
        self.store = store
        self._world = world
        self._calls = calls

    async def awaited(self, steps: Steps) -> list[str]:
        """Go through a call, waiting where it wants to."""
        while True:
            try:
                wait = next(steps)
            except StopIteration as end:
                values: list[str] = end.value
                return values
            try:
                await asyncio.sleep(wait)
            except BaseException:
                steps.close()
                raise

    def at_once(self, steps: Steps) -> list[str]:
        """Go through a call without waiting."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                values: list[str] = end.value
                return values

    def steps(self, message: Message[Any, Any], ctx: Any) -> Steps:
        """One call for one message: what it sends, keeps, returns or raises."""
        source = (message.partition.id, int(message.offset))
        attempt = 0 if ctx is None else ctx.attempt
        with self._calls.running(self.plan, [(source, message.key)], attempt):
            yield from self._pause()
            return (yield from self._work(message, source, ctx))

    def _work(self, message: Message[Any, Any], source: Source, ctx: Any) -> Steps:
        plan = self.plan
        fate = self._calls.fate(source)
        failing = self._calls.fails(plan, source, ctx)
        if failing and fate.early:
            raise HandlerFailure(source_text(source))
        if fate.kind == "slow" and plan.timeout_s is None:
            yield self._world.pace.choice((0.3, 3.0))
        yield from self._keep(plan, source, message.key, ctx)
        origin = message if plan.shape == "batch" else None
        for value in sends(plan, source):
            ctx.send(self.b, value, key=message.key, source=origin)
        if sets_timer(plan, source):
            ctx.set_timer(source_text(source), after=self._world.pace.random() * 2.0)
        if fate.kind == "stops" and ctx is not None and self._calls.stops(source):
            ctx.request_stop()
        yield from self._pause()
        if fate.kind == "late" and plan.timeout_s is not None and ctx and ctx.attempt == 1:
            yield plan.timeout_s * 4
        if failing:
            raise HandlerFailure(source_text(source))
        if ctx is not None and self._world.pace.random() < 0.05:
            ctx.request_commit()
        return results(plan, source)

    def _keep(self, plan: HandlerPlan, source: Source, key: str | None, ctx: Any) -> Steps:
        entry = entry_of(plan, source, key)
        if entry is not None:
            view = ctx.store(self.store)
            before = view.get(entry, [])
            yield from self._pause()
            view.put(entry, [*before, source_text(source)])
        return []

    def _pause(self) -> Generator[float, None, None]:
        pace = self._world.pace.random()
        if pace < 0.3:
            yield 0.0 if pace < 0.15 else pace * 0.1

    async def batch(
        self, messages: Sequence[Message[Any, Any]], ctx: Any
    ) -> list[Record[Any, str]]:
        """A call for many messages."""
        records: list[Record[Any, str]] = []
        errors: dict[int, Exception] = {}
        for index, message in enumerate(messages):
            try:
                values = await self.awaited(self.steps(message, ctx))
            except HandlerFailure as error:
                if not self.plan.names_failed:
                    raise
                errors[index] = error
            else:
                records += [Record(value, source=message) for value in values]
        if errors:
            raise BatchFailed(errors)
        return records

    def on_timer(self, name: str, ctx: Any) -> None:
        """A timer is due."""
        with self._calls.alone(self.plan, ctx.task):
            if timers_keep_state(self.plan):
                view = ctx.store(self.store)
                view.put("timers", [*view.get("timers", []), name])
            ctx.send(self.b, f"{self.plan.name}|{name}|T")

    def on_end(self, ctx: Any) -> None:
        """All inputs have been read to their ends."""
        ctx.send(self.b, f"{self.plan.name}|{ctx.task}|E")
