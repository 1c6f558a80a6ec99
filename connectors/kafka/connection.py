"""One client of aiokafka that writes to one topic: its start, its batches, its end.

The one place that knows the inside of aiokafka's producer. What is done there, and why:

- A refused batch has used up its sequence numbers, and aiokafka never gives them back: each later
  batch of that partition would be out of order for the broker. ``take_back`` gives them back, as
  Java's ``TransactionManager`` does for a batch that was surely not written.
- Its sequence numbers become negative after 2^31 messages, which brokers refuse (Java's begin at 0
  again): ``worn`` says when a new client is due.
- It says no more than ``UnknownError`` for the codes that it does not know, such as 87, by which
  a broker refuses a message: ``error`` has heard the code.
- Its batches do not expire, but for those whose partition has no leader, after the time of one
  request, which is too early: the deadline is ours alone.
- ``stop`` waits for its batches: ``abandon`` ends it so that it cannot send later what is sent
  again by its successor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from samza_py.connectors.kafka.batches import Piece
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.failures import CLOSE_S, INVALID_RECORD, asking, translated
from samza_py.connectors.kafka.library import library
from samza_py.errors import ConfigError, ConnectorError, RejectedError, UnavailableError

logger = logging.getLogger(__name__)

METADATA_S: Final = 60.0
"""So old may be what is known of a topic: partitions that were added are used after that."""
TOPIC_S: Final = 2.0
"""So long a topic that the brokers do not know is asked for: it may just have been made."""
_BETWEEN_S: Final = 0.1
MOST_SEQUENCE: Final = 1 << 30
"""From this sequence number on a client is not used any more."""
_TOO_LARGE: Final = ("MessageSizeTooLargeError", "RecordListTooLargeError")
_RESET: Final = struct.pack("ii", 1, 0)
"""For ``SO_LINGER``: closing throws away what was not sent yet, instead of sending it first."""


class Connection:
    """A started, idempotent client for one topic. Made by ``opened``.

    Args:
        cluster: where.
        topic: the broker's name of it.
        client: an ``AIOKafkaProducer``, started.
    """

    def __init__(self, cluster: Cluster, topic: str, client: Any) -> None:
        self.topic = topic
        self._cluster = cluster
        self._client = client
        self._sending: set[asyncio.Task[Any]] = set()
        self._ending: asyncio.Future[None] | None = None
        self._codes: dict[int, int] = {}
        # Else a batch whose partition has no leader is given up after the time of one request.
        client._message_accumulator._batch_ttl = math.inf
        client.client.send = self._hearing(client.client.send)
        sender = client._sender
        sender._send_produce_req = self._noting(sender._send_produce_req)

    @classmethod
    async def opened(cls, cluster: Cluster, topic: str) -> Connection:
        """Connect. Every batch is acknowledged by all replicas in sync, and written once.

        Raises:
            UnavailableError: no broker can be reached.
            ConnectorError: the brokers refuse us.
            ConfigError: the codec for ``compression`` is not installed.
        """
        compression = cluster.compression
        try:
            client = await cluster.started(
                "AIOKafkaProducer",
                acks="all",
                enable_idempotence=True,
                linger_ms=0,  # the outbox lingers
                max_batch_size=cluster.max_request_bytes,
                metadata_max_age_ms=int(METADATA_S * 1000),
                compression_type=None if compression == "none" else compression,
            )
        except RuntimeError as error:  # aiokafka's word for a codec that is not there
            why = f"cannot be used: {error}; pip install 'samza-py[kafka]'"
            raise ConfigError(f"systems.{cluster.name}.compression", why, compression) from None
        return cls(cluster, topic, client)

    def where(self, partition: int | None = None) -> str:
        """What is done here, for errors: ``writing to kafka.orders[3] at host:9092``."""
        place = self.topic if partition is None else f"{self.topic}[{partition}]"
        return f"writing to {self._cluster.name}.{place} at {self._cluster.bootstrap_servers}"

    @property
    def worn(self) -> bool:
        """Whether its sequence numbers come near to their end; see the module."""
        used: Mapping[Any, int] = self._client._txn_manager._sequence_numbers
        return max(used.values(), default=0) > MOST_SEQUENCE

    # Partitions ------------------------------------------------------------------------------

    async def partitions(self) -> int:
        """How many partitions the topic has, by what was heard at most ``METADATA_S`` ago.

        Raises:
            UnavailableError: no broker says so, or the topic is not there: it may have been
                deleted while the job runs, and be made again.
            ConnectorError: we may not know.
        """
        client = self._client.client
        found = client.cluster.partitions_for_topic(self.topic)
        if found is None:
            client.add_topic(self.topic)
            found = await self._asked_for()
        return len(found)

    async def _asked_for(self) -> Any:
        client = self._client.client
        loop = asyncio.get_running_loop()
        until = loop.time() + TOPIC_S
        while True:
            heard = await self.refresh()
            found = client.cluster.partitions_for_topic(self.topic)
            if found:
                return found
            if self.topic in client.cluster.unauthorized_topics:
                with asking(self.where()):
                    raise library("aiokafka.errors").TopicAuthorizationFailedError(self.topic)
            if not heard:
                raise UnavailableError(f"{self.where()}: no broker answers")
            if loop.time() > until:
                raise UnavailableError(
                    f"{self.where()}: the topic is not there. Make it, or declare it with "
                    "partitions= so that it is made when the job starts"
                )
            await asyncio.sleep(_BETWEEN_S)

    async def refresh(self) -> bool:
        """Ask the brokers about the topic now; whether one has answered.

        Raises:
            UnavailableError: none did in time.
        """
        with asking(self.where()):
            async with asyncio.timeout(self._cluster.request_timeout_s):
                return bool(await self._client.client.force_metadata_update())

    def led(self) -> list[int]:
        """The partitions that have a leader now, so that they can be written to."""
        return sorted(self._client.client.cluster.available_partitions_for_topic(self.topic) or ())

    # Batches ---------------------------------------------------------------------------------

    def new_builder(self) -> Any:
        """An empty batch."""
        return self._client.create_batch()

    async def hand_over(self, piece: Piece) -> asyncio.Future[Any]:
        """Send a batch; at most one of each partition is under way at any time.

        Returns:
            Settled by the broker's word, with aiokafka's error where that is not good; in an
            outage never.

        Raises:
            UnavailableError: nothing was sent: the partition, or the topic, is not there any more.
        """
        try:
            future: asyncio.Future[Any] = await self._client.send_batch(
                piece.ready(), self.topic, partition=piece.partition
            )
        except (AssertionError, library("aiokafka.errors").KafkaError) as error:
            said = str(error) or type(error).__name__
            raise UnavailableError(f"{self.where(piece.partition)}: {said}") from error
        return future

    def take_back(self, piece: Piece) -> None:
        """Give back the sequence numbers of a batch that the broker has refused."""
        partition = library().TopicPartition(self.topic, piece.partition)
        self._client._txn_manager.increment_sequence_number(partition, -len(piece.indices))

    def error(self, future: asyncio.Future[Any], piece: Piece) -> ConnectorError | None:
        """What the broker has said against a batch, in the words of samza-py.

        Args:
            future: of the batch, done.
            piece: the batch.

        Returns:
            ``RejectedError``: it was surely not written, and never will be. ``UnavailableError``:
            nobody knows. Another one: people must do something. None: it is written.
        """
        error = future.exception()
        if error is None:
            return None
        if type(error).__name__ in _TOO_LARGE and len(piece.indices) > 1:
            self._shrink(piece.size // 2)
        where = self.where(piece.partition)
        if type(error).__name__ == "UnknownError":
            code = self._codes.get(piece.partition)
            if code == INVALID_RECORD:
                why = "no valid message here; a compacted topic takes none without a key"
                return RejectedError(f"{where}: {why} (code {code})")
            error = type(error)(f"code {code}")
        found = translated(error, where)
        if isinstance(found, ConnectorError):
            return found
        # A fence: without a transactional id it is the broker that has forgotten who we are.
        return UnavailableError(str(found))

    def _shrink(self, size: int) -> None:
        """The topic takes smaller batches than ours: make them so, for all that comes."""
        accumulator = self._client._message_accumulator
        if size < accumulator._batch_size:
            accumulator._batch_size = size
            logger.info("%s: batches have at most %d bytes from now on", self.where(), size)

    # The end ---------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Close it while nothing is under way. Bounded."""
        await self._cluster.stopped(self._client)

    async def abandon(self) -> None:
        """End it with batches under way: none of them is sent after this. Bounded.

        Their futures fail with ``UnavailableError``. What a broker has received already, it may
        still write: one that was frozen, for example.

        Cancellation: it goes on to its end. May be called more than once.
        """
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        sender = self._client._sender.sender_task
        ending = {task for task in (*self._sending, sender) if task is not None}
        for task in ending:
            task.cancel()
        self._reset_connections()
        self._settle_all()
        if ending:
            await asyncio.wait(ending, timeout=CLOSE_S)
        await self.stop()

    def _reset_connections(self) -> None:
        # A mere close leaves it to the kernel to send what it still holds, which after a network
        # outage may be minutes later.
        for connection in list(self._client.client._conns.values()):
            writer = connection._writer
            if writer is not None:
                with contextlib.suppress(OSError):
                    raw = writer.get_extra_info("socket")
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.transport.abort()

    def _settle_all(self) -> None:
        """Fail what is queued, so that nothing waits for it and ``stop`` can end."""
        accumulator = self._client._message_accumulator
        queued = [batch for batches in accumulator._batches.values() for batch in batches]
        for batch in (*queued, *accumulator._pending_batches):
            # Errors that nobody asks for are logged at the end of their futures.
            batch._drain_waiter.cancel()
            batch.failure(UnavailableError(f"{self.where()}: given up"))
            batch.future.exception()

    def _noting(
        self, send: Callable[[int, Any], Awaitable[None]]
    ) -> Callable[[int, Any], Awaitable[None]]:
        """The sender's requests, noted while they run: it keeps them where nobody can reach."""

        async def noted(node: int, batches: Any) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._sending.add(task)
            try:
                await send(node, batches)
            finally:
                self._sending.discard(task)

        return noted

    def _hearing(self, send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The client's requests, whose answers are looked at for the codes of partitions."""

        async def heard(node: Any, request: Any, **more: Any) -> Any:
            answer = await send(node, request, **more)
            if type(answer).__name__.startswith("ProduceResponse"):
                for _, partitions in answer.topics:
                    self._codes.update((one[0], one[1]) for one in partitions)
            return answer

        return heard
