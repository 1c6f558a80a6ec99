"""The job: what a job file declares. Building one opens nothing and runs nothing."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, Unpack, cast, overload

from samza_py.checkpoint import Checkpoints
from samza_py.coordination import Coordination
from samza_py.errors import ConfigError
from samza_py.message import Message, Record
from samza_py.operators import Flow, fused
from samza_py.options import JobOptions
from samza_py.policies import ErrorPolicy, Fail
from samza_py.serde import Serde, serde_for
from samza_py.specification import TaskSpec
from samza_py.store import Store
from samza_py.system import AnyStream, Input, Output, System
from samza_py.task import StreamTask, TaskContext
from samza_py.task_settings import TaskSettings, hint, refuse_bare, refuse_no_policy, task_spec

R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")
K1 = TypeVar("K1")
V1 = TypeVar("V1")
K2 = TypeVar("K2")
V2 = TypeVar("V2")
K3 = TypeVar("K3")
V3 = TypeVar("V3")
K4 = TypeVar("K4")
V4 = TypeVar("V4")
K5 = TypeVar("K5")
V5 = TypeVar("V5")
O = TypeVar("O")  # noqa: E741  (a result's type)
M = TypeVar("M")
S = TypeVar("S", bound="StreamTask[Any, Any, Any]")

Result: TypeAlias = O | Record[Any, O] | None
"""What a call may give: a value, a value with its key and headers, or nothing to send."""

Results: TypeAlias = (
    Result[O] | Awaitable[Result[O]] | Iterator[Result[O]] | AsyncIterator[Result[O]]
)
"""What a handler may return: a result, at once or awaited. Only ``yield`` gives several."""

Batch: TypeAlias = Sequence[Record[Any, O]] | None
BatchResults: TypeAlias = Batch[O] | Awaitable[Batch[O]]
"""What a batch handler may return: records, each with the ``source`` message it comes from."""


class TaskDecorator(Protocol[M, R, O]):
    """What ``@job.task(...)`` takes: a function of the message, or of message and context."""

    @overload
    def __call__(self, fn: Callable[[M], Results[O]], /) -> Callable[[M], Results[O]]: ...
    @overload
    def __call__(
        self, fn: Callable[[M, TaskContext[R]], Results[O]], /
    ) -> Callable[[M, TaskContext[R]], Results[O]]: ...


class BatchDecorator(Protocol[M, R, O]):
    """What ``@job.batch_task(...)`` takes: a function of messages, or of messages and context."""

    @overload
    def __call__(
        self, fn: Callable[[Sequence[M]], BatchResults[O]], /
    ) -> Callable[[Sequence[M]], BatchResults[O]]: ...
    @overload
    def __call__(
        self, fn: Callable[[Sequence[M], TaskContext[R]], BatchResults[O]], /
    ) -> Callable[[Sequence[M], TaskContext[R]], BatchResults[O]]: ...


class Job(Generic[R]):
    """A named set of tasks over declared streams.

    Args:
        name: stands in checkpoints; letters, digits, '-', '_' and '.'.
        lifespan: an async context manager function, entered once a container; what it yields is
            ``ctx.resources``.
        checkpoints: where checkpoints and changelogs are kept. Left out, the only system that
            can keep them does, else a local file whose path is printed at the start.
        coordinator: who runs which task; left out, this one process runs them all.
        on_error: the policy of tasks that name none.
        options: the numbers and choices of ``JobOptions``, by name; durations and sizes may be
            text, and ``commit_interval="1s"`` may be written for ``commit_interval_s``.

    Raises:
        ConfigError: the name or an option is wrong.
    """

    @overload
    def __init__(
        self: Job[None],
        name: str,
        *,
        lifespan: None = None,
        checkpoints: Checkpoints | None = None,
        coordinator: Coordination | None = None,
        on_error: ErrorPolicy | None = None,
        **options: Any,
    ) -> None: ...
    @overload
    def __init__(
        self,
        name: str,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[R]],
        checkpoints: Checkpoints | None = None,
        coordinator: Coordination | None = None,
        on_error: ErrorPolicy | None = None,
        **options: Any,
    ) -> None: ...
    def __init__(
        self,
        name: str,
        *,
        lifespan: Callable[[], AbstractAsyncContextManager[R]] | None = None,
        checkpoints: Checkpoints | None = None,
        coordinator: Coordination | None = None,
        on_error: ErrorPolicy | None = None,
        **options: Any,
    ) -> None:
        if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
            raise ConfigError("job name", "must be letters, digits, '-', '_' and '.'", name)
        refuse_no_policy("job.on_error", on_error)
        _refuse_other_types(lifespan, checkpoints, coordinator)
        self.name = name
        self.lifespan = lifespan
        self.checkpoints = checkpoints
        self.coordinator = coordinator
        self.on_error: ErrorPolicy = on_error if on_error is not None else Fail()
        self.options = _options(options)
        self.tasks: list[TaskSpec] = []
        self.stores: list[Store[Any, Any]] = []

    # One message at a time -------------------------------------------------------------------

    @overload
    def task(
        self, i1: Input[K1, V1], /, *, to: Output[Any, O], **settings: Unpack[TaskSettings]
    ) -> TaskDecorator[Message[K1, V1], R, O]: ...
    @overload
    def task(
        self, i1: Input[K1, V1], /, *, to: None = None, **settings: Unpack[TaskSettings]
    ) -> TaskDecorator[Message[K1, V1], R, None]: ...
    @overload
    def task(
        self,
        i1: Input[K1, V1],
        i2: Input[K2, V2],
        /,
        *,
        to: Output[Any, O],
        **settings: Unpack[TaskSettings],
    ) -> TaskDecorator[Message[K1, V1] | Message[K2, V2], R, O]: ...
    @overload
    def task(
        self,
        i1: Input[K1, V1],
        i2: Input[K2, V2],
        /,
        *,
        to: None = None,
        **settings: Unpack[TaskSettings],
    ) -> TaskDecorator[Message[K1, V1] | Message[K2, V2], R, None]: ...
    @overload
    def task(
        self,
        i1: Input[K1, V1],
        i2: Input[K2, V2],
        i3: Input[K3, V3],
        /,
        *,
        to: Output[Any, O] | None = None,
        **settings: Unpack[TaskSettings],
    ) -> TaskDecorator[Message[K1, V1] | Message[K2, V2] | Message[K3, V3], R, O]: ...
    @overload
    def task(
        self,
        i1: Input[K1, V1],
        i2: Input[K2, V2],
        i3: Input[K3, V3],
        i4: Input[K4, V4],
        /,
        *,
        to: Output[Any, O] | None = None,
        **settings: Unpack[TaskSettings],
    ) -> TaskDecorator[
        Message[K1, V1] | Message[K2, V2] | Message[K3, V3] | Message[K4, V4], R, O
    ]: ...
    @overload
    def task(
        self,
        i1: Input[K1, V1],
        i2: Input[K2, V2],
        i3: Input[K3, V3],
        i4: Input[K4, V4],
        i5: Input[K5, V5],
        /,
        *,
        to: Output[Any, O] | None = None,
        **settings: Unpack[TaskSettings],
    ) -> TaskDecorator[
        Message[K1, V1] | Message[K2, V2] | Message[K3, V3] | Message[K4, V4] | Message[K5, V5],
        R,
        O,
    ]: ...
    def task(
        self,
        *inputs: Input[Any, Any],
        to: Output[Any, Any] | None = None,
        **settings: Unpack[TaskSettings],
    ) -> Any:
        """Declare a handler that is called with one message at a time.

        The decorated function is given back unchanged. It may be ``async def`` or ``def``, with
        or without the context as its second parameter, and may ``yield`` several results.

        Args:
            inputs: one to five inputs; the message's type is the union of theirs.
            to: where results go.
            settings: see ``TaskSettings``.

        Raises:
            ConfigError: a setting is wrong, or the name is taken.
        """
        refuse_bare("job.task", inputs)

        def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
            self._add(task_spec("message", fn, inputs, to, settings))
            return fn

        return declare

    # Many messages at a time -----------------------------------------------------------------

    @overload
    def batch_task(
        self,
        i1: Input[K1, V1],
        /,
        *,
        to: Output[Any, O],
        batch_messages: int = 1000,
        **settings: Unpack[TaskSettings],
    ) -> BatchDecorator[Message[K1, V1], R, O]: ...
    @overload
    def batch_task(
        self,
        i1: Input[K1, V1],
        /,
        *,
        to: None = None,
        batch_messages: int = 1000,
        **settings: Unpack[TaskSettings],
    ) -> BatchDecorator[Message[K1, V1], R, None]: ...
    @overload
    def batch_task(
        self,
        i1: Input[K1, V1],
        i2: Input[K2, V2],
        /,
        *,
        to: Output[Any, O] | None = None,
        batch_messages: int = 1000,
        **settings: Unpack[TaskSettings],
    ) -> BatchDecorator[Message[K1, V1] | Message[K2, V2], R, O]: ...
    def batch_task(
        self,
        *inputs: Input[Any, Any],
        to: Output[Any, Any] | None = None,
        batch_messages: int = 1000,
        **settings: Unpack[TaskSettings],
    ) -> Any:
        """Declare a handler that is called with a sequence of messages.

        What is there when the task is free makes a batch, up to ``batch_messages``; it never
        waits to fill one. Results are ``Record(value, source=message)``. ``BatchFailed`` names
        the messages that failed; any other error runs the messages one by one.

        Raises:
            ConfigError: a setting is wrong, or the name is taken.
        """
        refuse_bare("job.batch_task", inputs)

        def declare(fn: Callable[..., Any]) -> Callable[..., Any]:
            spec = task_spec("batch", fn, inputs, to, settings, batch_messages=batch_messages)
            self._add(spec)
            return fn

        return declare

    # Classes, flows, stores ------------------------------------------------------------------

    def add(
        self,
        make: Callable[[], StreamTask[K, V, R]],
        *inputs: Input[K, V],
        to: Output[Any, Any] | None = None,
        **settings: Unpack[TaskSettings],
    ) -> None:
        """Declare a ``StreamTask`` class (or a function that makes one); one object a task.

        Raises:
            ConfigError: a setting is wrong, or the name is taken.
        """
        self._add(task_spec("object", make, inputs, to, settings))

    def input(self, source: Input[K, V], **settings: Unpack[TaskSettings]) -> Flow[K, V]:
        """Begin a flow: ``job.input(orders).map(fn).to(priced)``; it becomes a task at ``to``."""
        return Flow(self, source, settings.pop("name", None), settings)

    def add_flow(self, flow: Flow[Any, Any], to: Output[Any, Any]) -> None:
        """Add a finished flow as a task; called by ``Flow.to``."""
        name = flow.name or f"{flow.source.name}-to-{to.name}".replace(".", "-")
        settings = cast("TaskSettings", {**flow.settings, "name": name})
        self._add(task_spec("message", fused(flow.steps), (flow.source,), to, settings))

    def store(
        self, name: str, *, key: type[K] | Serde[K], value: type[V] | Serde[V], shared: bool = False
    ) -> Store[K, V]:
        """Declare a store; hand it to the tasks that use it with ``stores=[...]``.

        Raises:
            ConfigError: the name is taken or no identifier.
        """
        if any(store.name == name for store in self.stores):
            raise ConfigError(f"store {name}", "is declared twice; names are unique in a job")
        declared = Store(name, serde_for(key), serde_for(value), shared=shared)
        self.stores.append(declared)
        return declared

    # Reading the declaration -----------------------------------------------------------------

    @property
    def streams(self) -> dict[str, AnyStream]:
        """Every stream the job names, by ``system.stream``: inputs, outputs, dead letters."""
        found: dict[str, AnyStream] = {}
        for spec in self.tasks:
            named: list[AnyStream] = [
                *spec.inputs,
                *spec.outputs,
                *spec.dead_letters(self.on_error),
            ]
            for stream in named:
                found.setdefault(str(stream), stream)
        return found

    @property
    def systems(self) -> dict[str, System]:
        """The systems of those streams, by name."""
        return {stream.system.name: stream.system for stream in self.streams.values()}

    # Running ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the job as ``samza-py run`` does, with the command line's flags; then exit.

        For ``if __name__ == "__main__": job.run()``. Ends the process with the documented codes.
        """
        from samza_py.loading import run_from_main

        run_from_main(self)

    async def arun(self) -> None:
        """Run the job in the running loop, for notebooks; returns when it has ended.

        Raises:
            ConfigError: the job cannot run as declared.
            SamzaError: it failed.
        """
        from samza_py.loading import run_in_loop

        await run_in_loop(self)

    def _add(self, spec: TaskSpec) -> None:
        if any(task.name == spec.name for task in self.tasks):
            why = "is declared twice; give one of them another name=, since checkpoints use it"
            raise ConfigError(f"task {spec.name}", why)
        self.tasks.append(spec)

    def __repr__(self) -> str:
        return f"<Job {self.name}: {', '.join(task.name for task in self.tasks)}>"


def _refuse_other_types(lifespan: object, checkpoints: object, coordinator: object) -> None:
    """Say what a job takes where something else was given: nothing else would before a run."""
    if checkpoints is not None and not isinstance(checkpoints, Checkpoints):
        why = "takes checkpoints, such as LocalCheckpoints(path) of samza_py.connectors.local"
        raise ConfigError("job.checkpoints", why, checkpoints)
    if coordinator is not None and not isinstance(coordinator, Coordination):
        raise ConfigError("job.coordinator", "takes a Coordination", coordinator)
    if lifespan is None:
        return
    if not callable(lifespan):
        raise ConfigError("job.lifespan", "takes the function itself; it is called later", lifespan)
    # What contextlib makes of a generator function leaves the function itself below it.
    below = inspect.unwrap(lifespan)
    if inspect.isasyncgenfunction(lifespan) or inspect.isgeneratorfunction(below):
        why = "takes an async context manager: an `async def` with @asynccontextmanager above it"
        raise ConfigError("job.lifespan", why, getattr(below, "__name__", below))


def _options(given: dict[str, Any]) -> JobOptions:
    known = set(JobOptions.__dataclass_fields__)
    named: dict[str, Any] = {}
    for key, value in given.items():
        name = key if key in known else f"{key}_s"
        if name not in known:
            raise ConfigError(f"job.{key}", f"is not an option; {hint(key, known)}")
        named[name] = value
    return JobOptions(**named)
