"""From a job and the arguments to one that may run, or to all that is wrong with it."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samza_py.cli.failures import Redaction
from samza_py.coordination import Coordination
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.monitoring.settings import Monitoring
from samza_py.planning import problems, warnings
from samza_py.resolved import ResolvedJob
from samza_py.resolving import Shown, Sources, resolve
from samza_py.runtime.coordinators import Static


@dataclass(frozen=True, slots=True)
class Prepared:
    """A resolved job with everything that was found out about it.

    Attributes:
        resolved: what would run.
        monitoring: where it is to listen for whoever watches it.
        settings: every setting, who set it, secrets hidden.
        problems: what stops it from running.
        warnings: what is probably not meant.
        redact: takes the job's secrets out of a text.
    """

    resolved: ResolvedJob
    monitoring: Monitoring
    settings: tuple[Shown, ...]
    problems: tuple[ConfigError, ...]
    warnings: tuple[str, ...]
    redact: Redaction


def prepare(job: Job[Any], arguments: argparse.Namespace) -> Prepared:
    """Merge the job with everything from outside, and check what comes of it."""
    wrong: list[ConfigError] = []
    try:
        coordination = _coordination(job, arguments)
    except ConfigError as error:
        coordination = None
        wrong.append(error)
    resolution = resolve(
        job,
        Sources(
            file=Path(arguments.config) if arguments.config else None,
            environment=os.environ,
            overrides=arguments.overrides,
        ),
        coordination=coordination,
        ignore_checkpoint=getattr(arguments, "ignore_checkpoint", False),
    )
    wrong.extend(resolution.problems)
    wrong.extend(problems(resolution.resolved))
    return Prepared(
        resolution.resolved,
        resolution.monitoring,
        resolution.shown,
        tuple(wrong),
        tuple(warnings(resolution.resolved)),
        Redaction(resolution.secrets),
    )


def _coordination(job: Job[Any], arguments: argparse.Namespace) -> Coordination | None:
    """What flags or the environment ask for; None where they ask for nothing."""
    index: int | None = getattr(arguments, "index", None)
    count: int | None = getattr(arguments, "count", None)
    if index is None and count is None:
        from_environment = job.coordinator is None and "SAMZA_CONTAINER_COUNT" in os.environ
        return Static.from_environment() if from_environment else None
    if index is None or count is None:
        given, missing = ("--index", "--count") if count is None else ("--count", "--index")
        raise ConfigError(given, f"needs {missing} beside it: --index 0 --count 3")
    if not 0 <= index < count:
        raise ConfigError("--index", f"must be 0 to {count - 1} where --count is {count}", index)
    return Static(index, count)
