"""What a process uses, sampled while it runs, and whether that grows."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import median

MOST_MB_PER_MIN = 1.0
NOISE_MB = 4.0
"""What a run of a minute may grow by in all: the buffers that its one outage fills."""
WARM_UP = 1 / 4
"""Of the samples: caches fill up, the allocator has not seen its peak yet."""
LONGEST_WARM_UP_S = 120.0
MOVES = {"files": 0, "threads": 0, "processes": 0, "children": 5}
"""What is counted, and by how much its median may move: calls come and go as children."""


@dataclass(frozen=True)
class Usage:
    """One sample.

    Attributes:
        at_s: when it was taken, on any clock.
        rss_mb: resident memory.
        files: open file descriptors.
        threads: of the process.
        processes: that it has started and that still run.
        children: of its loop, as it says itself.
        handled: messages, as it says itself.
    """

    at_s: float
    rss_mb: float
    files: int
    threads: int
    processes: int
    children: int
    handled: int


def usage_of(pid: int, at_s: float, said: Path) -> Usage:
    """Look at a process.

    Args:
        pid: of a process that runs.
        at_s: when that is.
        said: where it says how many children and messages there are; empty until it has begun.
    """
    process = Path(f"/proc/{pid}")
    rss = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert rss is not None, f"{pid} has ended"
    threads = os.listdir(process / "task")
    begun = [(process / "task" / one / "children").read_text().split() for one in threads]
    words = said.read_text().split() or ["0", "0"]
    return Usage(
        at_s=at_s,
        rss_mb=int(rss[1]) / 1024,
        files=len(os.listdir(process / "fd")),
        threads=len(threads),
        processes=sum(map(len, begun)),
        children=int(words[0]),
        handled=int(words[1]),
    )


def settled(samples: Sequence[Usage]) -> Sequence[Usage]:
    """The samples behind the warm-up."""
    began, ended = samples[0].at_s, samples[-1].at_s
    warm_s = began + min(WARM_UP * (ended - began), LONGEST_WARM_UP_S)
    return [one for one in samples if one.at_s >= warm_s]


@dataclass(frozen=True)
class Slope:
    """By how much memory grows, in MB a minute.

    Attributes:
        middle: the median of the slopes between any two samples that lie a third of the time or
            more apart (Theil and Sen): neither a peak nor a broker that was away turns it.
        low: a twentieth of those slopes are smaller.
        high: a twentieth are larger.
    """

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:+.2f} MB/min ({self.low:+.2f} to {self.high:+.2f})"


def slope_of(samples: Sequence[Usage]) -> Slope:
    """Fit the memory of samples that span some time."""
    apart_s = (samples[-1].at_s - samples[0].at_s) / 3
    slopes = sorted(
        (b.rss_mb - a.rss_mb) / (b.at_s - a.at_s) * 60
        for a, b in combinations(samples, 2)
        if b.at_s - a.at_s >= apart_s
    )
    edge = len(slopes) // 20
    return Slope(median(slopes), slopes[edge], slopes[-1 - edge])


def complaints(samples: Sequence[Usage]) -> list[str]:
    """What grows in them, in words.

    Memory is judged by its slope, all else by its medians in the first and the last third.

    Args:
        samples: in order, from the start of the process.
    """
    judged = settled(samples)
    minutes = (judged[-1].at_s - judged[0].at_s) / 60
    slope, allowed = slope_of(judged), max(MOST_MB_PER_MIN, NOISE_MB / minutes)
    found = [f"memory grows by {slope}, allowed is {allowed:.2f}"] if slope.middle > allowed else []
    third = len(judged) // 3
    for name, moves in MOVES.items():
        counts = _counts(judged, name)
        first, last = median(counts[:third]), median(counts[-third:])
        if last > first + moves:
            found.append(f"{name} grew from {first:g} to {last:g}")
    return found


def shown(samples: Sequence[Usage]) -> str:
    """The figures of samples behind the warm-up, with their spread, in a line."""
    judged = settled(samples)
    spans = [f"{name} {_span(_counts(judged, name))}" for name in MOVES]
    memory = [one.rss_mb for one in judged]
    return (
        f"memory {min(memory):.1f} to {max(memory):.1f} MB, {slope_of(judged)} "
        f"over {(judged[-1].at_s - judged[0].at_s) / 60:.1f} min; {', '.join(spans)}"
    )


def _counts(samples: Sequence[Usage], name: str) -> list[int]:
    return [getattr(one, name) for one in samples]


def _span(counts: Sequence[int]) -> str:
    """The median of counts, and where they moved their ends."""
    moved = f" ({min(counts)} to {max(counts)})" if min(counts) < max(counts) else ""
    return f"{median(counts):g}{moved}"
