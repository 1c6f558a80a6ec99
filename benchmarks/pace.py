"""How fast the machine is just now, so that a figure can say whether it was disturbed."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from benchmarks.orders import Order, priced, raw_orders

T = TypeVar("T")

_WORK = [value for _, value in raw_orders(1000)]
_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Paced(Generic[T]):
    """What a call gave, and what it took.

    Attributes:
        result: what it gave.
        cpu_s: its CPU time in seconds.
        wall_s: its time on the wall in seconds.
        pace: CPU time in microseconds for one order of a fixed piece of work, in front of the call
            or behind it, whichever was longer.
    """

    result: T
    cpu_s: float
    wall_s: float
    pace: float


def paced(work: Callable[[], T]) -> Paced[T]:
    """Call something, and take the machine's pace around it."""
    _pace()  # the first one loads what it needs into the caches
    before = _pace()
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    cpu_s, wall_s = time.process_time() - cpu, time.perf_counter() - wall
    return Paced(result, cpu_s, wall_s, max(before, _pace()))


def _pace() -> float:
    """Decode, work on and encode orders, and keep more of them than the nearest cache holds."""
    collects = gc.isenabled()
    gc.disable()  # how often it would collect depends on who else has set it up
    decode, encode = msgspec.json.Decoder(Order).decode, msgspec.json.Encoder().encode
    began = time.process_time()
    for _ in range(_ROUNDS):
        kept = [decode(value) for value in _WORK]
        for order in kept:
            encode(priced(order))
    cpu_s = time.process_time() - began
    if collects:
        gc.enable()
    return cpu_s / len(_WORK) / _ROUNDS * 1e6


def most_memory_mb() -> float:
    """The largest resident set of this process; ``ru_maxrss`` may be its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class Stopwatch:
    """Measures what happens between its making and ``stop``, and the machine's pace around it."""

    def __init__(self) -> None:
        _pace()
        self._pace = _pace()
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        self._cpu_s = self._wall_s = 0.0

    def stop(self) -> None:
        """Measure up to here."""
        self._cpu_s = time.process_time() - self._cpu
        self._wall_s = time.perf_counter() - self._wall
        self._pace = max(self._pace, _pace())

    def figures(self, count: int) -> dict[str, float]:
        """CPU microseconds a message, messages a second, the pace, the largest resident set."""
        us, per_s = self._cpu_s / count * 1e6, count / self._wall_s
        return {"us": us, "per_s": per_s, "pace": self._pace, "rss_mb": most_memory_mb()}
