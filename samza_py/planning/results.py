"""Whether what a handler says it returns can go where its task sends it."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from typing import Any, get_args

from samza_py.errors import ConfigError
from samza_py.message import Record
from samza_py.planning.annotations import class_of, members, never_is, shown, signature_of
from samza_py.resolved import ResolvedJob
from samza_py.specification import TaskSpec

_GIVES_SEVERAL = (AsyncGenerator, AsyncIterator, AsyncIterable, Generator, Iterator, Iterable)


def problems(resolved: ResolvedJob) -> Iterator[ConfigError]:
    """Return annotations that no result could keep and still fit the task's ``to=``."""
    for spec in resolved.job.tasks:
        signature = signature_of(spec)
        if signature is None:
            continue
        for result in _results(spec, signature.returns):
            why = _misfit(spec, result)
            if why is not None:
                where = f"job {resolved.job.name}, task {spec.name}{signature.place}"
                yield ConfigError(where, why)
                break


def _results(spec: TaskSpec, annotation: Any) -> Iterator[Any]:
    """The single results that a return annotation stands for, as the runtime takes them apart."""
    for one in members(annotation):
        kind, inside = class_of(one), get_args(one)
        if kind in (Awaitable, Coroutine):
            yield from _results(spec, inside[-1] if inside else Any)
        elif kind in _GIVES_SEVERAL or (spec.kind == "batch" and _is_list(kind)):
            yield from members(inside[0] if inside else Any)
        elif spec.style not in ("generator", "async_generator"):  # else no annotation of a yield
            yield one


def _is_list(kind: type | None) -> bool:
    return kind is not None and issubclass(kind, Collection)


def _misfit(spec: TaskSpec, result: Any) -> str | None:
    """Why a result of an annotated type cannot go where the task sends it."""
    kind = class_of(result)
    if kind in (None, type(None)):
        return None
    said = f"says that it returns {shown(result)}"
    if spec.to is None:
        return f"{said}, but the task has no to=; add an output, or return None"
    value = result
    if kind is Record:
        value = (*get_args(result), Any, Any)[1]
    elif spec.kind == "batch":
        return f"{said}; write Record(value, source=message), so that a failure finds its input"
    wanted = spec.to.value_serde.content
    if wanted in (None, Any) or not all(never_is(one, wanted) for one in members(value)):
        return None
    cure = "mend the annotation, or declare the output with that type"
    items = get_args(value)
    if _is_list(class_of(value)) and items and not never_is(items[0], wanted):
        cure = "only `yield` gives several results: yield them one by one"
    return f"{said}, but its output {spec.to} takes {shown(wanted)}; {cure}"
