"""Checks of what must outlive a process: checkpoints, state, and how often an output is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from samza_py.errors import ConfigError
from samza_py.producer import Promise
from samza_py.resolved import ResolvedJob
from samza_py.specification import TaskSpec
from samza_py.system import Output
from samza_py.task import StreamTask


def problems(resolved: ResolvedJob) -> Iterator[ConfigError]:
    """What could lose or mix up messages or state."""
    yield from _sharing(resolved)
    yield from _keyed_state(resolved)
    if resolved.options.guarantee == "exactly_once":
        yield from _exactly_once(resolved)


def warnings(resolved: ResolvedJob) -> Iterator[str]:
    """What will not survive although the user may think so."""
    if resolved.checkpoints.durable or _inputs_die_with_the_process(resolved):
        return
    place = resolved.checkpoint_location
    yield (
        f"checkpoints: kept in {place}, which ends with this process: every start "
        "reads the inputs from the beginning"
    )
    if resolved.job.stores:
        names = ", ".join(store.name for store in resolved.job.stores)
        yield f"stores {names}: are kept with the checkpoints in {place} and end with it"


def _inputs_die_with_the_process(resolved: ResolvedJob) -> bool:
    for spec in resolved.job.tasks:
        for source in spec.inputs:
            offered = resolved.systems[source.system.name].checkpoints()
            if offered is None or offered.durable:
                return False
    return True


def _sharing(resolved: ResolvedJob) -> Iterator[ConfigError]:
    kept = resolved.checkpoints
    if resolved.coordination.several and not (kept.shared and kept.durable):
        yield ConfigError(
            "job.checkpoints",
            f"{resolved.checkpoint_location} serves one container, and {resolved.coordination} "
            "runs several; that needs a store which all containers can reach, and the first one "
            "comes with the first broker connector",
        )


def _keyed_state(resolved: ResolvedJob) -> Iterator[ConfigError]:
    for spec in resolved.job.tasks:
        if not spec.stores or spec.grouping == "all":
            continue
        for source in spec.inputs:
            if getattr(source, "stable_keys", True):
                continue
            yield ConfigError(
                f"task {spec.name}.stores",
                f"{source} does not keep a key in one partition, so the state of a key would be "
                f"spread over tasks; repartition first (job.input({source.name}).key_by(...)"
                '.to(topic)) and read the topic, or use grouping="all" for a single task',
            )


def _exactly_once(resolved: ResolvedJob) -> Iterator[ConfigError]:
    if not resolved.checkpoints.durable:
        why = f"cannot be exactly_once: checkpoints in {resolved.checkpoint_location} do not last"
        yield ConfigError("job.guarantee", why)
    outputs: dict[str, Output[Any, Any]] = {}
    for spec in resolved.job.tasks:
        for output in (*spec.outputs, *spec.dead_letters(resolved.job.on_error)):
            outputs.setdefault(str(output), output)
    for spec in resolved.job.tasks:
        yield from _nameless(spec, resolved)
    for name, output in outputs.items():
        merged = resolved.streams.get(name, output)
        reason = _cannot_take_part(merged, resolved)
        if reason:
            yield ConfigError("job.guarantee", f"cannot be exactly_once: {name} {reason}")


def _nameless(spec: TaskSpec, resolved: ResolvedJob) -> Iterator[ConfigError]:
    """What a hook sends has no message to be named by, so that it cannot replace itself."""
    handler: Any = spec.handler
    hooks = [
        name
        for name in ("start", "on_timer", "on_end")
        if spec.kind == "object" and getattr(handler, name, None) is not getattr(StreamTask, name)
    ]
    outputs = [resolved.streams.get(str(output), output) for output in spec.outputs]
    for output in outputs:
        if hooks and isinstance(output, Output) and output.promise is Promise.IDEMPOTENT:
            yield ConfigError(
                "job.guarantee",
                f"cannot be exactly_once: task {spec.name} has {' and '.join(hooks)} and writes to "
                f"{output}, where a message is known by the message it comes from; what a hook "
                "sends comes from none, and would be there again after a crash. Send from "
                "process() alone, or to an output with two phases or transactions",
            )


def _cannot_take_part(output: Any, resolved: ResolvedJob) -> str | None:
    promise: Promise = output.promise
    if promise is Promise.AT_LEAST_ONCE:
        return "promises at least once only: after a crash a message may be there twice"
    if promise is Promise.TRANSACTIONAL:
        own, other = output.system.name, resolved.checkpoints.transactions_of
        if own != other:
            held = f"in {other}'s" if other else "in none"
            return (
                f"is written in {own}'s transactions, and the checkpoints "
                f"({resolved.checkpoint_location}) {held}; keep the checkpoints in {own}"
            )
    return None
