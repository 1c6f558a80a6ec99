"""A stored checkpoint, read as the JSON that it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.simulator.handling import Source


class Snapshot:
    """What a checkpoint says.

    Args:
        data: its bytes.
        ends: how many records each partition of the input has.

    Attributes:
        covered: the messages that it says are finished.
        partitions: those that it speaks of.
        ended: those that it says are read to their ends.
        over: there is nothing left to do for the task.
        stores: the marker of each store.
        timers: those that are set.
        tokens: what is staged, by output.
    """

    def __init__(self, data: bytes, ends: Mapping[str, int]) -> None:
        stored: dict[str, Any] = json.loads(data)
        self.epoch: int = stored["epoch"]
        self.number: int = stored["number"]
        self.stores: dict[str, str] = stored.get("stores", {})
        self.timers: dict[str, int] = stored.get("control", {}).get("timers", {})
        self.over: bool = stored.get("control", {}).get("ended", False)
        self.tokens: dict[str, list[str]] = stored.get("outputs", {})
        self.covered: set[Source] = set()
        self.partitions: set[str] = set()
        self.ended: set[str] = set()
        for one in stored.get("inputs", []):
            self._read(one, ends)

    def _read(self, one: dict[str, Any], ends: Mapping[str, int]) -> None:
        partition: str = one["partition"]
        self.partitions.add(partition)
        if one.get("after") is None:
            self.ended.add(partition)
        after = ends[partition] - 1 if one.get("after") is None else int(one["after"])
        self.covered.update((partition, at) for at in range(after + 1))
        for first, last in one.get("done", []):
            self.covered.update((partition, at) for at in range(int(first), int(last) + 1))
