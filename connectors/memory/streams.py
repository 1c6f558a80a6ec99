"""A stream of a memory system, as a job declares it."""

from __future__ import annotations

from typing import TypedDict, TypeVar

from samza_py.admin import Oldest, StartAt
from samza_py.connectors.memory.broker import Broker
from samza_py.errors import ConfigError
from samza_py.producer import Promise
from samza_py.serde import Serde
from samza_py.system import Stream, System

K = TypeVar("K")
V = TypeVar("V")


class Settings(TypedDict, total=False):
    """What a memory stream may be declared with, besides its types.

    Attributes:
        partitions: how many it is made with; 1 by default.
        start: where a partition without a checkpoint begins; oldest by default.
        physical: the broker's name for it; the logical one by default.
        promise: what it promises: that of its system by default, or only at least once.
        finite: it is closed as soon as somebody begins to read it, and so has an end.
        max_message_bytes: a larger message is rejected; no limit by default.
    """

    partitions: int
    start: StartAt
    physical: str | None
    promise: Promise | None
    finite: bool
    max_message_bytes: int | None


class MemoryStream(Stream[K, V]):
    """A stream in memory; made by ``Memory.stream``. The arguments are those of ``Settings``."""

    def __init__(
        self,
        system: System,
        name: str,
        key: Serde[K],
        value: Serde[V],
        *,
        partitions: int = 1,
        start: StartAt = Oldest(),
        physical: str | None = None,
        promise: Promise | None = None,
        finite: bool = False,
        max_message_bytes: int | None = None,
    ) -> None:
        super().__init__(system, name, key, value, start=start, physical=physical)
        if partitions < 1:
            raise ConfigError(f"streams.{name}.partitions", "must be at least 1", partitions)
        if promise not in (None, Promise.AT_LEAST_ONCE, system.promise):
            why = f"its system promises {system.promise.value}; a stream may only promise less"
            raise ConfigError(f"streams.{name}.promise", why, promise.value)
        self.partitions = partitions
        self.finite = finite
        self.max_message_bytes = max_message_bytes
        self._promise = promise

    @property
    def promise(self) -> Promise:
        """What this stream can promise; that of its system unless it was declared otherwise."""
        return self._promise if self._promise is not None else self.system.promise

    def declare(self, broker: Broker) -> None:
        """Make it in a broker, or find it there with as many partitions.

        Raises:
            ConnectorError: it is there with another number.
        """
        topic = broker.create(self.physical, self.partitions)
        topic.finite = self.finite or topic.finite
        if self.max_message_bytes is not None:
            topic.max_message_bytes = self.max_message_bytes
