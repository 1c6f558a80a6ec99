"""The numbers of a job: every bound with its unit, default and reason in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from samza_py.errors import ConfigError
from samza_py.values import seconds, size_in_bytes

Guarantee = Literal["at_least_once", "exactly_once"]
Profile = Literal["default", "low_latency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Everything of a job that is a number or a choice; all may be set from outside.

    Durations take seconds or text such as ``"10s"``, sizes take bytes or text such as ``"64MiB"``.

    Attributes:
        guarantee: ``at_least_once`` (outputs may repeat after a crash) or ``exactly_once``
            (refused at the start unless every output can take part).
        profile: ``default`` batches for little CPU, ``low_latency`` sends at once.
        commit_interval_s: between two commits of a task; what a crash repeats at most.
        max_buffered_messages: read ahead and not yet taken, in a container; its tasks share it
            evenly, and each gets 100 at least, or this if it is less.
        max_buffered_bytes: the same in bytes; each task gets 64 KiB at least.
        max_outbox_messages: sent to one output and not yet durable, in a container, shared alike.
        max_outbox_bytes: the same in bytes.
        max_attempt_bytes: what one call of a handler may send; above it the call fails.
        max_done_runs: finished stretches beyond the oldest unfinished message, per partition;
            full, that partition waits for it.
        max_uncommitted_bytes: state changes in memory since the last commit; full, the task
            commits early.
        partition_check_interval_s: between two looks for partitions that have come: how long a
            grown stream or the children of a split shard may wait to be read.
        stall_after_s: a message in work for longer is named in a warning.
        block_warning_s: a handler that blocks the loop for longer is named with its stack.
        startup_timeout_s: how long systems may be away at the start.
        shutdown_timeout_s: a soft stop that takes longer cancels what still runs.
        close_timeout_s: for the last commit after that, and then for closing everything.
        max_threads: of the pool for ``blocking=True`` handlers.
    """

    guarantee: Guarantee = "at_least_once"
    profile: Profile = "default"
    commit_interval_s: float = 1.0
    max_buffered_messages: int = 20_000
    max_buffered_bytes: int = 32 << 20
    max_outbox_messages: int = 20_000
    max_outbox_bytes: int = 32 << 20
    max_attempt_bytes: int = 64 << 20
    max_done_runs: int = 1_000
    max_uncommitted_bytes: int = 64 << 20
    partition_check_interval_s: float = 30.0
    stall_after_s: float = 30.0
    block_warning_s: float = 1.0
    startup_timeout_s: float = 60.0
    shutdown_timeout_s: float = 25.0
    close_timeout_s: float = 5.0
    max_threads: int = 16

    def __post_init__(self) -> None:
        choices: dict[str, tuple[str, ...]] = {
            "guarantee": ("at_least_once", "exactly_once"),
            "profile": ("default", "low_latency"),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            key = f"job.{field.name}"
            object.__setattr__(self, field.name, _checked(field.name, key, value, choices))


def _checked(name: str, key: str, value: Any, choices: dict[str, tuple[str, ...]]) -> Any:
    if name in choices:
        if value not in choices[name]:
            raise ConfigError(key, f"must be one of {', '.join(choices[name])}", value)
        return value
    if name.endswith("_s"):
        duration = seconds(value, key)
        if duration <= 0:
            raise ConfigError(key, "must be longer than 0 seconds", value)
        return duration
    if name.endswith("_bytes"):
        return size_in_bytes(value, key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(key, "must be a whole number", value)
    if value < 1:
        raise ConfigError(key, "must be at least 1", value)
    return value
