"""The values that a job file names. They open nothing, and the runtime makes the rest from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from examples.connectors.sqlite_log.admin import SqliteAdmin
from examples.connectors.sqlite_log.consumer import SqliteConsumer
from examples.connectors.sqlite_log.database import Database
from examples.connectors.sqlite_log.producer import SqliteProducer
from samza_py.admin import Admin
from samza_py.checkpoint import Claim
from samza_py.consumer import Consumer
from samza_py.errors import ConfigError
from samza_py.producer import Producer
from samza_py.serde import Serde, serde_for
from samza_py.system import AnyStream, Input, Output, Stream, System
from samza_py.values import Duration, seconds

K = TypeVar("K")
V = TypeVar("V")


class SqliteStream(Stream[K, V]):
    """A stream of a log; made by ``SqliteLog.stream``.

    Being a ``Stream`` it can be read and written. What can only be one of them is a subclass of
    ``Input`` or of ``Output``, and wrong use of it is then a type error in the job file.

    Attributes:
        partitions: how many it is made with.
    """

    def __init__(
        self, system: SqliteLog, name: str, key: Serde[K], value: Serde[V], partitions: int
    ) -> None:
        super().__init__(system, name, key, value)
        if partitions < 1:
            raise ConfigError(f"streams.{name}.partitions", "must be at least 1", partitions)
        self.partitions = partitions


@dataclass(frozen=True)
class SqliteLog(System):
    """Streams in one SQLite file.

    Args:
        path: the file; it is made when it is not there.
        name: the system's name in the job.
        poll_interval: SQLite tells nobody of a new row, so a waiting poll looks this often.

    Raises:
        ConfigError: the interval is no duration.
    """

    path: str | Path
    name: str = "sqlite"
    poll_interval: Duration = "20ms"

    def __post_init__(self) -> None:
        seconds(self.poll_interval, f"systems.{self.name}.poll_interval")

    def stream(
        self, name: str, *, key: type[K] | Serde[K], value: type[V] | Serde[V], partitions: int = 1
    ) -> SqliteStream[K, V]:
        """Declare a stream; types become serdes as in every system."""
        return SqliteStream(self, name, serde_for(key), serde_for(value), partitions)

    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        """An admin for these streams."""
        return SqliteAdmin(Database(self.path), self.name, streams)

    def consumer(self, inputs: Mapping[str, Input[Any, Any]]) -> Consumer:
        """A consumer of these streams."""
        interval_s = seconds(self.poll_interval, f"systems.{self.name}.poll_interval")
        return SqliteConsumer(Database(self.path), inputs, interval_s)

    def producer(self, outputs: Mapping[str, Output[Any, Any]], claim: Claim | None) -> Producer:
        """A producer for these streams. One serves the whole container, so the claim is None."""
        return SqliteProducer(Database(self.path), outputs)
