"""Shows how far a job has come to the tools that people have: as offsets of a consumer group.

The group has the job's name and never a member. A job does not read it: its positions are in its
checkpoints. What stands here is a copy, some seconds old at most, for lag monitors and
``kafka-consumer-groups``; where it cannot be written that is said once, and the job goes on. An
outage is said by who reads and writes, and here only where it is the group's alone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from samza_py.connectors.kafka.brokers import Brokers, failed
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.library import library
from samza_py.connectors.kafka.offsets import At
from samza_py.errors import SamzaError, UnavailableError
from samza_py.message import END, Position, TaskPartition

logger = logging.getLogger(__name__)

EVERY_S: Final = 2.0
CLOSE_S: Final = 2.0
OUTAGE_S: Final = 120.0
"""For how long the group may be away before that is said: longer than brokers are."""
_AGAIN: Final = (
    "GroupCoordinatorNotAvailableError",
    "GroupLoadInProgressError",
    "NotCoordinatorForGroupError",
)


class GroupOffsets:
    """Copies positions to the group of a job, every so often and at the end.

    Args:
        cluster: where.
        physical: the broker's name of each input, by logical name.
    """

    def __init__(self, cluster: Cluster, physical: Mapping[str, str]) -> None:
        self._brokers = Brokers(cluster)
        self._physical = physical
        self._group = ""
        self._positions: dict[TaskPartition, int] = {}
        self._gone: set[TaskPartition] = set()
        self._written: dict[At, int] = {}
        self._wanted = asyncio.Event()
        self._child: asyncio.Task[None] | None = None
        self._said = False
        self._away_since: float | None = None
        self._started = False

    def note(self, group: str, positions: Mapping[TaskPartition, Position]) -> None:
        """Hear of a checkpoint. Does not wait; a child writes it later."""
        self._group = group
        for key, position in positions.items():
            if position is not END:
                self._positions[key] = int(position) + 1
                self._gone.discard(key)
        self._wanted.set()
        if self._child is None:
            self._child = asyncio.ensure_future(self._run())

    def forget(self, key: TaskPartition) -> None:
        """Copy no more for a partition that is given up, once its last position is written."""
        self._gone.add(key)

    async def aclose(self) -> None:
        """Write what is not written yet, if that takes no longer than ``CLOSE_S``."""
        child, self._child = self._child, None
        if child is not None:
            child.cancel()
            with suppress(asyncio.CancelledError):
                await child
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._write()
        await self._brokers.stop()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(EVERY_S)
            self._wanted.clear()
            await self._write()

    async def _write(self) -> None:
        """Write what has changed; what fails is written with the next."""
        changed = {at: n for at, n in self._lowest().items() if self._written.get(at) != n}
        for key in self._gone:
            self._positions.pop(key, None)
        self._gone.clear()
        if not changed:
            return
        try:
            if not self._started:
                await self._brokers.start()
                self._started = True
            await self._brokers.answered(
                f"showing the offsets of group {self._group}", lambda: self._ask(changed), _AGAIN
            )
        except SamzaError as error:
            self._away_since = self._away_since or time.monotonic()
            if not _is_away(error) or time.monotonic() - self._away_since >= OUTAGE_S:
                self._say(error)
        else:
            self._away_since = None
            self._written |= changed

    def _say(self, error: SamzaError) -> None:
        if not self._said:
            logger.warning("lag monitors do not see how far the job has come: %s", error)
        self._said = True

    def _lowest(self) -> dict[At, int]:
        """By partition; of two tasks that read one, the one that has come less far."""
        found: dict[At, int] = {}
        for key, offset in self._positions.items():
            at = self._physical[key.partition.stream], int(key.partition.id)
            found[at] = min(offset, found.get(at, offset))
        return found

    async def _ask(self, offsets: Mapping[At, int]) -> None:
        coordination = library("aiokafka.protocol.coordination")
        found = await self._brokers.ask(coordination.FindCoordinatorRequest(self._group, 0))
        failed(found.error_code, f"group {self._group}")
        topics: dict[str, list[tuple[int, int, str]]] = {}
        for (topic, partition), offset in offsets.items():
            topics.setdefault(topic, []).append((partition, offset, ""))
        make: Any = library("aiokafka.protocol.commit").OffsetCommitRequest
        # No generation, no member: the broker takes it as long as the group has no members.
        request = make(self._group, -1, "", -1, list(topics.items()))
        answer = await self._brokers.ask(request, found.coordinator_id)
        for topic, partitions in answer.topics:
            for partition, code in partitions:
                failed(code, f"group {self._group}: {topic}[{partition}]")


def _is_away(error: SamzaError) -> bool:
    """Whether nobody was there to answer; a refusal is an answer."""
    cause = error.__cause__
    answered = isinstance(cause, library("aiokafka.errors").BrokerResponseError)
    return isinstance(error, UnavailableError) and (not answered or type(cause).__name__ in _AGAIN)
