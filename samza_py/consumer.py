"""The reading side of the one protocol: what the runtime asks of a system it reads from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from samza_py.checkpoint import Claim
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.message import Position, Received, TaskPartition
from samza_py.resource import AsyncResource


class Room(NamedTuple):
    """How much the runtime can take of one partition now; both are at least 1.

    Attributes:
        messages: the most messages to return.
        bytes: a goal: a consumer stops behind the message that passes it, so that a single
            message larger than the room still gets through.
    """

    messages: int
    bytes: int


@dataclass(slots=True)
class Fetched:
    """What one poll found in one partition.

    Attributes:
        messages: in offset order, without gaps but for what the system itself leaves out; the
            first one behind all that was read since ``assign``, else the job ends with an error.
        position: reading goes on after this. It may lie beyond the last message (markers,
            filtered records) and moves even when there is no message, never back. END together with
            ``finished``.
        at_head: nothing more was there at the time of the poll.
        finished: the partition will never have another message: an END in its position.
        error: this partition failed; the others did not. What stands in ``messages`` is still
            good. The runtime assigns the partition again from its own position after a backoff
            for an ``UnavailableError``; any other error ends the job.
        remaining: how much is left behind ``position``, in the consumer's ``remaining_unit``;
            None where the system does not tell.
    """

    messages: Sequence[Received]
    position: Position
    at_head: bool = False
    finished: bool = False
    error: ConnectorError | PositionLostError | None = None
    remaining: int | None = None


class Consumer(AsyncResource):
    """Reads partitions for the one intake that owns it.

    Life: opened by ``async with``; then ``assign``, ``revoke`` and ``on_checkpoint`` come between
    polls or while a poll waits (the loop is one thread, so never *during* its synchronous parts);
    polls never overlap each other; closed once by ``aclose``. A consumer commits nothing and
    decides nothing about errors: it reads where it is told to.
    """

    #: What ``Fetched.remaining`` counts.
    remaining_unit: ClassVar[Literal["messages", "bytes"]] = "messages"

    @abstractmethod
    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        """Start reading each partition just after its position.

        Called when a task starts, and again for what is already assigned: then it is a seek, and
        whatever an older read still brings for that partition is dropped. Other partitions are
        left alone. A position of END gives one fetch that is ``finished``.

        Args:
            claim: the ownership under which these are read; all belong to ``claim.task``.
            positions: from the checkpoint, or resolved by ``Admin.start_position``.

        Raises:
            UnavailableError: try again; nothing was assigned.
            CorruptCheckpointError: a position is not an offset of this system.
            ConnectorError: it will not work.
        """

    @abstractmethod
    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        """Stop reading these; forget what was read ahead. Unknown ones are passed over."""

    @abstractmethod
    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Mapping[TaskPartition, Fetched]:
        """Wait for messages of the wanted partitions and take them.

        ``wanted`` *is* the backpressure: a partition left out has no room and stays unread.

        Cancellation: a cancelled poll has taken nothing; the next one returns the same messages.

        Args:
            wanted: assigned partitions with room, never empty.

        Returns:
            An entry for each partition about which there is something to say (a message, a moved
            position, a change of ``at_head`` or ``finished``, an error). Comes as soon as there
            is anything; may be empty after the consumer's own bounded wait. A ``finished``
            partition is reported once and not asked for again.

        Raises:
            ConnectorError: the whole system failed. ``UnavailableError`` is retried with backoff.
        """

    async def on_checkpoint(self, positions: Mapping[TaskPartition, Position]) -> None:
        """Hear that all work up to these positions is durable (to show lag, to trim).

        Comes after the commit and cannot undo it: an error is logged, never raised further.
        """
