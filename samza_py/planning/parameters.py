"""Whether handlers can be called as the runtime calls them: with a message and, at will, a context.

A handler that cannot would fail at its first message, after everything has been opened.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, cast, get_args

from samza_py.errors import ConfigError
from samza_py.message import Message
from samza_py.planning.annotations import (
    Signature,
    class_of,
    held,
    members,
    place_of,
    shown,
    signature_of,
)
from samza_py.resolved import ResolvedJob
from samza_py.specification import TaskSpec
from samza_py.task import StreamTask, TaskContext

_ELSEWHERE = "give it a default, or let the job's lifespan yield it and read ctx.resources"


def problems(resolved: ResolvedJob) -> Iterator[ConfigError]:
    """Handlers that cannot be called so, and parameters that would get something else."""
    for spec in resolved.job.tasks:
        where = f"job {resolved.job.name}, task {spec.name}"
        if spec.kind == "object":
            yield from _class(spec.handler, where)
        signature = signature_of(spec)
        if signature is None:
            continue
        for parameter, why in _parameters(spec, signature):
            named = f", parameter {parameter}" if parameter else ""
            yield ConfigError(f"{where}{named}{signature.place}", why)


def _class(made: Any, where: str) -> Iterator[ConfigError]:
    if not callable(made):
        yield ConfigError(where, "job.add takes the class, not an object of it", made)
    if not isinstance(made, type):
        return
    name = made.__name__
    where += place_of(getattr(made, "process", None))
    if not issubclass(made, StreamTask):
        yield ConfigError(where, f"is no StreamTask; write `class {name}(StreamTask[...])`")
        return
    wanted = inspect.signature(cast("Any", made)).parameters.values()
    missing = [p.name for p in wanted if _required(p)]
    if missing:
        yield ConfigError(
            where,
            f"{name}() is called without {', '.join(missing)}, one object for each task; add a "
            f"function that makes one: job.add(lambda: {name}(...), ...)",
        )


def _parameters(spec: TaskSpec, signature: Signature) -> Iterator[tuple[str, str]]:
    """The name of each parameter that is wrong, and why; no name where one is missing."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    named = [p for p in signature.parameters if p.kind in kinds]
    more = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters)
    handler = "process" if spec.kind == "object" else spec.name
    if not named and not more:
        taken = f"`{handler}({_to_write(spec, 'message')})`"
        yield "", f"has no parameter for the message; write {taken}"
        return
    if named and (why := _not_the_message(spec, named[0].name, signature.takes(named[0]))):
        yield named[0].name, why
    if spec.kind == "object" and len(named) == 1 and not more:
        yield "", "process is called with message and context; add `ctx: TaskContext[Any]`"
    if len(named) > 1 and (why := _not_the_context(spec, named[1], signature.takes(named[1]))):
        yield named[1].name, why
    keyword_only = [p for p in signature.parameters if p.kind is p.KEYWORD_ONLY]
    for parameter in (*named[2:], *keyword_only):
        if _required(parameter):
            yield parameter.name, f"is given nothing: message and context are all; {_ELSEWHERE}"


def _not_the_message(spec: TaskSpec, name: str, annotation: Any) -> str | None:
    """Why the first parameter cannot take what the handler is called with."""
    write = f"write `{_to_write(spec, name)}`"
    if spec.kind == "batch":
        kind = class_of(annotation)
        if kind is None:
            return None
        if not issubclass(list, kind):
            return f"is a sequence of messages, and no {shown(annotation)}; {write}"
        annotation = (get_args(annotation) or (Any,))[0]
    for one in members(annotation):
        kind = class_of(one)
        if kind in (None, type(None)) or issubclass(kind, Message) or issubclass(Message, kind):
            continue
        if spec.kind != "batch" and issubclass(list, kind):
            return f"is one message, and no {shown(one)}; {write}, or use job.batch_task"
        values = [source.value_serde.content for source in spec.inputs]
        read = f" and read {name}.value" if one in values and spec.kind != "batch" else ""
        return f"is a Message, and no {shown(one)}; {write}{read}"
    return None


def _not_the_context(spec: TaskSpec, parameter: inspect.Parameter, annotation: Any) -> str | None:
    """Why the second parameter cannot take the context, or does not get it."""
    kinds = [class_of(one) for one in members(annotation) if one is not type(None)]
    is_context = any(kind is not None and issubclass(kind, TaskContext) for kind in kinds)
    if spec.kind != "object" and not _required(parameter):
        if is_context:
            return "is not given the context, since it has a default; take the default away"
        return None
    if is_context or any(kind is None or issubclass(TaskContext, kind) for kind in kinds):
        return None
    write = f"write `{parameter.name}: TaskContext[Any]`"
    return f"is the task's context, and no {shown(annotation)}; {write}, or {_ELSEWHERE}"


def _to_write(spec: TaskSpec, name: str) -> str:
    """The parameter that takes what the handler is called with."""
    # In the order of the inputs, each once.
    message = " | ".join(dict.fromkeys(held(source) for source in spec.inputs))
    return f"{name}: Sequence[{message}]" if spec.kind == "batch" else f"{name}: {message}"


def _required(parameter: inspect.Parameter) -> bool:
    variadic = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in variadic
