"""Kafka to Kafka on a real broker: CPU and throughput against hand loops over the same client."""

from __future__ import annotations

import sys

from benchmarks.brokers import broker, new_topics
from benchmarks.measuring import PAIRS, QUIET, Bar, measured, middle, say

MESSAGES = 200_000


def main() -> bool:
    """Measure in rounds; whether all bars hold."""
    count = str(MESSAGES)
    rounds: list[dict[str, dict[str, float]]] = []
    with broker() as address:
        for number in range(PAIRS + 1):
            source, *out = new_topics(address, orders=MESSAGES, outputs=5)
            loop, job = "benchmarks.loops.kafka_map", "benchmarks.jobs.kafka_map"
            found = {
                "loop": measured(loop, address, source, out[0], count, "pipelined"),
                "job": measured(job, address, source, out[1], count),
                "dict loop": measured(loop, address, source, out[3], count, "dicts"),
                "dict job": measured(job, address, source, out[4], count, "dicts"),
                "waiting": measured(loop, address, source, out[2], count, "waiting"),
                "reads": measured("benchmarks.loops.kafka_consume", address, source, count),
                "consume": measured("benchmarks.jobs.kafka_consume", address, source, count),
            }
            line = ", ".join(
                f"{name} {one['us']:.2f} us {one['per_s']:.0f}/s (pace {one['pace']:.2f})"
                for name, one in found.items()
            )
            print(f"  round {number}: {line}", flush=True)
            if number:  # the first one warms the machine and the broker up
                rounds.append(found)
    return _held(rounds)


def _held(rounds: list[dict[str, dict[str, float]]]) -> bool:
    def compared(name: str, ours: str, theirs: str, figure: str, bar: Bar) -> bool:
        """Say how many times the one side's figure is the other's, round by round."""
        ratios = [found[ours][figure] / found[theirs][figure] for found in rounds]
        job, loop = (middle([found[side][figure] for found in rounds]) for side in (ours, theirs))
        return say(name, ratios, "x", bar, f"job {job:.4g}, loop {loop:.4g} ({figure})")

    paces = [run["pace"] for found in rounds for run in found.values()]
    quiet = sum(pace <= QUIET * min(paces) for pace in paces)
    print(f"  {quiet} of {len(paces)} runs were measured while the machine was quiet")
    held = [
        compared("kafka_map", "job", "loop", "us", Bar(1.4)),
        compared("kafka_map_dicts", "dict job", "dict loop", "us", Bar(1.4)),
        compared("kafka_consume", "consume", "reads", "us", Bar(1.25)),
        compared("kafka_throughput", "job", "waiting", "per_s", Bar(1.5, "high")),
    ]
    return all(held)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
