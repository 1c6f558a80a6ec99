"""What the declaration of a task is made into: its object, its caller, its runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from samza_py.errors import TaskFailedError
from samza_py.runtime.batch_runner import BatchCaller, BatchRunner
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.calling import Caller
from samza_py.runtime.concurrent_runner import ConcurrentRunner
from samza_py.runtime.failures import Failures
from samza_py.runtime.processing import Processor
from samza_py.runtime.runner import Runner
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.serial_runner import SerialRunner
from samza_py.runtime.services import Services
from samza_py.task import StreamTask


@dataclass(frozen=True, slots=True)
class Made:
    """A task that can be run.

    Attributes:
        runner: takes its messages.
        caller: calls its handler.
        task: its object, where it is a class.
    """

    runner: Runner
    caller: Caller
    task: StreamTask[Any, Any, Any] | None


def made_runner(
    scope: TaskScope,
    buffers: Sequence[PartitionBuffer],
    failures: Failures,
    has_room: Callable[[PartitionBuffer], None],
    services: Services,
) -> Made:
    """Make a task's object and the runner of its kind.

    Args:
        scope: of the task.
        buffers: of its partitions, in their fixed order.
        failures: carries its policies out.
        has_room: called with a buffer after messages were taken from it.
        services: of the container.

    Raises:
        TaskFailedError: its class cannot be made.
    """
    spec = scope.spec
    task = _made_task(scope) if spec.kind == "object" else None
    handler = spec.handler if task is None else task.process
    kind = BatchCaller if spec.kind == "batch" else Caller
    caller = kind(scope, handler, services.threads, services.limit(spec.limit))
    processor = Processor(scope, caller, failures)
    runner: type[Runner] = SerialRunner
    if spec.kind == "batch":
        runner = BatchRunner
    elif spec.max_concurrency > 1:
        runner = ConcurrentRunner
    runs = services.resolved.options.max_done_runs
    return Made(runner(scope, processor, caller, buffers, has_room, task, runs), caller, task)


def _made_task(scope: TaskScope) -> StreamTask[Any, Any, Any]:
    """The task's object; what its class raises is the user's own."""
    make: Any = scope.spec.handler
    try:
        made: StreamTask[Any, Any, Any] = make()
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise TaskFailedError(scope.name, "the making of its object", 1, cause) from error
    return made
