"""The largest resident set of a job that has a backlog of 200,000 messages before it."""

from __future__ import annotations

import sys

from benchmarks.measuring import Bar, measured, say

MESSAGES = "200000"
RUNS = 5


def main() -> bool:
    """Measure; whether the bar holds."""
    found = [measured("benchmarks.jobs.backlog", MESSAGES)["rss_mb"] for _ in range(RUNS)]
    return say("footprint", found, "MB", Bar(80))


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
