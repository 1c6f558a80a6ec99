"""The questions about streams that the runtime asks, at the start and seldom later."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, cast

from samza_py.errors import ConfigError
from samza_py.message import Offset, Partition, Position
from samza_py.resource import AsyncResource


@dataclass(frozen=True, slots=True)
class Oldest:
    """Start at the oldest message that is still there (the default)."""


@dataclass(frozen=True, slots=True)
class Newest:
    """Start behind the newest message: only what comes from now on."""


@dataclass(frozen=True, slots=True)
class AtTime:
    """Start at the first message of this event time or later (milliseconds since 1970).

    Raises:
        ConfigError: it is no whole number of milliseconds.
    """

    timestamp_ms: int

    def __post_init__(self) -> None:
        given: Any = self.timestamp_ms
        if isinstance(given, bool) or not isinstance(given, int):
            why = "takes whole milliseconds since 1970, as int(when.timestamp() * 1000) gives them"
            raise ConfigError("AtTime", why, given)


@dataclass(frozen=True, slots=True)
class AtOffset:
    """Start just after the given offset of each partition (by its id); others start at oldest.

    Raises:
        ConfigError: a partition or an offset is no text: ``AtOffset({"0": "41"})``.
    """

    after: Mapping[str, str]

    def __post_init__(self) -> None:
        given = cast("object", self.after)
        if not isinstance(given, Mapping):
            raise ConfigError("AtOffset", 'takes a mapping, such as {"0": "41"}', given)
        for partition, offset in cast("Mapping[object, object]", given).items():
            if not (isinstance(partition, str) and isinstance(offset, str)):
                why = 'takes texts, the partition\'s id and an offset: AtOffset({"0": "41"})'
                raise ConfigError("AtOffset", why, self.after)


StartAt: TypeAlias = Oldest | Newest | AtTime | AtOffset
"""Where a partition without a checkpoint begins. Resolved once to a position, and checkpointed."""


@dataclass(frozen=True, slots=True)
class PartitionInfo:
    """What a system says of one partition of a stream.

    Attributes:
        lineage: the incarnation of the partition; another one after the stream was deleted and
            made again. Empty where a system has no such thing.
        parents: partitions that must be passed before this one may start, with the position up to
            which they must be (END: read to their end). Kinesis shards after a split, the live
            part of a backfill.
    """

    lineage: str = ""
    parents: Mapping[Partition, Position] = field(default_factory=dict[Partition, Position])


class Bounds(NamedTuple):
    """The ends of a partition, as positions to read *after*.

    Attributes:
        oldest: reading after this gives the oldest message.
        newest: reading after this gives only what comes later.
    """

    oldest: Position
    newest: Position


class Planned(NamedTuple):
    """One thing that stands between what is declared and what the system has.

    Attributes:
        stream: its logical name; ``checkpoints`` for what ``Checkpoints.plan`` says.
        text: what it is, for people.
        made: whether a start makes it; where not, it fails.
    """

    stream: str
    text: str
    made: bool


class Admin(AsyncResource):
    """Answers questions about a system's declared streams. Opened while a container starts."""

    @abstractmethod
    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        """The partitions of a declared stream, closed ones that may still hold messages included.

        Asked again while the job runs, unless the input has ``fixed_partitions``. The children of a
        partition must be there by the time its consumer tells that it has ended.

        Raises:
            ConnectorError: the stream does not exist; says so by its physical name.
            UnavailableError: try again.
        """

    @abstractmethod
    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        """Where these partitions begin and end now; for tools, as the runtime has no use for it."""

    @abstractmethod
    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        """Resolve a start to a durable position.

        Raises:
            PositionLostError: an ``AtOffset`` that is not there.
            ConnectorError: the system cannot resolve this kind of start; says which it can.
        """

    @abstractmethod
    def compare(self, first: Offset, second: Offset) -> int:
        """Below 0, 0 or above 0 as the first offset comes before, is, or comes after the second.

        Both are of one partition: offsets of messages, or positions that this system gave (a
        bound, the start, where a fetch ended). Pure; total within a partition; called for the
        first message of each fetch, and for those that a checkpoint may already have in ``done``.

        Raises:
            CorruptCheckpointError: one of them is not an offset of this system.
        """

    async def place_of(self, partition: Partition, offset: Offset) -> str | None:
        """Where a person finds a message, such as a file and its line; None: its offset says it.

        Called for messages that failed, before their policy is carried out, and for no others. May
        take a moment; never raises.
        """
        return None

    async def create(self, streams: Collection[str]) -> Sequence[str]:
        """Make the declared streams that are missing, and give their names; [] where all exist.

        Raises:
            ConnectorError: the system cannot create streams, or one exists and differs.
        """
        return []

    async def plan(self, streams: Collection[str]) -> Sequence[Planned]:
        """What ``create`` would make of these streams, or refuse, without changing anything.

        [] where all is as declared, and from a system that cannot tell.
        """
        return []

    async def trim(self, up_to: Mapping[Partition, Offset]) -> None:
        """Let the system forget messages up to and including these offsets; may do nothing.

        For intermediate streams, which a job owns alone. The runtime does not call it yet.
        """
