"""Whether a declared job can run as it is: pure checks, made before anything is opened.

``problems`` are refusals, all that were found, each as the error it would be; ``warnings`` are what
a reader of the job would point out. Neither imports a connector or asks a system.
"""

from __future__ import annotations

from samza_py.errors import ConfigError
from samza_py.planning import declarations, handlers, keeping, parameters, results
from samza_py.resolved import ResolvedJob


def problems(resolved: ResolvedJob) -> list[ConfigError]:
    """Everything that stops this job from running, in the order a reader meets it."""
    return [
        *declarations.problems(resolved),
        *parameters.problems(resolved),
        *results.problems(resolved),
        *keeping.problems(resolved),
    ]


def warnings(resolved: ResolvedJob) -> list[str]:
    """What is allowed and probably not meant, one sentence each."""
    return [
        *declarations.warnings(resolved),
        *handlers.warnings(resolved),
        *keeping.warnings(resolved),
    ]


def one_error(job: str, found: list[ConfigError]) -> ConfigError:
    """The error to raise for one or several problems, where only one can be raised."""
    if len(found) == 1:
        return found[0]
    lines = "\n".join(f"  {problem}" for problem in found)
    return ConfigError(f"job {job}", f"has {len(found)} problems\n{lines}")


__all__ = ["one_error", "problems", "warnings"]
