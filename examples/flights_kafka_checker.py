"""Counts what became of every flight in Kafka. Reads the topics with aiokafka alone.

    python -m examples.flights_kafka_checker BROKERS DATA [--seconds 12.5]

Imports nothing of samza_py. It says for each row of the flights in DATA which record must have come
of it, and compares that with all records of the topics ``delays``, ``cancelled`` and
``incomplete``, as ``flights_checker.py`` does with files. Delivery is at least once: a record that
is *doubled* is counted and allowed; one that is *lost* or *wrong* is not. Ends with the line
``demo flights-kafka: in I, out O, dead D, lost L, doubled X``, and with exit code 1 where something
is lost or wrong, or where the topic ``flights`` does not hold every row.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from examples.flights_checker import OUTPUTS, Count, closing, compare, table, told

AIOKAFKA: Any = import_module("aiokafka")
NAME = "flights-kafka"
FETCH_BYTES = 1 << 22

Records = list[tuple[str, bytes]]
"""The values of the outputs, each with the name of its topic."""


async def all_records(brokers: str) -> tuple[int, Records]:
    """How many records the topic of the flights has, and all those of the outputs."""
    async with reading(brokers, ["flights"]) as consumer:
        loaded = await consumer.end_offsets(list(consumer.assignment()))
    found: Records = []
    async with reading(brokers, OUTPUTS) as consumer:
        ends = await consumer.end_offsets(list(consumer.assignment()))
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                found += [(partition.topic, record.value) for record in records]
    return sum(loaded.values()), found


@asynccontextmanager
async def reading(brokers: str, topics: Iterable[str]) -> AsyncGenerator[Any]:
    """A client that reads every partition of some topics from its beginning."""
    consumer = AIOKAFKA.AIOKafkaConsumer(
        *topics,
        bootstrap_servers=brokers,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


def lines_of(records: Records) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The records as ``flights_checker.py`` has the lines of files."""
    for output, value in records:
        line = json.loads(value)
        if output == "incomplete":  # the flight itself, which has numbers where the file has text
            row = {name: "NA" if cell is None else str(cell) for name, cell in line.items()}
            line = {"value": json.dumps(row)}
        yield output, line


def verdict(count: Count, loaded: int) -> Iterator[str]:
    """What is to be said of the comparison, the closing line last."""
    yield from (f"  {example}" for example in count.examples if not example.startswith("doubled"))
    if count.wrong:
        yield f"  {count.wrong} records are not what the data say"
    if loaded != count.rows:
        yield f"  the topic flights has {loaded} records, the data {count.rows} rows"
    share = count.doubled / max(1, count.rows)
    yield f"  at least once: {count.doubled:,} doubled ({share:.2%} of all): finished after the"
    yield "  last checkpoint before a kill, and done again"
    yield closing(NAME, count)


def main() -> int:
    """Read, compare, tell, judge."""
    parser = argparse.ArgumentParser(description="Count what became of every flight in Kafka.")
    parser.add_argument("brokers", help="host:port")
    parser.add_argument("data", type=Path, help="the folder with flights.csv.zip and the tables")
    parser.add_argument("--seconds", type=float, help="that the job took, for the rate")
    asked = parser.parse_args()
    loaded, records = asyncio.run(all_records(asked.brokers))
    count = compare(asked.data, lines_of(records))
    names = table(asked.data, "airlines", ("carrier",), ("name",))
    for line in told(count, names, asked.seconds):
        print(line)
    for line in verdict(count, loaded):
        print(line)
    return 1 if count.lost or count.wrong or loaded != count.rows else 0


if __name__ == "__main__":
    sys.exit(main())
