"""Runs the two sides of a benchmark in turn, each in a process of its own, and says the result."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

PAIRS = 7
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


def pairs(
    first: Callable[[], dict[str, float]],
    second: Callable[[], dict[str, float]],
    count: int = PAIRS,
) -> list[tuple[dict[str, float], dict[str, float]]]:
    """Measure two things in turn, ``count`` times; one round before that is not counted."""
    first()
    second()
    found: list[tuple[dict[str, float], dict[str, float]]] = []
    for number in range(count):
        found.append((first(), second()))
        print(f"  pair {number + 1} of {count}: {found[-1][0]} | {found[-1][1]}", flush=True)
    return found


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
