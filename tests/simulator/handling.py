"""The job that is simulated: its handlers do what the fates of their messages say.

Whatever they send or keep says which input message it comes from, so that the ledger can work out
from the input alone what must be there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import Any

from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.job import Job
from samza_py.message import Message, Record
from samza_py.policies import DeadLetter, ErrorPolicy, Fail, LastResort, Retry, Skip
from samza_py.store import Store
from samza_py.task import BatchFailed, Limit, StreamTask
from tests.simulator.calls import Calls
from tests.simulator.scenario import HandlerPlan, Policy
from tests.simulator.world import JOB, World

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
        for value in sends(plan, source):
            ctx.send(self.b, value, key=message.key)
        if sets_timer(plan, source):
            ctx.set_timer(source_text(source), after=self._world.pace.random() * 2.0)
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


class Streams:
    """The streams of the job, declared at its base systems, and the job itself."""

    def __init__(self, world: World, calls: Calls, main: Memory, side: Memory | None) -> None:
        scenario = world.scenario
        self.input: MemoryStream[str, str] = main.stream(
            "in", key=str, value=str, partitions=scenario.partitions
        )
        self.outputs: dict[str, MemoryStream[str, Any]] = {}
        for name in "ABD":
            home = side if side is not None and name in scenario.on_side else main
            types: dict[str, Any] = {} if name == "D" else {"key": str, "value": str}
            self.outputs[name] = home.stream(name, partitions=scenario.out_partitions, **types)
        self.job: Job[None] = Job(JOB, **scenario.options)
        self.handlings: dict[str, Handling] = {}
        for plan in scenario.handlers:
            store = self.job.store(
                f"store_{plan.name}", key=str, value=list[str], shared=plan.store == "shared"
            )
            handling = Handling(world, calls, plan, self.outputs["B"], store)
            self.handlings[plan.name] = handling
            self._add(plan, handling, store)

    def _add(self, plan: HandlerPlan, handling: Handling, store: Store[Any, Any]) -> None:
        settings: dict[str, Any] = {
            "name": plan.name,
            "outputs": [self.outputs["B"]] if plan.sends or plan.timers else [],
            "order": plan.order,
            "max_concurrency": Limit(plan.concurrency) if plan.limited else plan.concurrency,
            "timeout": plan.timeout_s,
            "on_error": _policy(plan.policy, self.outputs["D"]),
            "blocking": plan.shape == "blocking",
            "stores": [] if plan.store == "none" else [store],
            "grouping": plan.grouping,
            "to": self.outputs["A"],
        }
        job: Any = self.job
        if plan.shape == "object":
            job.add(_class(handling), self.input, **settings)
        elif plan.shape == "batch":
            settings["batch_messages"] = plan.batch_messages
            job.batch_task(self.input, **settings)(_function(handling))
        else:
            job.task(self.input, **settings)(_function(handling))


def _policy(policy: Policy, dead: Any) -> ErrorPolicy:
    last: dict[str, LastResort] = {"fail": Fail(), "skip": Skip(), "dead": DeadLetter(dead)}
    then = last[policy.last]
    return then if policy.attempts == 1 else Retry(policy.attempts, backoff="50ms", then=then)


def _function(handling: Handling) -> Callable[..., Any]:
    """The handler as a function of the planned style, with or without a context."""
    takes_context = handling.plan.takes_context

    async def awaited(message: Any, ctx: Any) -> Any:
        values = await handling.awaited(handling.steps(message, ctx))
        return values[0] if values else None

    def plain(message: Any, ctx: Any) -> Any:
        values = handling.at_once(handling.steps(message, ctx))
        return values[0] if values else None

    async def yielding(message: Any, ctx: Any) -> AsyncIterator[str]:
        for value in await handling.awaited(handling.steps(message, ctx)):
            yield value
            await asyncio.sleep(0)

    async def awaited_alone(message: Any) -> Any:
        return await awaited(message, None)

    def plain_alone(message: Any) -> Any:
        return plain(message, None)

    async def yielding_alone(message: Any) -> AsyncIterator[str]:
        for value in await handling.awaited(handling.steps(message, None)):
            yield value

    async def batch(messages: Any, ctx: Any) -> Any:
        return await handling.batch(messages, ctx)

    async def batch_alone(messages: Any) -> Any:
        return await handling.batch(messages, None)

    shapes: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "async": (awaited, awaited_alone),
        "plain": (plain, plain_alone),
        "blocking": (plain, plain_alone),
        "yield": (yielding, yielding_alone),
        "batch": (batch, batch_alone),
    }
    return shapes[handling.plan.shape][0 if takes_context else 1]


def _class(handling: Handling) -> type[StreamTask[Any, Any, Any]]:
    class Simulated(StreamTask[Any, Any, Any]):
        async def process(self, message: Message[Any, Any], ctx: Any) -> Any:
            values = await handling.awaited(handling.steps(message, ctx))
            return values[0] if values else None

    if not handling.plan.timers:
        return Simulated

    class WithTimers(Simulated):
        async def on_timer(self, name: str, ctx: Any) -> None:
            await asyncio.sleep(0)
            handling.on_timer(name, ctx)

        async def on_end(self, ctx: Any) -> None:
            handling.on_end(ctx)

    return WithTimers
