"""Runs every benchmark, one after the other; fails when a bar does not hold."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "instructions",
    "startup",
    "memory_map",
    "files_map",
    "awaited_calls",
    "footprint",
    "first_result",
    "idle",
    "kafka",
    "kafka_trickle",
    "kafka_footprint",
)


def main() -> int:
    """Run them; the exit code."""
    wanted = sys.argv[1:] or NAMES
    failed: list[str] = []
    for name in wanted:
        print(f"== {name}", flush=True)
        if not importlib.import_module(f"benchmarks.{name}").main():
            failed.append(name)
    if failed:
        print(f"falls short: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
