"""The ``memory`` system: streams, checkpoints and transactions in this process.

It keeps every promise that the protocol knows, and is what the others are measured by. A test puts
messages in, runs a job, and reads what came out:

    memory = Memory()
    orders = memory.stream("orders", key=str, value=Order, finite=True)
    memory.put(orders, "k1", Order(...))
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar, Unpack, overload

from samza_py.admin import Admin
from samza_py.checkpoint import Checkpoints, Claim
from samza_py.connectors.memory.admin import MemoryAdmin
from samza_py.connectors.memory.broker import Broker, Link
from samza_py.connectors.memory.checkpoints import MemoryCheckpoints
from samza_py.connectors.memory.consumer import MemoryConsumer
from samza_py.connectors.memory.log import Damaged, Log
from samza_py.connectors.memory.producer import MemoryProducer
from samza_py.connectors.memory.staging import StagingProducer
from samza_py.connectors.memory.streams import MemoryStream, Settings
from samza_py.connectors.memory.topic import Topic
from samza_py.connectors.memory.transactions import MemoryTransaction
from samza_py.consumer import Consumer
from samza_py.errors import ConfigError
from samza_py.message import Headers, Message, Outgoing, Partition
from samza_py.producer import Limits, Producer, Promise, Requests
from samza_py.serde import Serde, serde_for
from samza_py.system import AnyStream, Input, Output, Stream, System
from samza_py.transaction import Transaction

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class Memory(System):
    """A system whose streams are in this process. It lasts as long as its broker is held.

    Used from the loop's thread only. Systems with the same broker have the same streams;
    ``connect`` makes another one for another container.

    Args:
        name: unique in the job.
        promise: what its streams promise unless they say otherwise.
        requests: how the requests of its producers overlap and fail.
        limits: what one write may hold.
        broker: what it leads to; a new one by default.
        client: whose connection this is, for faults and for people.
    """

    name: str = "memory"
    promise: Promise = field(default=Promise.AT_LEAST_ONCE, kw_only=True)
    requests: Requests = field(default=Requests.ORDERED, kw_only=True)
    limits: Limits = field(default=Limits(), kw_only=True)
    broker: Broker = field(default_factory=Broker, repr=False, kw_only=True)
    client: str = field(default="main", kw_only=True)
    producer_scope: Literal["container", "claim"] = field(default="container", init=False)
    link: Link = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "link", self.broker.link(self.client))
        if self.promise is not Promise.AT_LEAST_ONCE:
            object.__setattr__(self, "producer_scope", "claim")

    def connect(self, client: str) -> Memory:
        """Another connection to the same broker, which can be severed by itself."""
        return replace(self, client=client)

    def sever(self, *, silent: bool = False) -> None:
        """Cut this connection for ever: no call over it, running or to come, has an effect.

        Args:
            silent: calls wait for ever, as those of a killed process do; else they raise
                ``UnavailableError``, as those of one that lost its network.
        """
        self.link.sever(silent=silent)

    @overload
    def stream(
        self, name: str, *, create: bool = True, **settings: Unpack[Settings]
    ) -> MemoryStream[bytes, bytes]: ...
    @overload
    def stream(
        self,
        name: str,
        *,
        key: type[K] | Serde[K],
        create: bool = True,
        **settings: Unpack[Settings],
    ) -> MemoryStream[K, bytes]: ...
    @overload
    def stream(
        self,
        name: str,
        *,
        value: type[V] | Serde[V],
        create: bool = True,
        **settings: Unpack[Settings],
    ) -> MemoryStream[bytes, V]: ...
    @overload
    def stream(
        self,
        name: str,
        *,
        key: type[K] | Serde[K],
        value: type[V] | Serde[V],
        create: bool = True,
        **settings: Unpack[Settings],
    ) -> MemoryStream[K, V]: ...
    def stream(
        self,
        name: str,
        *,
        key: type[Any] | Serde[Any] = bytes,
        value: type[Any] | Serde[Any] = bytes,
        create: bool = True,
        **settings: Unpack[Settings],
    ) -> MemoryStream[Any, Any]:
        """Declare a stream, and make it if it is not there.

        Args:
            name: its logical name.
            key: type or serde of the keys; bytes, left as they are, by default.
            value: type or serde of the values.
            create: False leaves the making to the start of the job (``Admin.create``).
            settings: see ``Settings``.

        Raises:
            ConfigError: one of them is wrong.
            ConnectorError: it is there with another number of partitions.
        """
        stream = MemoryStream(self, name, serde_for(key), serde_for(value), **settings)
        if create:
            stream.declare(self.broker)
        return stream

    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        """A new admin for these streams."""
        return MemoryAdmin(self.link, self.name, streams)

    def consumer(self, inputs: Mapping[str, Input[Any, Any]]) -> Consumer:
        """A new consumer for these inputs."""
        return MemoryConsumer(self.link, inputs)

    def producer(self, outputs: Mapping[str, Output[Any, Any]], claim: Claim | None) -> Producer:
        """A new producer for these outputs.

        Raises:
            ConfigError: two-phase outputs without a claim.
        """
        physical = {name: output.physical for name, output in outputs.items()}
        promises = {name: self.promise_of(output) for name, output in outputs.items()}
        if Promise.TWO_PHASE in promises.values():
            if claim is None:
                raise ConfigError(
                    f"systems.{self.name}", "two-phase outputs are written for a claim"
                )
            return StagingProducer(
                self.link, physical, self.requests, self.limits, promises=promises, claim=claim
            )
        return MemoryProducer(
            self.link, physical, self.requests, self.limits, promises=promises, claim=claim
        )

    def transaction(self, claim: Claim) -> Transaction | None:
        """The transactions of a claim, where the system is transactional."""
        transactional = self.promise is Promise.TRANSACTIONAL
        return MemoryTransaction(self.link, claim) if transactional else None

    def checkpoints(self) -> Checkpoints:
        """Checkpoints in the same broker."""
        return MemoryCheckpoints(self.link, self.name)

    def promise_of(self, output: Output[Any, Any]) -> Promise:
        """What an output promises here, where it may have been declared for another system."""
        return output.promise if isinstance(output, MemoryStream) else self.promise

    # What follows is for the people beside a job: it goes past the link and its faults.

    def put(
        self,
        stream: Stream[K, V],
        key: K | None,
        value: V | None,
        *,
        partition: str | None = None,
        timestamp_ms: int = -1,
        headers: Headers = (),
    ) -> None:
        """Write one message, encoded by the stream's serdes; None is no key, or a tombstone.

        Raises:
            RejectedError: the stream is closed, or lacks the partition.
        """
        raw_key = None if key is None else stream.key_serde.encoder()(key)
        raw = None if value is None else stream.value_serde.encoder()(value)
        self.put_raw(
            stream, raw_key, raw, partition=partition, timestamp_ms=timestamp_ms, headers=headers
        )

    def put_all(self, stream: Stream[K, V], messages: Iterable[tuple[K, V]]) -> None:
        """Write many keys and values. Raises what ``put`` raises."""
        key, value = stream.key_serde.encoder(), stream.value_serde.encoder()
        self._write(stream, [Outgoing(stream.name, key(k), value(v)) for k, v in messages])

    def put_raw(
        self,
        stream: AnyStream,
        key: bytes | None,
        value: Any,
        *,
        partition: str | None = None,
        timestamp_ms: int = -1,
        headers: Headers = (),
    ) -> None:
        """Write stored data as it is, also what no serde can read. Raises what ``put`` raises."""
        message = Outgoing(
            stream.name, key, value, timestamp_ms, headers=headers, partition=partition
        )
        self._write(stream, [message])

    def put_undecodable(self, stream: AnyStream, raw: bytes, *, partition: str = "0") -> None:
        """Write something that the consumer itself reports as ``Undecodable``.

        Raises what ``put`` raises, and ``ConnectorError`` where there is no such partition.
        """
        self._topic(stream).log(partition).damaged = True
        self.put_raw(stream, None, Damaged(raw), partition=partition)

    def read(self, stream: Stream[K, V]) -> list[Message[K, V]]:
        """All committed messages that are there, decoded, partition by partition.

        Raises what the stream's serdes raise; ``read_raw`` shows what they cannot read.
        """
        key, value = stream.key_serde.decoder(), stream.value_serde.decoder()
        messages: list[Message[K, V]] = self.read_raw(stream)
        for message in messages:
            if message.raw_key is not None:
                message.key = key(message.raw_key)
            if message.raw_value is not None:
                message.value = value(message.raw_value)
        return messages

    def read_raw(self, stream: AnyStream) -> list[Message[Any, Any]]:
        """All committed messages that are there, undecoded, partition by partition.

        What was put there as undecodable is left out.
        """
        found: list[Message[Any, Any]] = []
        for name, log in self._topic(stream).logs.items():
            place = Partition(self.name, stream.name, name)
            count = max(1, log.end - log.base)
            received = log.read(place, log.base, count, 1 << 62).messages
            found += [message for message in received if isinstance(message, Message)]
        return found

    async def wait_for(self, stream: AnyStream, count: int) -> None:
        """Wait until so many committed messages are there, in all partitions together."""
        topic = self._topic(stream)
        while sum(log.visible(log.base) for log in topic.logs.values()) < count:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            logs: list[Log] = list(topic.logs.values())
            for log in logs:
                log.add_waiter(waiter)
            try:
                await waiter
            finally:
                for log in logs:
                    log.remove_waiter(waiter)

    def close(self, stream: AnyStream) -> None:
        """Say that a stream will get no more messages: readers come to its END."""
        self._topic(stream).close()

    def grow(self, stream: AnyStream, partitions: int) -> None:
        """Add empty partitions until there are so many; keys move, as they do in Kafka."""
        self._topic(stream).grow(partitions)

    def split(self, stream: AnyStream, parent: str, *children: str) -> None:
        """Close a partition and continue it in new ones, as a Kinesis shard is split."""
        self._topic(stream).reshard((parent,), children)

    def merge(self, stream: AnyStream, parents: Iterable[str], child: str) -> None:
        """Close partitions and continue all of them in a new one."""
        self._topic(stream).reshard(tuple(parents), (child,))

    def recreate(self, stream: AnyStream) -> None:
        """Delete a stream and make it again: empty, with the same name and another lineage."""
        self.broker.recreate(stream.physical)

    def _topic(self, stream: AnyStream) -> Topic:
        return self.broker.topic(stream.physical)

    def _write(self, stream: AnyStream, messages: list[Outgoing]) -> None:
        groups, rejected = self._topic(stream).spread(messages)
        if rejected:
            raise rejected[0][1]
        for log, group in groups.items():
            log.extend(group)
