"""What a job over Kafka holds in memory: 16 partitions with a backlog, and records of 10 MB."""

from __future__ import annotations

import sys

from benchmarks.brokers import broker, new_large_topic, new_topics
from benchmarks.measuring import Bar, measured, middle, say

ROUNDS = 3
MESSAGES = 200_000
PARTITIONS = 16
LARGE_BYTES = 10 << 20
FEW, MANY = 20, 60


def main() -> bool:
    """Measure; whether both bars hold."""
    backlog: list[float] = []
    few: list[float] = []
    many: list[float] = []
    with broker() as address:
        for _ in range(ROUNDS):
            source, target = new_topics(address, orders=MESSAGES, outputs=1, partitions=PARTITIONS)
            job = "benchmarks.jobs.kafka_map"
            backlog.append(measured(job, address, source, target, str(MESSAGES))["rss_mb"])
            for found, records in ((few, FEW), (many, MANY)):
                large = new_large_topic(address, records=records, size=LARGE_BYTES)
                job = "benchmarks.jobs.kafka_consume"
                found.append(measured(job, address, large, str(records))["rss_mb"])
    held = say("kafka_footprint", backlog, "MB", Bar(100))
    detail = f"{FEW} records of 10 MB {middle(few):.0f} MB, {MANY} of them {middle(many):.0f} MB"
    ratios = [b / a for a, b in zip(few, many, strict=True)]
    return say("kafka_large_records", ratios, "x", Bar(1.2), detail) and held


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
