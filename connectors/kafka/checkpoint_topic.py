"""The topic of a job's checkpoints: how it is made, how it grows, and which partition is whose.

Partition 0 is the directory. It holds one record for each task, appended when the task is first
opened; the task's partition is its place among the different names there, counted from 1. All
read the same order, so containers that register tasks at the same time agree without a lock, and
a name that was appended twice counts once. Nothing in it is ever deleted or written over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from samza_py.connectors.kafka.brokers import Brokers, failed
from samza_py.connectors.kafka.checkpoint_log import TopicLog
from samza_py.connectors.kafka.checkpoint_records import (
    VERSION,
    Named,
    decode,
    encode,
    kind_of,
    new_key,
    unknown,
)
from samza_py.connectors.kafka.creating import (
    BROKERS_DEFAULT,
    Change,
    Creation,
    create,
    making,
    validated,
)
from samza_py.connectors.kafka.library import library
from samza_py.connectors.kafka.topic_ids import topics_found, topics_there
from samza_py.errors import CheckpointError, ConnectorError, UnavailableError

DIRECTORY: Final = 0
FIRST_PARTITIONS: Final = 8
PLANNED_AS: Final = "checkpoints"

MAX_COMMIT_BYTES: Final = 64 << 20
CONFIG: Final = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(MAX_COMMIT_BYTES),
    # What was acknowledged is not to be given up for being available.
    "unclean.leader.election.enable": "false",
    # How long a deletion is seen: nobody may read for longer (see ``checkpoint_owner.catch_up``).
    "delete.retention.ms": str(24 * 60 * 60 * 1000),
    # No smaller than a batch may be. Only closed segments are compacted: at the latest in a day.
    "segment.bytes": str(128 << 20),
    "segment.ms": str(24 * 60 * 60 * 1000),
}


class CheckpointTopic:
    """The topic of one job.

    Args:
        brokers: of its cluster.
        topic: its name.
        job: whose it is.
        replicas: of each partition, where it is made; the broker's default by default.
    """

    def __init__(self, brokers: Brokers, topic: str, job: str, replicas: int | None) -> None:
        self.log = TopicLog(brokers, topic)
        self._brokers = brokers
        self._job = job
        self._replicas = BROKERS_DEFAULT if replicas is None else replicas
        self._partitions: dict[str, int] = {}
        self._position = 0
        self._count = 0
        self._wanted: list[str] = []
        self._ready = False
        self._lock = asyncio.Lock()

    async def partition_for(self, task: str) -> int:
        """The partition of a task, which is given one, and the topic made, where need be.

        Raises:
            UnavailableError: try again; the task may have got its partition.
            CheckpointError: the topic is another job's, or would lose checkpoints.
            ConnectorError: the brokers refuse.
        """
        self._wanted.append(task)
        try:
            async with self._lock:
                if not self._ready:
                    await self._make_ready()
                if task not in self._partitions:
                    await self._register()
                partition = self._partitions[task]
                if partition >= self._count:
                    await self._grow(len(self._partitions) + 1)
                return partition
        finally:
            self._wanted.remove(task)

    async def partitions(self) -> Mapping[str, int]:
        """The partitions of all tasks; none where there is no topic. Makes nothing."""
        async with self._lock:
            if not self._ready:
                if not await self._is_there():
                    return {}
                await self._make_ready()
            await self._refresh()
            return dict(self._partitions)

    async def plan(self) -> Change | None:
        """What the first task that is opened would make, or be refused by. Makes nothing.

        Raises:
            UnavailableError: the brokers do not answer.
        """
        if not await self._is_there():
            return await validated(self._brokers, making(PLANNED_AS, self._creation()))
        try:
            await self.partitions()
        except UnavailableError:
            raise
        except (CheckpointError, ConnectorError) as error:
            return Change(PLANNED_AS, str(error))
        return None

    def _creation(self) -> Creation:
        return Creation(self.log.topic, FIRST_PARTITIONS, self._replicas, CONFIG)

    async def _is_there(self) -> bool:
        async def ask() -> bool:
            return bool(await topics_found(self._brokers, [self.log.topic]))

        return await self._brokers.answered(f"looking at topic {self.log.topic}", ask)

    async def _make_ready(self) -> None:
        topic = self.log.topic
        if not await self._is_there():
            await create(self._brokers, self._creation())

        async def ask() -> Mapping[str, str | None]:
            return await self._brokers.configs(topic, ["cleanup.policy", "max.message.bytes"])

        config = await self._brokers.answered(f"reading the settings of topic {topic}", ask)
        if config.get("cleanup.policy") != "compact":
            raise CheckpointError(
                f"topic {topic} of {self._brokers.cluster.at} has cleanup.policy="
                f"{config.get('cleanup.policy')}, by which checkpoints would be lost: set it to "
                "compact (kafka-configs --alter), or name another topic"
            )
        self.log.limit = int(config.get("max.message.bytes") or self.log.limit)
        self._ready = True

    async def _register(self) -> None:
        """Give all tasks that wait here a place in the directory."""
        await self._refresh()
        new = [task for task in dict.fromkeys(self._wanted) if task not in self._partitions]
        if new:
            names = [encode(Named(VERSION, self._job, task)) for task in new]
            await self.log.append(DIRECTORY, [(new_key("task"), name) for name in names])
            await self._refresh()

    async def _refresh(self) -> None:
        end = await self.log.end(DIRECTORY)
        names = dict(self._partitions)
        async for records in self.log.read(DIRECTORY, self._position, end):
            for record in records:
                where = f"{self.log.place(DIRECTORY)} offset {record.offset}"
                if kind_of(record.key) != b"task" or record.value is None:
                    raise unknown(record.key, where)
                named = decode(record.value, Named, where)
                if named.job != self._job:
                    raise CheckpointError(
                        f"topic {self.log.topic} of {self._brokers.cluster.at} holds the "
                        f"checkpoints of job {named.job!r}: name another topic for {self._job!r}"
                    )
                names.setdefault(named.task, len(names) + 1)
        self._partitions, self._position = names, end

    async def _grow(self, count: int) -> None:
        """See that there are so many partitions; by doubling, so that it is seldom done."""
        topic = self.log.topic
        make = library("aiokafka.protocol.admin").CreatePartitionsRequest
        milliseconds = int(self._brokers.cluster.request_timeout_s * 1000)

        async def look() -> int:
            found = (await topics_there(self._brokers, [topic])).get(topic)
            return 0 if found is None else len(found.leaders)

        async def ask() -> None:
            wanted = FIRST_PARTITIONS
            while wanted < count:
                wanted *= 2
            request = make([(topic, (wanted, None))], milliseconds, False)
            answer = await self._brokers.ask_controller(request)
            for _, code, message in answer.topic_errors:
                if library("aiokafka.errors").for_code(code).__name__ != "InvalidPartitionsError":
                    failed(code, message)  # The other means: another container was faster.

        async def usable() -> int:
            if (there := await look()) < count:
                raise library("aiokafka.errors").LeaderNotAvailableError(topic)
            return there

        self._count = await self._brokers.answered(f"looking at topic {topic}", look)
        if self._count < count:
            await self._brokers.answered(f"adding partitions to topic {topic}", ask)
            what = f"waiting for partitions of topic {topic}"
            self._count = await self._brokers.answered(what, usable)
