"""``KafkaProducer``: writes to topics, in large batches, each of them once."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Final

from samza_py.connectors.kafka.batches import Encoding, places, unknown_partition
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.connection import Connection
from samza_py.connectors.kafka.delivery import Delivery
from samza_py.connectors.kafka.partitioner import Partitions
from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Limits, Producer, Receipt, Requests, Settled
from samza_py.seam import seam
from samza_py.transaction import Transaction

MOST_MESSAGES: Final = 4000
"""In one write: of 200 bytes each, more than this gain nothing, and the loop waits for longer."""

BATCH_OVERHEAD: Final = 128
"""Bytes that a batch of one message has besides key, value and headers (61, and some lengths)."""

REQUESTS_IN_A_WRITE: Final = 2
"""A write's bytes, in requests of the largest size: several partitions share one write, but what
is encoded should not leave the caches of the processor before it is sent."""


class KafkaProducer(Producer):
    """Writes to topics of one cluster, at least once.

    Every output has a client of its own, so that one that is stuck, or is made anew, touches no
    other. A write is under way alone; in it every partition has a batch under way. Should some
    partitions fail and others not, then the failures name from each of the former all that follows
    its first failed batch, and nothing of the latter.

    A message without an event time gets that of its write. Kafka removes what is older than the
    topic's ``retention.ms`` by event times: what is replayed from long ago needs a longer one.

    Messages are doubled only where nobody knows whether they were written: after
    ``delivery_timeout``, or when a broker has lost what it knew of us. All else, such as a broker
    that dies and comes back in time, is no concern of the outbox: the client asks again, and the
    broker knows a batch that it has written (idempotence, KIP-98).

    Args:
        cluster: where.
        physical: the broker's name of each output, by logical name.
    """

    requests = Requests.WHOLE

    def __init__(self, cluster: Cluster, physical: Mapping[str, str]) -> None:
        most_bytes = REQUESTS_IN_A_WRITE * cluster.max_request_bytes
        one = cluster.max_request_bytes - BATCH_OVERHEAD
        self.limits = Limits(MOST_MESSAGES, most_bytes, in_flight=1, message_bytes=max(1, one))
        self._outputs = {name: _Output(cluster, topic) for name, topic in physical.items()}

    async def aopen(self) -> None:
        """Connect for every output; see ``AsyncResource.aopen``.

        Raises:
            UnavailableError: no broker can be reached.
            ConnectorError: the brokers refuse us.
            ConfigError: a setting of the cluster cannot be used here.
        """
        try:
            for output in self._outputs.values():
                await output.connect()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Close all connections. What is not settled yet is given up. Bounded, brokers or not."""
        await asyncio.gather(*(output.close() for output in self._outputs.values()))

    def lane(self, message: Outgoing) -> Hashable:
        """The output with the chosen partition, or with the key: one of its partitions.

        Messages with neither are in order within a write, and share a lane for want of another.
        """
        return (
            message.stream,
            message.partition,
            None if message.partition is not None else message.key,
        )

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        """Write messages of one output; see ``Producer.write``.

        Cancellation: a cancelled write was not accepted, and leaves nothing behind.

        Raises:
            UnavailableError: nothing was accepted: no broker answers, or the topic is not there.
            ConnectorError: nothing was accepted; the brokers refuse us.
        """
        if within is not None:
            raise ConnectorError("kafka: a write within a transaction, which is not supported")
        stream = batch[0].stream
        if len(self._outputs) > 1 and any(message.stream != stream for message in batch):
            raise ConnectorError("kafka: one write to several outputs")
        return await self._outputs[stream].write(batch)


class _Output:
    """One topic: its client, and the write that is under way."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self._cluster = cluster
        self._topic = topic
        self._connection: Connection | None = None
        self._partitions = Partitions(0)
        self._ids: dict[str, int] = {}
        self._turn = asyncio.Lock()
        self._under_way: asyncio.Task[Failures] | None = None
        self._closed = False

    async def connect(self) -> Connection:
        """The connection, made where there is none, or none that is fit for more."""
        old = self._connection
        if old is not None and not old.worn:
            return old
        self._check_open()
        if old is not None:
            self._connection = None
            await old.stop()
        made = await Connection.opened(self._cluster, self._topic)
        try:
            self._check_open()  # still, after all this time
        except ConnectorError:
            await made.stop()
            raise
        self._connection = made
        return made

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectorError(f"kafka: the producer of {self._topic} is closed")

    async def write(self, batch: Sequence[Outgoing]) -> Receipt:
        """Accept a batch once the one before it is settled."""
        await self._turn.acquire()
        try:
            connection = await self.connect()
            encoding = await self._encoded(connection, batch)
        except BaseException:
            self._turn.release()
            raise
        delivery = Delivery(connection, encoding, self._cluster.delivery_timeout_s)
        self._under_way = asyncio.ensure_future(self._deliver(connection, delivery))
        self._under_way.add_done_callback(self._delivered)
        return Settled(self._under_way)

    async def _encoded(self, connection: Connection, batch: Sequence[Outgoing]) -> Encoding:
        try:
            self._know(await connection.partitions())
            if unknown_partition(batch, self._ids):
                await connection.refresh()  # it may have been added a moment ago
                self._know(await connection.partitions())
        except UnavailableError:  # another client may know more
            self._connection = None
            await connection.stop()
            raise
        led = connection.led() or range(self._partitions.count)
        where, most = connection.where(), self._cluster.max_request_bytes
        encoding = Encoding(batch, where, connection.new_builder, most)
        encoding.encode(places(batch, self._partitions, self._ids, seam().random.choice(led)))
        return encoding

    def _know(self, count: int) -> None:
        if count != self._partitions.count:
            self._partitions = Partitions(count)
            self._ids = {str(number): number for number in range(count)}

    async def _deliver(self, connection: Connection, delivery: Delivery) -> Failures:
        try:
            failures = await delivery.run()
        except Exception:
            await self._abandon(connection)
            raise
        if delivery.lost is not None:
            await self._abandon(connection)
        return failures

    async def _abandon(self, connection: Connection) -> None:
        """End a connection before anything is said of what it had: it cannot send any more."""
        self._connection = None
        await connection.abandon()

    def _delivered(self, task: asyncio.Task[Failures]) -> None:
        self._under_way = None
        self._turn.release()
        if not task.cancelled():
            task.exception()  # who stopped waiting for the receipt does not hear of it

    async def close(self) -> None:
        """Give up what is under way and close the connection."""
        self._closed = True
        under_way, connection = self._under_way, self._connection
        self._connection = None
        if under_way is None:
            await (connection.stop() if connection is not None else asyncio.sleep(0))
            return
        if connection is not None:
            await connection.abandon()
        await asyncio.wait((under_way,))
