"""For tests of jobs and of connectors.

``run`` and ``arun`` run a job over memory and give what it sent, typed. ``conformance_tests``
checks a connector against every promise of the protocol.
"""

from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import BrokenPromiseError, Check
from samza_py.testing.conformance.harness import (
    CheckpointsHarness,
    ConnectorHarness,
    CoordinationHarness,
    Harness,
)
from samza_py.testing.conformance.suite import (
    all_checks,
    checks_for,
    conformance_params,
    conformance_tests,
    left_out,
    run_check,
)
from samza_py.testing.given import RawRecord
from samza_py.testing.results import DeadLettered, RunResult
from samza_py.testing.running import arun, run

__all__ = [
    "BrokenPromiseError",
    "Capability",
    "Check",
    "CheckpointsHarness",
    "ConnectorHarness",
    "CoordinationHarness",
    "DeadLettered",
    "Harness",
    "RawRecord",
    "RunResult",
    "all_checks",
    "arun",
    "checks_for",
    "conformance_params",
    "conformance_tests",
    "left_out",
    "run",
    "run_check",
]
