"""Remarks about handlers: annotations that differ from the streams, and calls that will block."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from samza_py.message import Message
from samza_py.resolved import ResolvedJob
from samza_py.serde import Serde
from samza_py.specification import TaskSpec

_BLOCKING = {("time", "sleep"), ("requests", ""), ("urllib", "urlopen"), ("subprocess", "")}
"""Names in a function that almost surely block: module, and the attribute where it matters."""


def warnings(resolved: ResolvedJob) -> Iterator[str]:
    """What a reviewer would ask the handler's author."""
    for spec in resolved.job.tasks:
        yield from _annotations(spec)
        yield from _time(spec, resolved)


def _time(spec: TaskSpec, resolved: ResolvedJob) -> Iterator[str]:
    task = f"task {spec.name}"
    plain = spec.style in ("plain", "generator") and spec.kind != "object"
    if plain and not spec.blocking:
        if spec.timeout_s is not None:
            yield f"{task}: timeout has no effect on a plain 'def': nothing can interrupt it"
        if spec.max_concurrency > 1:
            yield f"{task}: max_concurrency has no effect on a plain 'def': calls never overlap"
    if spec.blocking and spec.timeout_s is not None:
        yield f"{task}: after its timeout a blocking call runs on in its thread, unobserved"
    if spec.timeout_s is not None and spec.timeout_s > resolved.options.shutdown_timeout_s:
        limit = f"{resolved.options.shutdown_timeout_s:g} s"
        yield f"{task}: timeout is longer than job.shutdown_timeout ({limit}): a stop cuts it off"
    if not spec.blocking and (name := _blocking_call(spec.handler)):
        cure = (
            "add blocking=True to run it in a thread"
            if plain
            else "use an async client, or asyncio.to_thread"
        )
        yield f"{task}: {name} stops every task of the container while it runs; {cure}"


def _blocking_call(handler: Any) -> str | None:
    code = getattr(handler, "__code__", None)
    names: tuple[str, ...] = getattr(code, "co_names", ())
    for module, attribute in sorted(_BLOCKING):
        found = getattr(handler, "__globals__", {}).get(module)
        named = module in names and (not attribute or attribute in names)
        if named and isinstance(found, types.ModuleType):
            return f"{module}.{attribute}()" if attribute else module
    return None


# Annotations ---------------------------------------------------------------------------------


def _annotations(spec: TaskSpec) -> Iterator[str]:
    wanted = _message_types(spec)
    if wanted is None:
        return
    for source in spec.inputs:
        has = (source.key_serde, source.value_serde)
        if not any(_admits(k, has[0]) and _admits(v, has[1]) for k, v in wanted):
            takes = " | ".join(f"Message[{_shown(k)}, {_shown(v)}]" for k, v in wanted)
            holds = f"Message[{_shown(has[0].content)}, {_shown(has[1].content)}]"
            yield f"task {spec.name}: takes {takes}, but {source} holds {holds}"


def _message_types(spec: TaskSpec) -> list[tuple[Any, Any]] | None:
    """Key and value of each ``Message[...]`` in the first parameter; None where nothing is said."""
    function = getattr(spec.handler, "process", None) if spec.kind == "object" else spec.handler
    code = getattr(function, "__code__", None)
    if function is None or code is None:
        return None
    try:
        hints = get_type_hints(function)
    except Exception:  # a name that only the type checker knows: nothing to compare
        return None
    first = 1 if spec.kind == "object" else 0
    names = code.co_varnames[first : code.co_argcount]
    annotation = hints.get(names[0]) if names else None
    if annotation is None:
        return None
    if spec.kind == "batch":
        annotation = (get_args(annotation) or (None,))[0]
    members = [get_args(m) for m in _members(annotation) if get_origin(m) is Message]
    return [(m[0], m[1]) for m in members] or None


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _admits(annotated: Any, serde: Serde[Any]) -> bool:
    content = serde.content
    if content in (None, Any) or annotated is Any or isinstance(annotated, TypeVar):
        return True
    # Message is covariant: a handler that takes more than the stream holds is right.
    takes = _members(annotated)
    return all(any(_covers(take, held) for take in takes) for held in _members(content))


def _covers(take: Any, held: Any) -> bool:
    both_classes = isinstance(take, type) and isinstance(held, type)
    return take == held or (both_classes and not get_args(take) and issubclass(held, take))


def _shown(of: Any) -> str:
    return of.__name__ if isinstance(of, type) and not get_args(of) else str(of)
