"""A call of 10 ms for each message, 64 and 512 at once: throughput and CPU against hand loops."""

from __future__ import annotations

import sys

from benchmarks.measuring import PAIRS, Bar, measured, middle, say

MESSAGES = {64: "20000", 512: "80000"}


def main() -> bool:
    """Measure in rounds of three; whether all bars hold."""
    held = [measure(concurrency) for concurrency in MESSAGES]
    return all(held)


def measure(concurrency: int) -> bool:
    """One concurrency: the job, bare workers and the semaphore loop in turn."""
    count = MESSAGES[concurrency]
    loop, job = "benchmarks.loops.awaited_calls", "benchmarks.jobs.awaited_calls"
    throughput: list[float] = []
    cpu: list[float] = []
    seen: list[tuple[float, float, float, float]] = []
    for number in range(PAIRS + 1):
        workers = measured(loop, "workers", str(concurrency), count)
        ours = measured(job, str(concurrency), count)
        semaphore = measured(loop, "semaphore", str(concurrency), count)
        if number == 0:
            continue  # the first round warms the machine up
        throughput.append(ours["per_s"] / workers["per_s"])
        cpu.append(ours["us"] / semaphore["us"])
        seen.append((ours["per_s"], workers["per_s"], ours["us"], semaphore["us"]))
        print(f"  round {number} of {PAIRS}: job {ours}, workers {workers}, semaphore {semaphore}")
    per_s, workers_per_s, us, semaphore_us = (middle(column) for column in zip(*seen, strict=True))
    name = f"awaited_calls_{concurrency}"
    fast = f"job {per_s:.0f} messages/s, bare workers {workers_per_s:.0f}"
    cheap = f"job {us:.1f} us CPU a message, semaphore loop {semaphore_us:.1f} us"
    held = say(f"{name}_throughput", throughput, "x", Bar(0.95, "high"), fast)
    return say(f"{name}_cpu", cpu, "x", Bar(1.3), cheap) and held


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
