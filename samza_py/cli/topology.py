"""What a drawing of a job shows: its handlers in the order of the data, and what joins them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from samza_py.policies import DeadLetter, ErrorPolicy, Retry, Skip
from samza_py.resolved import ResolvedJob
from samza_py.specification import TaskSpec


@dataclass(frozen=True, slots=True)
class Edge:
    """One way out of a handler.

    Attributes:
        stream: ``system.stream``.
        dead: it is for messages that fail.
        label: what goes this way, where that needs saying.
    """

    stream: str
    dead: bool = False
    label: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One handler with what it reads and writes.

    Attributes:
        name: the handler's name.
        details: how it is called, one thing a line.
        stores: the names of its stores.
        inputs: ``system.stream`` of each input.
        outputs: its ways out, dead letters last.
    """

    name: str
    details: tuple[str, ...]
    stores: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[Edge, ...]


def blocks(resolved: ResolvedJob) -> list[Block]:
    """The job's handlers; one that reads what another writes comes after it."""
    job = resolved.job
    left = [_block(spec, job.on_error) for spec in job.tasks]
    ordered: list[Block] = []
    while left:
        pending = {edge.stream for block in left for edge in block.outputs}
        ready = [block for block in left if not pending & set(block.inputs)]
        # A circle has no first: break it where the author began.
        ready = ready or left[:1]
        ordered.extend(ready)
        left = [block for block in left if block not in ready]
    return ordered


def readers(drawn: list[Block], stream: str) -> list[str]:
    """The handlers that read a stream."""
    return [block.name for block in drawn if stream in block.inputs]


def _block(spec: TaskSpec, job: ErrorPolicy) -> Block:
    outputs = [Edge(str(output)) for output in spec.outputs]
    outputs.extend(_dead_edges(spec, job))
    return Block(
        spec.name,
        tuple(_details(spec, job)),
        tuple(store.name for store in spec.stores),
        tuple(str(source) for source in spec.inputs),
        tuple(outputs),
    )


def _dead_edges(spec: TaskSpec, job: ErrorPolicy) -> Iterator[Edge]:
    labels: dict[str, str] = {}
    for source in spec.inputs:
        policy = spec.policy(source, job)
        last = policy.then if isinstance(policy, Retry) else policy
        if isinstance(last, DeadLetter):
            labels[str(last.to)] = f"what fails{_times(policy)}"
    for stream, label in labels.items():
        yield Edge(stream, dead=True, label=label)


def _times(policy: ErrorPolicy) -> str:
    if not isinstance(policy, Retry) or policy.attempts == 1:
        return ""
    return " twice" if policy.attempts == 2 else f" {policy.attempts} times"


def _details(spec: TaskSpec, job: ErrorPolicy) -> Iterator[str]:
    how = {"plain": "def", "generator": "def"}.get(spec.style, "async")
    if spec.kind == "object":
        how = "class"
    parts = [how]
    if spec.kind == "batch":
        parts.append(f"batches of {spec.batch_messages:,}")
    if spec.blocking:
        parts.append("in threads")
    if spec.limit is not None:
        parts.append(f"{spec.max_concurrency} at once in the container")
    elif spec.max_concurrency > 1:
        parts.append(f"{spec.max_concurrency} at once")
    yield ", ".join(parts)
    if spec.order != "key":
        yield f"order by {spec.order}" if spec.order == "partition" else "no order"
    if spec.grouping != "partition_id":
        yield "one task for all" if spec.grouping == "all" else "a task a partition"
    if spec.timeout_s is not None:
        yield f"timeout {spec.timeout_s:g} s"
    yield from _on_failure(spec, job)


def _on_failure(spec: TaskSpec, job: ErrorPolicy) -> Iterator[str]:
    said: set[str] = set()
    for source in spec.inputs:
        policy: Any = spec.policy(source, job)
        last = policy.then if isinstance(policy, Retry) else policy
        if isinstance(last, Skip):
            text = f"skips what fails{_times(policy)}"
        elif isinstance(policy, Retry) and not isinstance(last, DeadLetter):
            text = f"stops at what fails{_times(policy)}"
        else:
            continue
        if text not in said:
            said.add(text)
            yield text
