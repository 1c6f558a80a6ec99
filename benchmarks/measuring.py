"""Runs the two sides of a benchmark in turn, each in a process of its own, and says the result."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

PAIRS = 7
QUIET_RUNS = 11
MOST_RUNS = 40
QUIET = 1.1
"""How much longer than the shortest a fixed piece of work may take on a quiet machine."""

TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure is held to.

    Attributes:
        limit: the bar itself.
        best: ``low`` when a figure must not be above it, ``high`` when not below.
    """

    limit: float
    best: Literal["low", "high"] = "low"

    def __str__(self) -> str:
        return f"{'<=' if self.best == 'low' else '>='}{self.limit:g}"

    def held_by(self, value: float) -> bool:
        """Whether a figure is within the bar."""
        return value <= self.limit if self.best == "low" else value >= self.limit


def measured(module: str, *args: str) -> dict[str, float]:
    """Run ``python -m module args`` and give the figures that it prints as its last line, in JSON.

    Raises:
        RuntimeError: it failed; carries what it printed.
    """
    command = [sys.executable, "-m", module, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


@dataclass(frozen=True, slots=True)
class Runs:
    """CPU time in microseconds a message of the runs that count, of a loop and of a job."""

    loop: Sequence[float]
    job: Sequence[float]


def quiet_runs(loop: str, job: str, messages: str) -> Runs:
    """Measure a loop and a job in turn until ``QUIET_RUNS`` of each are from a quiet machine.

    Other guests of a machine take its caches and its memory away, for seconds or minutes. A run
    says with its figure how long a fixed piece of work took in front of it and behind it
    (``pace``), and counts where that was within ``QUIET`` of the shortest: the figure itself
    chooses nothing. What disturbed a run only in its middle is left to the median.

    Args:
        loop: module of the loop; it and the job say CPU time as ``us``.
        job: module of the job.
        messages: how many each of them works off.
    """
    loops, jobs = list[dict[str, float]](), list[dict[str, float]]()
    while True:
        loops.append(measured(loop, messages))
        jobs.append(measured(job, messages))
        slowest = QUIET * min(run["pace"] for run in loops + jobs)
        a, b = ([run["us"] for run in runs if run["pace"] <= slowest] for runs in (loops, jobs))
        print(f"  loop {_run(loops[-1])}, job {_run(jobs[-1])}", flush=True)
        if min(len(a), len(b)) >= QUIET_RUNS or len(jobs) >= MOST_RUNS:
            break
    print(f"  quiet: {len(a)} of {len(loops)} runs of the loop, {len(b)} of the job", flush=True)
    if not (a and b):
        raise SystemExit("the machine was never quiet: nothing was measured")
    return Runs(a, b)


def _run(figures: dict[str, float]) -> str:
    return f"{figures['us']:.2f} us (pace {figures['pace']:.2f})"


def say_added(name: str, found: Runs, bar: Bar) -> bool:
    """Print the closing line of a benchmark of two sides: what the job costs above the loop."""
    by_hand = middle(found.loop)
    detail = f"loop {by_hand:.2f} us a message, job {middle(found.job):.2f} us"
    return say(name, [job - by_hand for job in found.job], "us", bar, detail)


def say(name: str, values: Sequence[float], unit: str, bar: Bar, detail: str = "") -> bool:
    """Print the closing line of a benchmark; whether its bar holds."""
    value = statistics.median(values)
    holds = bar.held_by(value)
    if detail:
        print(f"  {detail}")
    print(
        f"bench {name} {value:.3g} {unit} ({min(values):.3g}-{max(values):.3g}, {len(values)}) "
        f"bar {bar}: {'holds' if holds else 'falls short'}",
        flush=True,
    )
    return holds


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)
