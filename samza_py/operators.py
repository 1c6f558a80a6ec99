"""The fluent form: ``job.input(orders).filter(...).map(...).key_by(...).to(priced)``.

A flow compiles to one handler, its steps fused into nested closures: a message takes no queue and
no loop between two steps. It ends in an ordinary task, so that both forms mix in one job.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, overload

from samza_py.message import Message, Record
from samza_py.system import Output

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")

Pairs: TypeAlias = Sequence[tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One operator of a flow: what it does and the user's function for it."""

    does: Literal["map", "filter", "flat_map", "key_by"]
    fn: Callable[[Any], Any]

    @property
    def awaits(self) -> bool:
        """Whether the function must be awaited."""
        return any(map(inspect.iscoroutinefunction, (self.fn, type(self.fn).__call__)))


class AddsFlow(Protocol):
    """What a flow needs of its job: to be made a task at ``to``."""

    def add_flow(self, flow: Flow[Any, Any], to: Output[Any, Any]) -> None:
        """Add the finished flow as a task."""


@dataclass(frozen=True, slots=True)
class Flow(Generic[K, V]):
    """A chain of operators over one input; every method gives a longer chain. Ends with ``to``.

    Attributes:
        job: where ``to`` adds the task.
        source: the input it reads.
        name: of the task; by default made of the names of input and output.
        settings: the task's other keyword arguments, as ``job.task`` takes them.
        steps: the operators so far.
    """

    job: AddsFlow
    source: Any
    name: str | None
    settings: Any
    steps: tuple[Step, ...] = ()

    @overload
    def map(self, fn: Callable[[V], Awaitable[V2]]) -> Flow[K, V2]: ...
    @overload
    def map(self, fn: Callable[[V], V2]) -> Flow[K, V2]: ...
    def map(self, fn: Callable[[V], Any]) -> Flow[K, Any]:
        """Turn each value into another; the function may be ``async def``."""
        return self._then(Step("map", fn))

    def filter(self, fn: Callable[[V], bool | Awaitable[bool]]) -> Flow[K, V]:
        """Keep the values for which the function is true."""
        return self._then(Step("filter", fn))

    @overload
    def flat_map(self, fn: Callable[[V], Awaitable[Iterable[V2]]]) -> Flow[K, V2]: ...
    @overload
    def flat_map(self, fn: Callable[[V], Iterable[V2]]) -> Flow[K, V2]: ...
    def flat_map(self, fn: Callable[[V], Any]) -> Flow[K, Any]:
        """Turn each value into none, one or several; the key stays."""
        return self._then(Step("flat_map", fn))

    @overload
    def key_by(self, fn: Callable[[V], Awaitable[K2]]) -> Flow[K2, V]: ...
    @overload
    def key_by(self, fn: Callable[[V], K2]) -> Flow[K2, V]: ...
    def key_by(self, fn: Callable[[V], Any]) -> Flow[Any, V]:
        """Give what follows another key, computed from the value.

        The message goes to the partition of that key at the output; it stays in the same task
        until then.
        """
        return self._then(Step("key_by", fn))

    def to(self, output: Output[K, V]) -> None:
        """Send what comes out to an output, and add the flow to the job as a task."""
        self.job.add_flow(self, output)

    def _then(self, step: Step) -> Flow[Any, Any]:
        return replace(self, steps=(*self.steps, step))


def fused(steps: Sequence[Step]) -> Callable[[Message[Any, Any]], Any]:
    """One handler that runs all steps for a message and yields its results as records."""
    if any(step.awaits for step in steps):
        return _fused_async(steps)
    chain = fast = _chained(steps)
    unseen = set(range(len(steps)))

    def looked_at(number: int, step: Step) -> Step:
        def fn(value: Any) -> Any:
            nonlocal chain
            result = step.fn(value)
            if inspect.isawaitable(result):
                raise _not_awaited(number, step, result)
            unseen.discard(number)
            if not unseen:
                chain = fast
            return result

        return Step(step.does, fn)

    # Each step's first result alone is looked at: a look at all of them would cost every message.
    chain = _chained([looked_at(number, step) for number, step in enumerate(steps)])

    def run(message: Message[Any, Any]) -> Iterator[Record[Any, Any]]:
        for key, value in chain(message.key, message.value):
            yield Record(value, key=key)

    return run


def _not_awaited(number: int, step: Step, result: Any) -> TypeError:
    if inspect.iscoroutine(result):
        result.close()
    name = getattr(step.fn, "__qualname__", repr(step.fn))
    return TypeError(
        f"step {number + 1} of the flow, {step.does}({name}), returned an awaitable "
        f"({type(result).__name__}), and only the result of an `async def` is awaited: make the "
        "function one, with `await` in it"
    )


def _chained(steps: Sequence[Step]) -> Callable[[Any, Any], Pairs]:
    chain: Callable[[Any, Any], Pairs] = _emit
    for step in reversed(steps):
        chain = _linked(step, chain)
    return chain


def _emit(key: Any, value: Any) -> Pairs:
    return ((key, value),)


def _linked(step: Step, then: Callable[[Any, Any], Pairs]) -> Callable[[Any, Any], Pairs]:
    fn = step.fn
    if step.does == "map":
        return lambda key, value: then(key, fn(value))
    if step.does == "filter":
        return lambda key, value: then(key, value) if fn(value) else ()
    if step.does == "key_by":
        return lambda key, value: then(fn(value), value)
    return lambda key, value: [pair for item in fn(value) for pair in then(key, item)]


def _fused_async(steps: Sequence[Step]) -> Callable[[Message[Any, Any]], Any]:
    async def emit(key: Any, value: Any) -> Pairs:
        return ((key, value),)

    chain: Callable[[Any, Any], Awaitable[Pairs]] = emit
    for step in reversed(steps):
        chain = _linked_async(step, chain)

    async def run(message: Message[Any, Any]) -> AsyncIterator[Record[Any, Any]]:
        for key, value in await chain(message.key, message.value):
            yield Record(value, key=key)

    return run


def _linked_async(
    step: Step, then: Callable[[Any, Any], Awaitable[Pairs]]
) -> Callable[[Any, Any], Awaitable[Pairs]]:
    fn = step.fn

    async def result(value: Any) -> Any:
        given = fn(value)
        return await given if inspect.isawaitable(given) else given

    async def link(key: Any, value: Any) -> Pairs:
        got = await result(value)
        if step.does == "map":
            return await then(key, got)
        if step.does == "filter":
            return await then(key, value) if got else ()
        if step.does == "key_by":
            return await then(got, value)
        return [pair for item in got for pair in await then(key, item)]

    return link
