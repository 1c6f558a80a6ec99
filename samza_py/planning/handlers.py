"""Remarks about handlers: annotations that differ from the streams, and calls that will block."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from samza_py.message import Message
from samza_py.planning.annotations import admits, held, members, shown, signature_of
from samza_py.resolved import ResolvedJob
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
    for source in spec.inputs if wanted else ():
        key, value = source.key_serde, source.value_serde
        if not any(admits(k, key) and admits(v, value) for k, v in wanted):
            takes = " | ".join(f"Message[{shown(k)}, {shown(v)}]" for k, v in wanted)
            yield f"task {spec.name}: takes {takes}, but {source} holds {held(source)}"


def _message_types(spec: TaskSpec) -> list[tuple[Any, Any]]:
    """Key and value of each ``Message[...]`` in the first parameter; none where nothing is said."""
    signature = signature_of(spec)
    if signature is None or not signature.parameters:
        return []
    annotation = signature.takes(signature.parameters[0])
    if spec.kind == "batch":
        annotation = (get_args(annotation) or (None,))[0]
    found = [get_args(m) for m in members(annotation) if get_origin(m) is Message]
    return [(m[0], m[1]) for m in found]
