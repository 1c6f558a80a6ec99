"""What a connector's author writes to have it checked: how to make one, fill it, and look inside.

A harness is made anew for every check and opened by ``async with``: ``aopen`` makes a stream that
nobody has used before, ``aclose`` removes it. Building one opens nothing, as its ``capabilities``
are read while tests are collected.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from samza_py.admin import Admin
from samza_py.checkpoint import Checkpoints, CheckpointStore, Claim
from samza_py.consumer import Consumer
from samza_py.coordination import Coordination
from samza_py.message import Message, Offset, Outgoing, Partition
from samza_py.producer import Producer
from samza_py.resource import AsyncResource
from samza_py.system import AnyStream, Input, Output, System
from samza_py.testing.conformance.capability import Capability
from samza_py.transaction import Transaction

FIRST_TIMESTAMP_MS = 1_700_000_000_000
"""The event time of message 0; each further message is a second later."""

ELSEWHERE = Partition("elsewhere", "input", "0")
"""Where the messages come from that are written: two of each source message."""


class Harness(AsyncResource):
    """What every harness has.

    Attributes:
        capabilities: what can be checked; ``left_out`` lists everything else.
        patience_s: the longest that any single answer may take before a check fails.
        quiet_s: how long a check watches to see that something does *not* happen.
    """

    capabilities: Collection[Capability] = frozenset()
    patience_s: float = 10.0
    quiet_s: float = 0.1

    async def let_work(self, amount: int) -> None:
        """Let the connector work for a little: longer for a larger amount (0 to 20).

        Used to cancel at many points. By default these are turns of the loop; a harness over a
        network waits for a part of a round trip instead.
        """
        for _ in range(amount):
            await asyncio.sleep(0)


class ConnectorHarness(Harness):
    """One system with one fresh stream to read and one to write, often the same.

    Only what the declared capabilities call for needs to be written. Faults and undecodable data
    are optional: without them their checks are left out.
    """

    @property
    @abstractmethod
    def system(self) -> System:
        """The system; every call gives the same or an equal value."""

    @property
    def source(self) -> Input[Any, Any]:
        """The stream to read. Best declared with a ``physical`` name unlike its logical one."""
        raise NotImplementedError

    @property
    def target(self) -> Output[Any, Any]:
        """The stream to write; by default the one that is read."""
        source: object = self.source
        if isinstance(source, Output):
            return source
        raise NotImplementedError

    @property
    def missing(self) -> AnyStream | None:
        """A declared stream that does not exist; None where every stream exists.

        For ``TELLS_MISSING`` and ``CREATES``.
        """
        return None

    def message(self, number: int, size: int = 0) -> Outgoing:
        """The message of this number: what is put and written, and what must come out.

        Args:
            number: from 0; stands in the value.
            size: about how many bytes the value has to be larger than the smallest one.
        """
        value = msgspec.json.encode({"number": number, "filling": "." * size})
        return Outgoing(
            self.target.name if Capability.WRITES in self.capabilities else self.source.name,
            key=b"key-%d" % (number % 7),
            value=value,
            timestamp_ms=FIRST_TIMESTAMP_MS + 1000 * number,
            headers=(("number", b"%d" % number), ("number", b"again")),
            source=Message(ELSEWHERE, Offset(str(number // 2)), None, None),
            number=number % 2,
        )

    def number(self, value: Any) -> int:
        """The number of the message that has this value; the inverse of ``message``."""
        number: int = msgspec.json.decode(value)["number"]
        return number

    async def put(self, partition: str, messages: Sequence[Outgoing]) -> None:
        """Put messages into a partition of the source, in order, behind what is there.

        Best done past the code that is checked: with another client, or in the storage itself.
        """
        raise NotImplementedError

    async def arrived(self) -> Mapping[str, Sequence[Outgoing]]:
        """What a reader of the target would see now, by partition and in order.

        Must not show what is staged or in an open transaction. A system without partitions
        gives one.
        """
        raise NotImplementedError

    async def end(self, partition: str) -> None:
        """End a partition of the source: it never gets another message (``ENDS``)."""
        raise NotImplementedError

    async def put_undecodable(self, partition: str) -> None:
        """Put one thing that the consumer itself cannot read (``UNDECODABLE``)."""
        raise NotImplementedError

    def unacceptable(self, number: int) -> Outgoing:
        """A message that the system will never take (``REJECTS``)."""
        raise NotImplementedError

    async def fail_reading(self, partition: str) -> None:
        """Make reading this partition fail for now, until ``heal`` (``READ_FAULTS``)."""
        raise NotImplementedError

    async def fail_writing(self) -> None:
        """Make writing fail for now, surely without effect, until ``heal`` (``WRITE_FAULTS``)."""
        raise NotImplementedError

    async def heal(self) -> None:
        """End all faults."""
        raise NotImplementedError

    async def follow(self, partition: str) -> Collection[str]:
        """End a partition and have others follow it; gives their ids (``PARENTS``)."""
        raise NotImplementedError

    async def recreate(self) -> None:
        """Delete the source and make it again under the same name (``LINEAGE``)."""
        raise NotImplementedError

    # What the checks make of the system; no need to override these.

    def admin(self) -> Admin:
        """An unopened admin for all the streams of this harness."""
        streams: dict[str, AnyStream] = {}
        if Capability.WRITES in self.capabilities:
            streams[self.target.name] = self.target
        if Capability.READS in self.capabilities:
            streams[self.source.name] = self.source
        if self.missing is not None:
            streams[self.missing.name] = self.missing
        return self.system.admin(streams)

    def consumer(self) -> Consumer:
        """An unopened consumer of the source."""
        return self.system.consumer({self.source.name: self.source})

    def producer(self, claim: Claim) -> Producer:
        """An unopened producer for the target: for the claim where the system makes them so."""
        per_claim = {Capability.TWO_PHASE, Capability.TRANSACTIONAL} & set(self.capabilities)
        wanted = per_claim or self.system.producer_scope == "claim"
        return self.system.producer({self.target.name: self.target}, claim if wanted else None)

    def transaction(self, claim: Claim) -> Transaction:
        """The unopened transactions of a claim (``TRANSACTIONAL``)."""
        transaction = self.system.transaction(claim)
        if transaction is None:
            raise TypeError(f"{self.system.name} has no transactions")
        return transaction

    def checkpoint_store(self, job: str) -> CheckpointStore:
        """An unopened store of the checkpoints that go with the transactions."""
        checkpoints = self.system.checkpoints()
        if checkpoints is None:
            raise TypeError(f"{self.system.name} keeps no checkpoints; a transaction needs them")
        return checkpoints.store(job)

    def partition(self, id_: str) -> Partition:
        """A partition of the source by its id."""
        return Partition(self.system.name, self.source.name, id_)


class CheckpointsHarness(Harness):
    """One fresh place for checkpoints."""

    @property
    @abstractmethod
    def checkpoints(self) -> Checkpoints:
        """The place; every call gives the same or an equal value."""

    async def damage(self, job: str) -> None:
        """Spoil the stored checkpoints of a job, as a broken disk would (``DAMAGE``)."""
        raise NotImplementedError

    async def lose_answer(self) -> None:
        """Lose the answer to the next write, which raises ``UnavailableError`` (``LOSES_ANSWERS``).

        Best on its way back or while it is on its way: what matters is that it may still arrive.
        """
        raise NotImplementedError


class CoordinationHarness(Harness):
    """One fresh way of sharing tasks out."""

    @property
    @abstractmethod
    def coordination(self) -> Coordination:
        """The value a job would name; every call gives the same or an equal one."""

    async def grant_new(self) -> None:
        """Tasks were named while the container runs: grant them, where that is done by hand."""
