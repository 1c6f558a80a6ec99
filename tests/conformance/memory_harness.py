"""The memory system as the conformance suite wants to have it; what the saboteurs break, too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count

from samza_py.checkpoint import Checkpoints
from samza_py.connectors.memory import Fault, Faults, Memory, MemoryStream
from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Outgoing, Partition
from samza_py.producer import Limits, Promise, Requests, Retry
from samza_py.testing import Capability, CheckpointsHarness, ConnectorHarness

ABILITIES = {
    Capability.READS,
    Capability.WRITES,
    Capability.PARTITIONS,
    Capability.GROWS,
    Capability.ENDS,
    Capability.PARENTS,
    Capability.LINEAGE,
    Capability.CHOOSES_PARTITION,
    Capability.KEEPS_KEYS,
    Capability.KEEPS_HEADERS,
    Capability.KEEPS_TIMESTAMPS,
    Capability.KEEPS_TOMBSTONES,
    Capability.TELLS_MISSING,
    Capability.FINDS_TIMES,
    Capability.CREATES,
    Capability.TRIMS,
    Capability.TELLS_REMAINING,
    Capability.UNDECODABLE,
    Capability.REJECTS,
    Capability.READ_FAULTS,
    Capability.WRITE_FAULTS,
}


class SwitchedFaults(Faults):
    """Faults that a check turns on and off."""

    def __init__(self) -> None:
        self.failing: str | None = None
        self.writes_fail = False

    def messages(self, client: str, batch: Sequence[Outgoing]) -> Mapping[int, Fault]:
        if not self.writes_fail:
            return {}
        fault = Fault(Retry(UnavailableError("the harness made writing fail")))
        return dict.fromkeys(range(len(batch)), fault)

    def partition(self, client: str, partition: Partition) -> ConnectorError | None:
        if partition.id != self.failing:
            return None
        return UnavailableError(f"the harness made {partition} fail")


class MemoryHarness(ConnectorHarness):
    """A broker of its own, with one stream of two partitions to read and to write."""

    capabilities: Collection[Capability] = ABILITIES
    promise = Promise.AT_LEAST_ONCE
    requests = Requests.ORDERED
    limits = Limits()
    quiet_s = 0.03

    def __init__(self) -> None:
        self.faults = SwitchedFaults()
        self._children = count()
        self._system = Memory(
            "shop", promise=self.promise, requests=self.requests, limits=self.limits
        )

    async def aopen(self) -> None:
        self.system.broker.faults = self.faults
        self.source.declare(self.system.broker)

    @property
    def system(self) -> Memory:
        return self._system

    @property
    def source(self) -> MemoryStream[bytes, bytes]:
        return self._system.stream(
            "orders",
            physical="orders-v2",
            partitions=2,
            max_message_bytes=4 << 20,
            create=False,
        )

    @property
    def missing(self) -> MemoryStream[bytes, bytes]:
        return self._system.stream("nobody", physical="nobody-v2", create=False)

    async def put(self, partition: str, messages: Sequence[Outgoing]) -> None:
        for m in messages:
            self.system.put_raw(
                self.source,
                m.key,
                m.value,
                partition=partition,
                timestamp_ms=m.timestamp_ms,
                headers=m.headers,
            )

    async def arrived(self) -> Mapping[str, Sequence[Outgoing]]:
        found: dict[str, list[Outgoing]] = {}
        for m in self.system.read_raw(self.source):
            message = Outgoing("orders", m.raw_key, m.raw_value, m.timestamp_ms, headers=m.headers)
            found.setdefault(m.partition.id, []).append(message)
        return found

    async def put_undecodable(self, partition: str) -> None:
        self.system.put_undecodable(self.source, b"\xff\xff", partition=partition)

    async def end(self, partition: str) -> None:
        self.system.broker.topic("orders-v2").log(partition).close()

    def unacceptable(self, number: int) -> Outgoing:
        return self.message(number, 5 << 20)

    async def fail_reading(self, partition: str) -> None:
        self.faults.failing = partition

    async def fail_writing(self) -> None:
        self.faults.writes_fail = True

    async def heal(self) -> None:
        self.faults.failing, self.faults.writes_fail = None, False

    async def follow(self, partition: str) -> Collection[str]:
        children = [f"child-{next(self._children)}", f"child-{next(self._children)}"]
        self.system.split(self.source, partition, *children)
        return children

    async def recreate(self) -> None:
        self.system.recreate(self.source)


class LostAnswer(Faults):
    """The answer to one write of a checkpoint gets lost, once it is told to."""

    def __init__(self) -> None:
        self.wanted = False

    async def after(self, operation: str, client: str) -> None:
        if operation == "checkpoint" and self.wanted:
            self.wanted = False
            raise UnavailableError("the harness lost the answer")


class MemoryCheckpointsHarness(CheckpointsHarness):
    """The checkpoints of a broker of its own."""

    capabilities: Collection[Capability] = {
        Capability.REOPENS,
        Capability.FENCES,
        Capability.CHANGELOG,
        Capability.DAMAGE,
        Capability.LOSES_ANSWERS,
    }

    def __init__(self) -> None:
        self.memory = Memory()
        self.answers = LostAnswer()

    async def lose_answer(self) -> None:
        self.memory.broker.faults = self.answers
        self.answers.wanted = True

    @property
    def checkpoints(self) -> Checkpoints:
        return self.memory.checkpoints()

    async def damage(self, job: str) -> None:
        kept = self.memory.broker.jobs[job].checkpoints
        kept.update({task: stored[:-2] for task, stored in kept.items()})
