"""Files to memory: what the engine adds to a message beyond a loop over the same decode."""

from __future__ import annotations

import sys

from benchmarks.measuring import Bar, measured, middle, pairs, say

MESSAGES = "200000"


def main() -> bool:
    """Measure in pairs; whether the bar holds."""
    found = pairs(
        lambda: measured("benchmarks.loops.files_map", MESSAGES),
        lambda: measured("benchmarks.jobs.files_map", MESSAGES),
    )
    loop, job = middle([a["us"] for a, _ in found]), middle([b["us"] for _, b in found])
    detail = f"loop {loop:.2f} us a message, job {job:.2f} us"
    return say("files_map", [b["us"] - a["us"] for a, b in found], "us", Bar(1.2), detail)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
