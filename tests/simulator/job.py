"""The job that is simulated: its streams, and its handlers in the planned shapes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.job import Job
from samza_py.message import Message
from samza_py.policies import DeadLetter, ErrorPolicy, Fail, LastResort, Retry, Skip
from samza_py.store import Store
from samza_py.task import Limit, StreamTask
from tests.simulator.calls import Calls
from tests.simulator.handling import Handling
from tests.simulator.scenario import HandlerPlan, Policy
from tests.simulator.world import JOB, World


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
    if handling.plan.shape == "batch":
        return _batch_function(handling)

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

    shapes: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
        "async": (awaited, awaited_alone),
        "plain": (plain, plain_alone),
        "blocking": (plain, plain_alone),
        "yield": (yielding, yielding_alone),
    }
    return shapes[handling.plan.shape][0 if handling.plan.takes_context else 1]


def _batch_function(handling: Handling) -> Callable[..., Any]:
    async def batch(messages: Any, ctx: Any) -> Any:
        return await handling.batch(messages, ctx)

    async def batch_alone(messages: Any) -> Any:
        return await handling.batch(messages, None)

    return batch if handling.plan.takes_context else batch_alone


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
