"""Checks of what a job file declares: systems, streams, tasks, and how they are joined."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from samza_py.admin import StartAt
from samza_py.errors import ConfigError
from samza_py.resolved import ResolvedJob
from samza_py.serde import Serde
from samza_py.specification import TaskSpec
from samza_py.system import AnyStream, Input, Output, System


def problems(resolved: ResolvedJob) -> Iterator[ConfigError]:
    """What is declared twice, wrongly, or not at all."""
    job = resolved.job
    if not job.tasks:
        why = "declares no task: put @job.task(orders, to=priced) above a function"
        yield ConfigError(f"job {job.name}", why)
    yield from _doubled_systems(resolved)
    yield from _doubled_streams(resolved)
    yield from _types(resolved)
    yield from _starts(resolved)
    for spec in job.tasks:
        yield from _wrong_directions(spec, resolved)
        yield from _stores(spec, resolved)
        yield from _dead_letters(spec, resolved)


def warnings(resolved: ResolvedJob) -> Iterator[str]:
    """What is declared and leads nowhere, or back to where it came from."""
    used = {id(store) for spec in resolved.job.tasks for store in spec.stores}
    for store in resolved.job.stores:
        if id(store) not in used:
            yield f"store {store.name}: no task uses it; hand it to one with stores=[...]"
    for spec in resolved.job.tasks:
        for name in sorted({str(i) for i in spec.inputs} & {str(o) for o in spec.outputs}):
            yield f"task {spec.name}: writes to {name}, which it reads: it feeds itself for ever"


def _named(resolved: ResolvedJob) -> Iterator[AnyStream]:
    """Every stream object as the job file names it, the same one several times."""
    for spec in resolved.job.tasks:
        yield from spec.inputs
        yield from spec.outputs
        yield from spec.dead_letters(resolved.job.on_error)


def _doubled_systems(resolved: ResolvedJob) -> Iterator[ConfigError]:
    seen: dict[str, System] = {}
    told: set[str] = set()
    for stream in _named(resolved):
        system = stream.system
        if seen.setdefault(system.name, system) is not system and system.name not in told:
            told.add(system.name)
            kind = type(system).__name__
            yield ConfigError(
                f"systems.{system.name}",
                f"two systems have this name; make the {kind} once and use it everywhere, or give "
                f'one of them another: {kind}(..., name="other")',
            )


def _doubled_streams(resolved: ResolvedJob) -> Iterator[ConfigError]:
    seen: dict[str, AnyStream] = {}
    told: set[str] = set()
    for stream in _named(resolved):
        name = str(stream)
        first = seen.setdefault(name, stream)
        difference = _difference(first, stream)
        if difference and name not in told:
            told.add(name)
            yield ConfigError(
                f"stream {name}",
                f"is declared twice and differently ({difference}); declare it once and use that",
            )


def _types(resolved: ResolvedJob) -> Iterator[ConfigError]:
    """Types of keys and values that the streams' serdes can do nothing with."""
    for name, stream in {str(stream): stream for stream in _named(resolved)}.items():
        for part, serde in (("key", stream.key_serde), ("value", stream.value_serde)):
            try:
                if isinstance(stream, Input):
                    serde.decoder()
                if isinstance(stream, Output):
                    serde.encoder()
            except ConfigError as error:
                yield ConfigError(f"stream {name}.{part}", error.why)


def _starts(resolved: ResolvedJob) -> Iterator[ConfigError]:
    for name, stream in {str(stream): stream for stream in _named(resolved)}.items():
        start: object = getattr(stream, "start", None)
        if start is not None and not isinstance(start, get_args(StartAt)):
            why = "is none; write Oldest(), Newest(), AtTime(...) or AtOffset(...), from samza_py"
            yield ConfigError(f"stream {name}.start", why, start)


def _difference(a: AnyStream, b: AnyStream) -> str | None:
    if a is b or a.system is not b.system:
        return None
    if type(a) is not type(b):
        return f"{type(a).__name__} and {type(b).__name__}"
    if not _same_serde(a.key_serde, b.key_serde):
        return f"keys {a.key_serde!r} and {b.key_serde!r}"
    if not _same_serde(a.value_serde, b.value_serde):
        return f"values {a.value_serde!r} and {b.value_serde!r}"
    if a.physical != b.physical:
        return f"{a.physical} and {b.physical}"
    starts = (getattr(a, "start", None), getattr(b, "start", None))
    return None if starts[0] == starts[1] else f"{starts[0]} and {starts[1]}"


def _same_serde(a: Serde[Any], b: Serde[Any]) -> bool:
    return a is b or (type(a) is type(b) and a.content == b.content)


def _wrong_directions(spec: TaskSpec, resolved: ResolvedJob) -> Iterator[ConfigError]:
    key = f"task {spec.name}"
    inputs, outputs = _untyped(spec.inputs), _untyped(spec.outputs)
    for source in inputs:
        if not isinstance(source, Input):
            yield ConfigError(key, f"reads {_of(source)}, which is only an output")
        elif _cannot(_system(source), "consumer"):
            yield ConfigError(key, f"reads {source}, but a {_kind(source)} cannot be read from")
    for output in (*outputs, *_untyped(spec.dead_letters(resolved.job.on_error))):
        if not isinstance(output, Output):
            yield ConfigError(key, f"writes to {_of(output)}, which is only an input")
        elif _cannot(_system(output), "producer"):
            yield ConfigError(
                key, f"writes to {output}, but a {_kind(output)} cannot be written to"
            )


def _untyped(streams: Iterable[Any]) -> list[Any]:
    # What is annotated may still be wrong: not everybody runs a type checker.
    return list(streams)


def _system(stream: Any) -> System:
    system: System = stream.system
    return system


def _of(stream: object) -> str:
    return f"{stream} (a {type(stream).__name__})"


def _kind(stream: Any) -> str:
    return type(stream.system).__name__


def _cannot(system: System, method: str) -> bool:
    return getattr(type(system), method) is getattr(System, method)


def _stores(spec: TaskSpec, resolved: ResolvedJob) -> Iterator[ConfigError]:
    key = f"task {spec.name}.stores"
    declared = {id(store) for store in resolved.job.stores}
    for store in spec.stores:
        if id(store) not in declared:
            why = (
                f'is of another job; declare it with job.store("{store.name}", key=..., value=...)'
            )
            yield ConfigError(f"{key}: {store.name}", why)
        if not store.shared and spec.order != "key" and spec.max_concurrency > 1:
            yield ConfigError(
                f"{key}: {store.name}",
                f'belongs to the key in hand, and order="{spec.order}" lets {spec.max_concurrency} '
                'calls of one key overlap; use order="key", or declare it with shared=True',
            )


def _dead_letters(spec: TaskSpec, resolved: ResolvedJob) -> Iterator[ConfigError]:
    for output in spec.dead_letters(resolved.job.on_error):
        for part, serde in (("key", output.key_serde), ("value", output.value_serde)):
            if serde.content not in (bytes, None, type(None), Any):
                yield ConfigError(
                    f"task {spec.name}.on_error",
                    f"the dead letter output {output} takes {serde!r} as its {part}, but gets the "
                    "bytes that failed, unchanged; declare it without types",
                )
