"""The way of one write to the brokers: round by round, and what became of each message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from samza_py.connectors.kafka.batches import Encoding, Piece
from samza_py.connectors.kafka.connection import Connection
from samza_py.errors import ConnectorError, RejectedError, UnavailableError
from samza_py.producer import Failure, Failures, Rejected, Retry, Unknown


class Delivery:
    """Sends the batches of one write.

    In each round every partition has one batch under way, and its next one only when that was
    acknowledged: so nothing passes a batch that failed. A batch that the broker refuses is sent
    again as two, down to the messages that it will never take.

    Args:
        connection: that nobody else sends by meanwhile.
        encoding: of the write.
        timeout_s: how long each batch may be under way.
    """

    def __init__(self, connection: Connection, encoding: Encoding, timeout_s: float) -> None:
        self._connection = connection
        self._encoding = encoding
        self._timeout_s = timeout_s
        self._queues = encoding.queues
        self._failures: dict[int, Failure] = dict(encoding.rejected)
        #: Why the connection cannot be used any more, as nobody knows what it has done or does.
        self.lost: UnavailableError | None = None

    async def run(self) -> Failures:
        """Send all; what failed, by index.

        Afterwards ``lost`` says whether the connection is to be abandoned.

        Raises:
            ConnectorError: people must do something. The connection is to be abandoned.
        """
        while self._queues and self.lost is None:
            under_way = await self._handed_over()
            if under_way:
                await self._answered(under_way)
        for queue in self._queues.values():
            assert self.lost is not None
            self._fail((index for piece in queue for index in piece.indices), Retry(self.lost))
        return self._failures

    async def _handed_over(self) -> dict[asyncio.Future[Any], Piece]:
        under_way: dict[asyncio.Future[Any], Piece] = {}
        for partition, queue in list(self._queues.items()):
            try:
                under_way[await self._connection.hand_over(queue[0])] = queue[0]
            except UnavailableError as error:
                # The topic has changed, or aiokafka's sender has died: both need a new client.
                self.lost = error
                del self._queues[partition]
                self._fail((index for piece in queue for index in piece.indices), Retry(error))
        return under_way

    async def _answered(self, under_way: dict[asyncio.Future[Any], Piece]) -> None:
        """Wait for the brokers' words about a round, and account for them."""
        try:
            await asyncio.wait(under_way, timeout=self._timeout_s)
            fatal: ConnectorError | None = None
            for future, piece in under_way.items():
                fatal = self._account(future, piece) or fatal
        finally:
            for future in under_way:
                future.cancel()  # one that is not done: else its error would be logged
        if fatal is not None:
            raise fatal

    def _account(self, future: asyncio.Future[Any], piece: Piece) -> ConnectorError | None:
        """Account for one batch; the error that people must see to, where it has such a one."""
        queue = self._queues[piece.partition]
        queue.popleft()
        error = self._error(future, piece)
        if isinstance(error, RejectedError):
            self._connection.take_back(piece)
            if len(piece.indices) == 1:
                self._fail(piece.indices, Rejected(error))
            else:
                queue.extendleft(reversed(self._encoding.halves(piece)))
        elif isinstance(error, UnavailableError):
            self.lost = error
            self._fail(piece.indices, Unknown(error))
        elif error is not None:
            return error
        if not queue:
            del self._queues[piece.partition]
        return None

    def _error(self, future: asyncio.Future[Any], piece: Piece) -> ConnectorError | None:
        if future.done():
            return self._connection.error(future, piece)
        waited = f"not acknowledged within delivery_timeout of {self._timeout_s:g} s"
        return UnavailableError(f"{self._connection.where(piece.partition)}: {waited}")

    def _fail(self, indices: Iterable[int], failure: Failure) -> None:
        self._failures.update(dict.fromkeys(indices, failure))
