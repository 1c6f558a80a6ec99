"""An idle container: CPU in 60 seconds in which nothing comes in, over 16 tasks."""

from __future__ import annotations

import sys

from benchmarks.measuring import Bar, measured, say

SECONDS = 60
RUNS = 5


def main() -> bool:
    """Measure; whether the bar holds."""
    found = [measured("benchmarks.jobs.idle", str(SECONDS))["cpu_s"] for _ in range(RUNS)]
    return say("idle", found, "s CPU in 60 s", Bar(0.6))


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
