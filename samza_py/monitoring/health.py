"""Whether a container does its work now, and if not, why not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from samza_py.runtime.statistics import ContainerStatistics

MOST_CAUSES: Final = 20
"""So many are told, and how many there are more."""


def causes(now: ContainerStatistics) -> list[str]:
    """Why it is not ready: one line each, as people read them; none when it is.

    A container without tasks is ready: it waits for some. One that has read everything to its end
    is, too, until it ends.
    """
    found = list(_causes(now))
    more = len(found) - MOST_CAUSES
    return found if more <= 0 else [*found[:MOST_CAUSES], f"and {more} more"]


def _causes(now: ContainerStatistics) -> Iterator[str]:
    if now.state != "running":
        yield f"the job is {now.state}"
    yield from now.outages
    for task in now.tasks:
        if task.stalled is not None:
            yield f"task {task.name}: {task.stalled}"
        elif task.state == "starting":
            yield f"task {task.name} is starting"
