"""The keyword arguments that tasks take, and the declaration that is made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypedDict, cast, get_args

from samza_py.errors import ConfigError
from samza_py.nearest import nearest
from samza_py.policies import ErrorPolicy
from samza_py.specification import Grouping, Kind, Order, ReadBy, TaskSpec
from samza_py.store import Store
from samza_py.system import Input, Output
from samza_py.task import Limit
from samza_py.values import Duration, seconds


class TaskSettings(TypedDict, total=False):
    """The keyword arguments that every kind of task takes.

    name: the handler's name in checkpoints and logs; by default that of the function.
    outputs: outputs for ``ctx.send`` besides ``to``.
    order: ``"key"`` (default), ``"partition"`` or ``"none"``: what calls never overlap over.
    max_concurrency: calls at once in one task; a ``Limit`` is shared with other tasks.
    timeout: of one call.
    on_error: the policy, or one for each input.
    blocking: a plain ``def`` that blocks runs in a bounded pool of threads.
    stores: the stores that the handler uses.
    grouping: ``"partition_id"`` (default), ``"partition"``, ``"all"``: who shares a task.
    priority: inputs with a higher number are read first.
    bootstrap: inputs that are read to their head, once, before any other is touched.
    read_by: ``"arrival"`` (default, partitions in turn) or ``"event_time"`` (the oldest first).
    event_time_wait: how long an empty partition is waited for under ``"event_time"``.
    """

    name: str
    outputs: Sequence[Output[Any, Any]]
    order: Order
    max_concurrency: int | Limit
    timeout: Duration | None
    on_error: ErrorPolicy | Mapping[Input[Any, Any], ErrorPolicy] | None
    blocking: bool
    stores: Sequence[Store[Any, Any]]
    grouping: Grouping
    priority: Mapping[Input[Any, Any], int]
    bootstrap: Sequence[Input[Any, Any]]
    read_by: ReadBy
    event_time_wait: Duration


def task_spec(
    kind: Kind,
    handler: Callable[..., Any],
    inputs: Sequence[Input[Any, Any]],
    to: Output[Any, Any] | None,
    settings: TaskSettings,
    batch_messages: int = 1000,
) -> TaskSpec:
    """The declaration of a task from what the user wrote; called by ``Job``.

    Raises:
        ConfigError: a setting is unknown, of the wrong type, or has a value that cannot be.
    """
    name: str = settings.get("name") or str(getattr(handler, "__name__", type(handler).__name__))
    _refuse_unknown(f"task {name}", settings)
    _refuse_other_types(f"task {name}", inputs, to, settings)
    _refuse_other_values(f"task {name}", settings, batch_messages)
    concurrency = settings.get("max_concurrency", 1)
    limit = concurrency if isinstance(concurrency, Limit) else None
    calls = concurrency.calls if isinstance(concurrency, Limit) else concurrency
    timeout = settings.get("timeout")
    on_error = settings.get("on_error")
    by_input = {str(i): p for i, p in on_error.items()} if isinstance(on_error, Mapping) else {}
    outputs = list(settings.get("outputs", ()))
    if to is not None and to not in outputs:
        outputs.insert(0, to)
    return TaskSpec(
        name=name,
        kind=kind,
        handler=handler,
        inputs=tuple(inputs),
        to=to,
        outputs=tuple(outputs),
        order=settings.get("order", "key"),
        max_concurrency=calls,
        limit=limit,
        timeout_s=None if timeout is None else seconds(timeout, f"task {name}.timeout"),
        on_error=None if isinstance(on_error, Mapping) else on_error,
        input_policies=by_input,
        blocking=settings.get("blocking", False),
        stores=tuple(settings.get("stores", ())),
        grouping=settings.get("grouping", "partition_id"),
        bootstrap=tuple(str(i) for i in settings.get("bootstrap", ())),
        read_by=settings.get("read_by", "arrival"),
        event_time_wait_s=seconds(
            settings.get("event_time_wait", "100ms"), f"task {name}.event_time_wait"
        ),
        priorities={str(i): p for i, p in settings.get("priority", {}).items()},
        batch_messages=batch_messages,
    )


def refuse_bare(decorator: str, inputs: Sequence[object]) -> None:
    """Say what a decorator lacks that was put above a function without its inputs.

    It would give back a function that is never called, and the job would have no task.
    """
    if len(inputs) == 1 and inspect.isroutine(fn := inputs[0]):
        right = f"@{decorator}(orders, to=priced)"
        why = f"stands above {fn.__name__} without its inputs; write {right}"
        raise ConfigError(f"@{decorator}", why)


def hint(wrong: str, known: Collection[str]) -> str:
    """The known name that was probably meant, or all of them; units may be left out.

    Args:
        wrong: what was written.
        known: the names there are.
    """
    spoken = [*known, *(name.removesuffix("_s") for name in known)]
    close = nearest(wrong, spoken)
    return f"did you mean {close}?" if close else f"there are: {', '.join(sorted(known))}"


def _refuse_unknown(key: str, settings: TaskSettings) -> None:
    known = TaskSettings.__annotations__
    for setting in settings:
        if setting not in known:
            why = f"is not a setting of a task; {hint(setting, known)}"
            raise ConfigError(f"{key}.{setting}", why)


def _refuse_other_types(
    key: str,
    inputs: Sequence[Input[Any, Any]],
    to: Output[Any, Any] | None,
    settings: TaskSettings,
) -> None:
    """Say where a name stands instead of the declared thing, before anything relies on it."""
    on_error: object = settings.get("on_error")
    several = isinstance(on_error, Mapping)
    by_input: Mapping[object, object] = cast("Any", on_error) if several else {}
    streams: dict[str, object] = {
        "inputs": inputs,
        "to": () if to is None else (to,),
        "outputs": settings.get("outputs", ()),
        "priority": settings.get("priority", {}),
        "bootstrap": settings.get("bootstrap", ()),
        "on_error": by_input,
    }
    for name, given in streams.items():
        for one in _several(f"{key}.{name}", given):
            if not isinstance(one, Input | Output):
                why = "takes the stream object that was declared, such as files.jsonl(...)"
                raise ConfigError(f"{key}.{name}", why, one)
    for one in _several(f"{key}.stores", settings.get("stores", ())):
        if not isinstance(one, Store):
            raise ConfigError(f"{key}.stores", "takes stores that job.store(...) has made", one)
    for policy in by_input.values() if several else (on_error,):
        refuse_no_policy(f"{key}.on_error", policy)


def _several(key: str, given: object) -> Iterable[object]:
    if not isinstance(given, Iterable):
        raise ConfigError(key, "takes several: put it in brackets", given)
    return cast("Iterable[object]", given)


def _refuse_other_values(key: str, settings: TaskSettings, batch_messages: object) -> None:
    """The same for what is a number, or one of two."""
    concurrency: object = settings.get("max_concurrency", 1)
    if not isinstance(concurrency, int | Limit) or isinstance(concurrency, bool):
        raise ConfigError(f"{key}.max_concurrency", "takes a number or a Limit", concurrency)
    blocking: object = settings.get("blocking", False)
    if not isinstance(blocking, bool):
        raise ConfigError(f"{key}.blocking", "is True or False", blocking)
    if not isinstance(batch_messages, int):
        raise ConfigError(f"{key}.batch_messages", "is a number", batch_messages)
    for number in settings.get("priority", {}).values():
        if not isinstance(cast("object", number), int):
            raise ConfigError(f"{key}.priority", "takes a number for each input", number)


def refuse_no_policy(key: str, policy: object) -> None:
    """Raise ``ConfigError`` for what is neither None nor an error policy."""
    if policy is not None and not isinstance(policy, get_args(ErrorPolicy)):
        why = "takes Fail(), Skip(), DeadLetter(output) or Retry(...)"
        raise ConfigError(key, why, policy)
