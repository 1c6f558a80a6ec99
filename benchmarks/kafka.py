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
    def ratios(one: str, other: str, figure: str) -> list[float]:
        return [found[one][figure] / found[other][figure] for found in rounds]

    def detail(one: str, other: str, figure: str) -> str:
        ours = middle([found[one][figure] for found in rounds])
        theirs = middle([found[other][figure] for found in rounds])
        return f"job {ours:.4g}, loop {theirs:.4g} ({figure})"

    paces = [run["pace"] for found in rounds for run in found.values()]
    quiet = sum(pace <= QUIET * min(paces) for pace in paces)
    print(f"  {quiet} of {len(paces)} runs were measured while the machine was quiet")
    held = [
        say("kafka_map", ratios("job", "loop", "us"), "x", Bar(1.4), detail("job", "loop", "us")),
        say(
            "kafka_map_dicts",
            ratios("dict job", "dict loop", "us"),
            "x",
            Bar(1.4),
            detail("dict job", "dict loop", "us"),
        ),
        say(
            "kafka_consume",
            ratios("consume", "reads", "us"),
            "x",
            Bar(1.25),
            detail("consume", "reads", "us"),
        ),
        say(
            "kafka_throughput",
            ratios("job", "waiting", "per_s"),
            "x",
            Bar(1.5, "high"),
            detail("job", "waiting", "per_s"),
        ),
    ]
    return all(held)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
