"""What a job runs with where it names nothing: whose checkpoints, and which coordinator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from samza_py.checkpoint import Checkpoints
from samza_py.connectors.local import LocalCheckpoints
from samza_py.coordination import Coordination
from samza_py.job import Job
from samza_py.runtime.coordinators import Embedded
from samza_py.system import System


def checkpoints_of(job: Job[Any], systems: Mapping[str, System]) -> Checkpoints:
    """Where the job's checkpoints are kept.

    What the job says; else the only system that can keep them for good; else a local file. Where
    all inputs end with the process, positions in them are kept no longer: a file would name
    places that no longer exist at the next start.

    Raises:
        ConfigError: it would be the local file, and this user has no folder for it.
    """
    if job.checkpoints is not None:
        return job.checkpoints.within(job.systems, systems)
    offered = {name: kept for name, s in systems.items() if (kept := s.checkpoints()) is not None}
    durable = [kept for kept in offered.values() if kept.durable]
    if len(durable) == 1:
        return durable[0]
    inputs = {source.system.name for spec in job.tasks for source in spec.inputs}
    fleeting = [offered[name] for name in sorted(inputs) if name in offered]
    if inputs and len(fleeting) == len(inputs) and not any(kept.durable for kept in fleeting):
        return fleeting[0]
    # Named in full: a user who has no folder for it hears of that here, and not later.
    return LocalCheckpoints(LocalCheckpoints().path_of(job.name))


def coordination_of(job: Job[Any]) -> Coordination:
    """Who runs which task: what the job says, else this one process runs all."""
    return job.coordinator if job.coordinator is not None else Embedded()
