"""How fast the machine is just now, so that a figure can say whether it was disturbed."""

from __future__ import annotations

import gc
import re
import time
from pathlib import Path

import msgspec

from benchmarks.orders import Order, priced, raw_orders

_WORK = [value for _, value in raw_orders(1000)]
_ROUNDS = 15


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


def _most_memory_mb() -> float:
    """The largest resident set of this process; ``ru_maxrss`` may be its parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class Stopwatch:
    """Measures what happens between its making and ``stop``.

    Attributes:
        cpu_s: CPU time in seconds.
        wall_s: time on the wall in seconds.
        rss_mb: the largest resident set of the process by then.
        pace: CPU time in microseconds for one order of a fixed piece of work, in front of it or
            behind it, whichever was longer.
    """

    def __init__(self) -> None:
        _pace()  # the first one loads what it needs into the caches
        self.pace = _pace()
        self.cpu_s = self.wall_s = self.rss_mb = 0.0
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        """Measure up to here."""
        self.cpu_s = time.process_time() - self._cpu
        self.wall_s = time.perf_counter() - self._wall
        self.rss_mb = _most_memory_mb()
        self.pace = max(self.pace, _pace())

    def figures(self, count: int) -> dict[str, float]:
        """CPU microseconds a message, messages a second, the pace, the largest resident set."""
        return {
            "us": self.cpu_s / count * 1e6,
            "per_s": count / self.wall_s,
            "pace": self.pace,
            "rss_mb": self.rss_mb,
        }
