"""Follows what a job on Kafka writes, and tells what of it no checkpoint has yet."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from samza_py.checkpoint import Checkpoint
from tests.services.kafka_clients import CLIENTS, client_settings, started
from tests.services.kafka_listeners import Kafka


class Numbers:
    """A set of numbers that fills up from 0: what is complete below is one number."""

    def __init__(self) -> None:
        self._below = 0
        self._beyond: set[int] = set()

    def __len__(self) -> int:
        return self._below + len(self._beyond)

    def add(self, number: int) -> None:
        """Put one in; it may be there."""
        if number >= self._below:
            self._beyond.add(number)
        while self._below in self._beyond:
            self._beyond.remove(self._below)
            self._below += 1

    def after(self, number: int) -> Iterable[int]:
        """Those that are larger, in no order."""
        yield from range(number + 1, self._below)
        yield from (one for one in self._beyond if one > number)


class Following:
    """The records that have come out of a job, each counted once.

    Every look reads on from where the last one stopped, by a client of its own: brokers may die in
    between, and a campaign of many minutes is not read again from its start.

    Args:
        brokers: the cluster.
        topics: the outputs.
    """

    def __init__(self, brokers: Kafka, topics: Collection[str]) -> None:
        self._brokers = brokers
        self._topics = topics
        self._positions: dict[Any, int] = {}
        self._done: defaultdict[int, Numbers] = defaultdict(Numbers)

    async def look(self) -> int:
        """Read on to the end; how many records there are."""
        settings = {**client_settings(self._brokers), "auto_offset_reset": "earliest"}
        async with started(CLIENTS.AIOKafkaConsumer(*self._topics, **settings)) as consumer:
            ends = await consumer.end_offsets(list(consumer.assignment()))
            for partition in ends:
                consumer.seek(partition, self._positions.get(partition, 0))
            while any([await consumer.position(one) < end for one, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    for record in records:
                        value = json.loads(record.value)
                        self._done[value["partition"]].add(value["number"])
            self._positions = {one: await consumer.position(one) for one in ends}
        return sum(map(len, self._done.values()))

    def beyond(self, checkpoints: Iterable[Checkpoint], partitions: Collection[int]) -> int:
        """How many of the records seen in some partitions are in none of the checkpoints.

        A record's offset is its number.
        """
        inputs = [found for checkpoint in checkpoints for found in checkpoint.inputs.items()]
        progress = {int(partition.id): one for partition, one in inputs}
        left = 0
        for at in partitions:
            one = progress.get(at)
            runs = [(int(run.first), int(run.last)) for run in one.done] if one else []
            for number in self._done[at].after(int(str(one.after)) if one else -1):
                left += not any(first <= number <= last for first, last in runs)
        return left
