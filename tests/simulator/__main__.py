"""Plays seeds from the command line: ``python -m tests.simulator --seeds 1-200``."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulator.planted import known_bugs, planted
from tests.simulator.simulation import run_seeds

COMMAND = "python -m tests.simulator"


def main(arguments: list[str]) -> int:
    """Play seeds; 0 where all is well, 1 where something was found."""
    parser = argparse.ArgumentParser(COMMAND, description=__doc__)
    parser.add_argument("--seeds", default="1-100", help="one seed, or the first and last: 1-200")
    parser.add_argument(
        "--planted", choices=sorted(known_bugs()), help="with this bug in the runtime"
    )
    parser.add_argument("--all", action="store_true", help="go on after the first that fails")
    parser.add_argument("--lines", type=int, default=60, help="of a failing seed's trace to show")
    given = parser.parse_args(arguments)
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    command = COMMAND if given.planted is None else f"{COMMAND} --planted {given.planted}"
    began, played, failed, calls = time.perf_counter(), 0, 0, 0
    with planted(given.planted):
        for outcome in run_seeds(seeds, given.lines):
            played += 1
            calls += outcome.calls
            if outcome.violations:
                failed += 1
                print(outcome.report(command), flush=True)
                if not given.all:
                    break
    took = time.perf_counter() - began
    each = took / max(1, played)
    print(
        f"{played} seeds, {failed} failed, {calls} calls, {took:.1f} s, {each * 1000:.0f} ms each"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
