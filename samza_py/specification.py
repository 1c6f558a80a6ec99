"""A task as it was declared: everything the planner, the checks and the runtime need to know."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from samza_py.errors import ConfigError
from samza_py.policies import DeadLetter, ErrorPolicy, Retry
from samza_py.store import Store
from samza_py.system import Input, Output
from samza_py.task import Limit

Order = Literal["key", "partition", "none"]
ReadBy = Literal["arrival", "event_time"]
Grouping = Literal["partition_id", "partition", "all"]
Kind = Literal["message", "batch", "object"]
Style = Literal["plain", "async", "generator", "async_generator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One declared handler. The runtime makes a task of it for each group of partitions.

    Attributes:
        name: the handler's name; with the group it names a task in checkpoints.
        kind: called with a message, with a batch, or an object made for each task.
        handler: the function, or the ``StreamTask`` class (or a factory of such objects).
        inputs: what it reads.
        to: where results go; None for a handler that returns nothing.
        outputs: everything it may send to, ``to`` included, dead letters not.
        order: what calls never overlap over: a key, a partition, nothing.
        max_concurrency: calls at once in one task.
        limit: a limit shared with other tasks of the container.
        timeout_s: of one call; None for no limit.
        on_error: the task's policy; None leaves it to the job.
        input_policies: policies of single inputs, which beat the task's.
        blocking: a plain function that blocks: it runs in the thread pool.
        stores: the stores it may use.
        grouping: which partitions share a task: those of one id, each alone, or all.
        batch_messages: the most messages in one batch of a batch task.
        priorities: inputs with a higher number are read first.
        bootstrap: inputs (by ``system.stream``) that are read to their head, once, before any
            other is touched.
        read_by: among partitions of one priority: in turn, or the oldest event time first.
        event_time_wait_s: how long an empty partition is waited for under ``event_time``.
    """

    name: str
    kind: Kind
    handler: Callable[..., Any]
    inputs: tuple[Input[Any, Any], ...]
    to: Output[Any, Any] | None = None
    outputs: tuple[Output[Any, Any], ...] = ()
    order: Order = "key"
    max_concurrency: int = 1
    limit: Limit | None = None
    timeout_s: float | None = None
    on_error: ErrorPolicy | None = None
    input_policies: Mapping[str, ErrorPolicy] = field(default_factory=dict[str, ErrorPolicy])
    blocking: bool = False
    stores: tuple[Store[Any, Any], ...] = ()
    grouping: Grouping = "partition_id"
    batch_messages: int = 1000
    priorities: Mapping[str, int] = field(default_factory=dict[str, int])
    bootstrap: tuple[str, ...] = ()
    read_by: ReadBy = "arrival"
    event_time_wait_s: float = 0.1

    def __post_init__(self) -> None:
        key = f"task {self.name}"
        if not self.name.replace("-", "_").isidentifier():
            raise ConfigError(f"{key}.name", "must be letters, digits, '_' or '-'", self.name)
        if not self.inputs:
            raise ConfigError(key, "reads nothing; give it at least one input")
        if self.max_concurrency < 1:
            raise ConfigError(f"{key}.max_concurrency", "must be at least 1", self.max_concurrency)
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ConfigError(f"{key}.timeout", "must be longer than 0 seconds", self.timeout_s)
        if self.batch_messages < 1:
            raise ConfigError(f"{key}.batch_messages", "must be at least 1", self.batch_messages)
        self._check_blocking(key)
        self._check_choices(key)

    def _check_blocking(self, key: str) -> None:
        if self.blocking and self.style == "generator":
            why = "cannot yield from a thread; return what it gives, or send it with ctx.send"
            raise ConfigError(f"{key}.blocking", why)
        if self.blocking and self.style != "plain":
            raise ConfigError(
                f"{key}.blocking", "is for plain 'def' functions; an 'async def' must not block"
            )
        if self.kind != "object" and isinstance(self.handler, type):
            raise ConfigError(key, "is a class; add it with job.add(...)", self.handler)

    def _check_choices(self, key: str) -> None:
        if self.order not in ("key", "partition", "none"):
            raise ConfigError(f"{key}.order", "must be 'key', 'partition' or 'none'", self.order)
        if self.grouping not in ("partition_id", "partition", "all"):
            why = "must be 'partition_id', 'partition' or 'all'"
            raise ConfigError(f"{key}.grouping", why, self.grouping)
        if self.read_by not in ("arrival", "event_time"):
            raise ConfigError(f"{key}.read_by", "must be 'arrival' or 'event_time'", self.read_by)
        known = {str(i) for i in self.inputs}
        for name in (*self.input_policies, *self.priorities, *self.bootstrap):
            if name not in known:
                raise ConfigError(key, f"{name} is not one of its inputs ({', '.join(known)})")

    @property
    def style(self) -> Style:
        """How the handler gives its results: by return or by yield, awaited or not."""
        handler: Any = self.handler
        while isinstance(handler, functools.partial):
            handler = handler.func
        if isinstance(handler, type):
            handler = getattr(handler, "process", handler)
        elif not inspect.isroutine(handler) and callable(handler):
            handler = type(handler).__call__
        if inspect.isasyncgenfunction(handler):
            return "async_generator"
        if inspect.iscoroutinefunction(handler):
            return "async"
        return "generator" if inspect.isgeneratorfunction(handler) else "plain"

    @property
    def takes_context(self) -> bool:
        """Whether the handler has a second parameter for the context."""
        if self.kind == "object":
            return True
        try:
            parameters = inspect.signature(self.handler).parameters.values()
        except (TypeError, ValueError):
            return False
        positional = [
            p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        # One with a default is the handler's own, as in `lambda message, rate=rate: ...`.
        required = [p for p in positional if p.default is p.empty]
        return len(required) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters)

    def policy(self, stream: Input[Any, Any], job: ErrorPolicy) -> ErrorPolicy:
        """The error policy for messages of one input: input beats task beats job."""
        chosen = self.input_policies.get(str(stream), self.on_error)
        return chosen if chosen is not None else job

    def dead_letters(self, job: ErrorPolicy) -> tuple[Output[Any, Any], ...]:
        """The dead letter outputs that its messages may go to."""
        found: dict[str, Output[Any, Any]] = {}
        for stream in self.inputs:
            policy = self.policy(stream, job)
            last = policy.then if isinstance(policy, Retry) else policy
            if isinstance(last, DeadLetter):
                found[str(last.to)] = last.to
        return tuple(found.values())
