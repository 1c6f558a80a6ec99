"""Plays seeds from the command line: ``python -m tests.simulator --seeds 1-200``."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

from tests.simulator.parallel import outcomes
from tests.simulator.planted import known_bugs

COMMAND: Final = "python -m tests.simulator"


def main(arguments: list[str]) -> int:
    """Play seeds; 0 where all is well, 1 where something was found."""
    given = _parsed(arguments)
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    command = COMMAND if given.planted is None else f"{COMMAND} --planted {given.planted}"
    began, played, failed, calls = time.perf_counter(), 0, 0, 0
    for outcome in outcomes(seeds, given.planted, given.lines):
        played += 1
        calls += outcome.calls
        if outcome.violations:
            failed += 1
            print(outcome.report(command), flush=True)
            if not given.all:
                break
    took = time.perf_counter() - began
    print(f"{played} seeds, {failed} failed, {calls} calls, {took:.1f} s")
    return 1 if failed else 0


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(COMMAND, description=__doc__)
    parser.add_argument("--seeds", default="1-100", help="one seed, or the first and last: 1-200")
    parser.add_argument("--planted", choices=sorted(known_bugs()), help="a bug to put in first")
    parser.add_argument("--all", action="store_true", help="go on after the first that fails")
    parser.add_argument("--lines", type=int, default=60, help="of a failing seed's trace to show")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
