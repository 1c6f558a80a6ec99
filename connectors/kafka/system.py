"""``Kafka``: the topics of one cluster, as inputs and outputs, and checkpoints kept there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self, TypeVar, Unpack, cast, get_args, overload

from samza_py.admin import Admin
from samza_py.checkpoint import Checkpoints, Claim
from samza_py.connectors.kafka.admin import KafkaAdmin
from samza_py.connectors.kafka.checking import check_text
from samza_py.connectors.kafka.checkpoints import KafkaCheckpoints
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.consumer import KafkaConsumer
from samza_py.connectors.kafka.producer import KafkaProducer
from samza_py.connectors.kafka.security import Sasl, Tls, check_security
from samza_py.connectors.kafka.topics import KafkaTopic, TopicSettings
from samza_py.consumer import Consumer
from samza_py.errors import ConfigError
from samza_py.producer import Producer
from samza_py.serde import Serde, serde_for
from samza_py.system import AnyStream, Input, Output, System
from samza_py.values import Duration, Size, seconds, size_in_bytes

K = TypeVar("K")
V = TypeVar("V")

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]

_COMPRESSIONS: Final = get_args(Compression)
_INT32: Final = 2**31 - 1

LEAST_S: Final = 0.001
"""Requests count in milliseconds: less would be none at all."""

FETCH_MIN_BYTES: Final = "64KiB"
FETCH_WAIT: Final = "50ms"
"""What costs little CPU: some twenty answers a second, however slowly messages come."""


@dataclass(frozen=True)
class Kafka(System):
    """A Kafka cluster (brokers 2.1 and newer; tested on 4.4).

        kafka = Kafka("localhost:9092")
        orders = kafka.topic("orders", key=str, value=Order)

    Attributes:
        bootstrap_servers: ``host:port`` of some brokers, with commas between them.
        name: unique in the job.
        tls: encrypted connections; none by default.
        sasl: a user and a password.
        compression: of what is written.
        request_timeout: how long one question to a broker may take.
        delivery_timeout: how long a message may be under way to the broker; after it the producer
            is made anew and sends again what may have been lost. Kafka's ``delivery.timeout.ms``.
        max_request_bytes: of one request with messages. The broker's ``message.max.bytes`` (1 MiB)
            must allow it.
        max_fetch_bytes: what one fetch brings of a partition, at least one message. Bounds, with
            the number of partitions, what is read ahead below the runtime's own buffers.
        fetch_min_bytes: a broker holds an answer back until it has so much, or ``fetch_wait`` is
            over. More saves CPU where messages trickle in, and adds to their latency. By default
            64 KiB, and 1 byte with ``profile="low_latency"``.
        fetch_wait: see ``fetch_min_bytes``. By default 50 ms, and 500 ms with ``low_latency``.
        client_id: named in the broker's logs, metrics and quotas.
    """

    bootstrap_servers: str
    name: str = "kafka"
    tls: Tls | None = None
    sasl: Sasl | None = None
    compression: Compression = "none"
    request_timeout: Duration = "30s"
    delivery_timeout: Duration = "2m"
    max_request_bytes: Size = "1MiB"
    max_fetch_bytes: Size = "256KiB"
    fetch_min_bytes: Size | None = None
    fetch_wait: Duration | None = None
    client_id: str = "samza-py"

    def __post_init__(self) -> None:
        check_text(self.name, "Kafka.name", "kafka")
        key = f"systems.{self.name}"
        check_text(self.client_id, f"{key}.client_id", "samza-py")
        given = cast("object", self.bootstrap_servers)
        if not isinstance(given, str) or not all(_is_address(one) for one in given.split(",")):
            why = "must be 'host:port', or several with commas between them"
            raise ConfigError(f"{key}.bootstrap_servers", why, given)
        if self.compression not in _COMPRESSIONS:
            why = f"must be one of {', '.join(_COMPRESSIONS)}"
            raise ConfigError(f"{key}.compression", why, self.compression)
        check_security(self.tls, self.sasl, key)
        self._check_times(key)
        for field in ("max_request_bytes", "max_fetch_bytes", "fetch_min_bytes"):
            if (size := getattr(self, field)) is not None:
                _check_size(size, f"{key}.{field}")

    def _check_times(self, key: str) -> None:
        fields = ["request_timeout", "delivery_timeout"]
        fields += [] if self.fetch_wait is None else ["fetch_wait"]  # else ``_wait_or`` sees to it
        times = {field: seconds(getattr(self, field), f"{key}.{field}") for field in fields}
        for field, time_s in times.items():
            if time_s < LEAST_S:
                raise ConfigError(f"{key}.{field}", "must be at least 1ms", getattr(self, field))
        longest = times["request_timeout"]
        if times["delivery_timeout"] < longest:
            why = f"must be at least request_timeout ({longest:g}s), which one try may take"
            raise ConfigError(f"{key}.delivery_timeout", why, self.delivery_timeout)
        if times.get("fetch_wait", 0.0) >= longest:
            why = f"must be shorter than request_timeout ({longest:g}s): no answer would be in time"
            raise ConfigError(f"{key}.fetch_wait", why, self.fetch_wait)

    def _wait_or(self, usual: Duration) -> Duration:
        """``fetch_wait``, or where nobody has said it this one, in time for any request."""
        if self.fetch_wait is not None:
            return self.fetch_wait
        key = f"systems.{self.name}"
        longest_s = seconds(self.request_timeout, f"{key}.request_timeout")
        return min(seconds(usual, f"{key}.fetch_wait"), longest_s / 2)

    def for_profile(self, profile: str) -> Self:
        """With ``low_latency`` a broker answers as soon as it has a message."""
        if profile != "low_latency":
            return self
        least = 1 if self.fetch_min_bytes is None else self.fetch_min_bytes
        return replace(self, fetch_min_bytes=least, fetch_wait=self._wait_or("500ms"))

    @overload
    def topic(self, name: str, **settings: Unpack[TopicSettings]) -> KafkaTopic[bytes, bytes]: ...
    @overload
    def topic(
        self, name: str, *, key: type[K] | Serde[K], **settings: Unpack[TopicSettings]
    ) -> KafkaTopic[K, bytes]: ...
    @overload
    def topic(
        self, name: str, *, value: type[V] | Serde[V], **settings: Unpack[TopicSettings]
    ) -> KafkaTopic[bytes, V]: ...
    @overload
    def topic(
        self,
        name: str,
        *,
        key: type[K] | Serde[K],
        value: type[V] | Serde[V],
        **settings: Unpack[TopicSettings],
    ) -> KafkaTopic[K, V]: ...
    def topic(
        self,
        name: str,
        *,
        key: type[Any] | Serde[Any] = bytes,
        value: type[Any] | Serde[Any] = bytes,
        **settings: Unpack[TopicSettings],
    ) -> KafkaTopic[Any, Any]:
        """Declare a topic, to read or to write.

        Args:
            name: its logical name, and the broker's unless ``physical`` says otherwise.
            key: type or serde of the keys; bytes, left as they are, by default.
            value: type or serde of the values; a class means JSON.
            settings: see ``TopicSettings``.

        Raises:
            ConfigError: one of them is wrong.
        """
        return KafkaTopic(self, name, serde_for(key), serde_for(value), **settings)

    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        """Asks the cluster about these topics."""
        return KafkaAdmin(self.cluster, streams)

    def consumer(self, inputs: Mapping[str, Input[Any, Any]]) -> Consumer:
        """Reads these topics."""
        return KafkaConsumer(self.cluster, {name: one.physical for name, one in inputs.items()})

    def producer(self, outputs: Mapping[str, Output[Any, Any]], claim: Claim | None) -> Producer:
        """Writes to these topics."""
        return KafkaProducer(self.cluster, {name: one.physical for name, one in outputs.items()})

    def checkpoints(self) -> Checkpoints:
        """In a compacted topic of the cluster."""
        return KafkaCheckpoints(self)

    @property
    def cluster(self) -> Cluster:
        """Where it is and how it is used, with all numbers read."""
        key = f"systems.{self.name}"
        least = FETCH_MIN_BYTES if self.fetch_min_bytes is None else self.fetch_min_bytes
        return Cluster(
            name=self.name,
            bootstrap_servers=self.bootstrap_servers,
            tls=self.tls,
            sasl=self.sasl,
            compression=self.compression,
            request_timeout_s=seconds(self.request_timeout, f"{key}.request_timeout"),
            delivery_timeout_s=seconds(self.delivery_timeout, f"{key}.delivery_timeout"),
            max_request_bytes=size_in_bytes(self.max_request_bytes, f"{key}.max_request_bytes"),
            max_fetch_bytes=size_in_bytes(self.max_fetch_bytes, f"{key}.max_fetch_bytes"),
            fetch_min_bytes=size_in_bytes(least, f"{key}.fetch_min_bytes"),
            fetch_wait_s=seconds(self._wait_or(FETCH_WAIT), f"{key}.fetch_wait"),
            client_id=self.client_id,
        )


def _check_size(size: Size, key: str) -> None:
    """The protocol has four bytes for it: above them every request would fail to be written."""
    if size_in_bytes(size, key) > _INT32:
        raise ConfigError(key, f"must be at most {_INT32} bytes, just below 2GiB", size)


def _is_address(text: str) -> bool:
    host, found, port = text.strip().rpartition(":")
    if any(one.isspace() or one == "/" for one in host):
        return False
    return bool(found and host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536
