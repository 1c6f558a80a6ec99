"""Files to memory: what the engine adds to a message beyond a loop over the same decode."""

from __future__ import annotations

import sys

from benchmarks.measuring import Bar, quiet_runs, say_added

MESSAGES = "200000"


def main() -> bool:
    """Measure in turn; whether the bar holds."""
    found = quiet_runs("benchmarks.loops.files_map", "benchmarks.jobs.files_map", MESSAGES)
    return say_added("files_map", found, Bar(1.2))


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
