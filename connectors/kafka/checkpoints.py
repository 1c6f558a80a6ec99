"""Checkpoints and changelogs in a compacted topic of Kafka, safe with any number of containers.

How it works, from the bottom up: ``checkpoint_records`` says what stands in the topic,
``checkpoint_log`` appends and reads, ``checkpoint_history`` has the rule by which records count,
``checkpoint_reading`` brings it up to date, ``checkpoint_owner`` claims a task and commits,
``checkpoint_topic`` makes the topic and shares out its partitions, one a task.

A checkpoint and the changes beside it are one batch of one partition, which a broker appends as a
whole or not at all. That makes them one step without a transaction: a commit is one request. The
price is that a commit must fit into one batch (``max.message.bytes`` of the topic, 64 MiB where it
is made here).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from samza_py.admin import Planned
from samza_py.checkpoint import (
    Change,
    Changes,
    Checkpoint,
    Checkpoints,
    CheckpointStore,
    Claim,
    Grant,
)
from samza_py.connectors.kafka.brokers import Brokers
from samza_py.connectors.kafka.checking import check_count
from samza_py.connectors.kafka.checkpoint_history import History
from samza_py.connectors.kafka.checkpoint_owner import Owner, claimed
from samza_py.connectors.kafka.checkpoint_reading import catch_up, newest
from samza_py.connectors.kafka.checkpoint_topic import CheckpointTopic
from samza_py.connectors.kafka.topics import check_topic_name
from samza_py.errors import CheckpointError, ConfigError, FencedError, UnavailableError
from samza_py.transaction import Transaction

if TYPE_CHECKING:
    from samza_py.connectors.kafka.system import Kafka

_SUFFIX: Final = ".checkpoints"
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]")


class KafkaCheckpoints(Checkpoints):
    """Checkpoints and changelogs of a job in a compacted topic. For any number of containers.

    Args:
        kafka: the cluster.
        topic: its name; ``JOB.checkpoints`` by default. It is made when a task is first opened.
        replicas: of each of its partitions, where it is made; the broker's default by default.

    Raises:
        ConfigError: a setting is wrong.
    """

    shared = True
    durable = True

    def __init__(self, kafka: Kafka, topic: str | None = None, replicas: int | None = None) -> None:
        from samza_py.connectors.kafka.system import Kafka  # which imports this module

        if not isinstance(cast("object", kafka), Kafka):
            why = "must be a Kafka: KafkaCheckpoints(Kafka('localhost:9092'))"
            raise ConfigError("KafkaCheckpoints.kafka", why, kafka)
        if topic is not None:
            check_topic_name(topic, "KafkaCheckpoints.topic")
        if replicas is not None:
            check_count(replicas, "KafkaCheckpoints.replicas")
        self.kafka = kafka
        self.replicas = replicas
        self._topic = topic

    def within(self, declared: Mapping[str, Any], merged: Mapping[str, Any]) -> Checkpoints:
        """In the cluster as it is after merging, where it is one of the job's systems."""
        name = self.kafka.name
        if declared.get(name) != self.kafka:
            return self  # another cluster, of the same name perhaps
        return KafkaCheckpoints(merged[name], self._topic, self.replicas)

    def topic_of(self, job: str) -> str:
        """The name of the topic for the job of this name."""
        if self._topic is not None:
            return self._topic
        valid = _NOT_IN_NAMES.sub("_", job)
        if valid != job or len(valid) + len(_SUFFIX) > 249:
            # Two jobs must not come to have one name.
            valid = f"{valid[:200]}-{hashlib.sha256(job.encode()).hexdigest()[:16]}"
        return valid + _SUFFIX

    def store(self, job: str) -> CheckpointStore:
        """A new, unopened store for the job of this name."""
        brokers = Brokers(self.kafka.cluster)
        return KafkaCheckpointStore(brokers, self.topic_of(job), job, self.replicas)

    async def plan(self, job: str) -> Sequence[Planned]:
        """Whether the topic would be made, and what is wrong with it; see ``Checkpoints.plan``."""
        brokers = Brokers(self.kafka.cluster)
        await brokers.start()
        try:
            change = await CheckpointTopic(brokers, self.topic_of(job), job, self.replicas).plan()
        finally:
            await brokers.stop()
        if change is None:
            return []
        return [Planned(change.stream, change.text, change.creation is not None)]

    def location(self, job: str) -> str:
        """The topic and its cluster, for people."""
        return f"topic {self.topic_of(job)} of {self.kafka.cluster.at}"

    def __repr__(self) -> str:
        return f"<KafkaCheckpoints {self._topic or 'JOB' + _SUFFIX} of {self.kafka.cluster.at}>"


class KafkaCheckpointStore(CheckpointStore):
    """The store of one container. Made by ``KafkaCheckpoints.store``.

    Every request ends within the request timeout. All methods raise ``UnavailableError`` where the
    brokers are away, and ``ConnectorError`` where they refuse.

    Args:
        brokers: of the cluster, not started.
        topic: its name.
        job: whose it is.
        replicas: of each partition, where it is made.
    """

    def __init__(self, brokers: Brokers, topic: str, job: str, replicas: int | None) -> None:
        self._brokers = brokers
        self._topic = CheckpointTopic(brokers, topic, job, replicas)
        self._job = job
        self._owners: dict[str, Owner] = {}
        self._seen: dict[int, History] = {}
        self._reading = asyncio.Lock()

    async def aopen(self) -> None:
        """Connect; see ``Cluster.started`` for what it raises."""
        await self._brokers.start()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._brokers.stop()

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        """Claim a task, then read its checkpoint; see ``CheckpointStore.open``."""
        partition = await self._topic.partition_for(grant.task)
        owner = await claimed(self._topic.log, partition, grant.task)
        found = owner.newest()
        self._owners[grant.task] = owner
        return Claim(grant.task, owner.epoch, owner, self._job), found

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        """Append both as one batch; see ``CheckpointStore.write``.

        Cancelling it leaves its outcome unknown, as ``UnavailableError`` does.
        """
        if within is not None:
            raise CheckpointError("Kafka checkpoints are not written within a transaction")
        if checkpoint.epoch != claim.epoch:
            raise CheckpointError(
                f"task {claim.task}: a checkpoint of epoch {checkpoint.epoch} under a claim of "
                f"epoch {claim.epoch}"
            )
        await _owner(claim).write(checkpoint, changes or {})

    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        """Read back a store's entries as of the newest checkpoint, whose marker this has to be."""
        async for changes in _owner(claim).restore(store, marker):
            yield changes

    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        """The newest checkpoints; see ``CheckpointStore.read``."""
        found: dict[str, Checkpoint] = {}
        async with self._reading:
            known = await self._topic.partitions()
            asked = known if tasks is None else tasks
            wanted = {task: known[task] for task in asked if task in known}
            for task in wanted:
                await self._settle(task)
            ends = await self._topic.log.ends(wanted.values())
            for task, partition in wanted.items():
                checkpoint = await self._read(task, partition, ends.get(partition))
                if checkpoint is not None:
                    found[task] = checkpoint
        return found

    async def release(self, claim: Claim) -> None:
        """Give a task up: nothing more can be written under this claim."""
        owner = _owner(claim)
        owner.released = True
        if self._owners.get(claim.task) is owner:
            del self._owners[claim.task]

    async def _settle(self, task: str) -> None:
        owner = self._owners.get(task)
        if owner is not None:
            try:
                await owner.settle()
            except FencedError:  # A newer owner's claim has settled it; ours, perhaps.
                if self._owners.get(task) is owner:
                    del self._owners[task]

    async def _read(self, task: str, partition: int, end: int | None) -> Checkpoint | None:
        log = self._topic.log
        if end is None:
            if task in self._owners or partition in self._seen:
                why = "the broker that was asked does not know it yet"
                raise UnavailableError(f"{log.place(partition)}: {why}")
            return None  # it has a name already, and is about to get its partition
        owner = self._owners.get(task)
        if owner is not None:  # It has read all of it; a reader of its own would begin at 0.
            return await owner.read(end)
        history = self._seen.get(partition) or History(log.place(partition), task, entries=False)
        await catch_up(history, log, partition, end)
        self._seen[partition] = history
        return newest(history)


def _owner(claim: Claim) -> Owner:
    if not isinstance(claim.detail, Owner):
        raise CheckpointError(f"task {claim.task}: the claim is one of another store")
    return claim.detail
