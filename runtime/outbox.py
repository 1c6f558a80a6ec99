"""The sending side: one outbox an output, between the tasks' ports and a producer.

It batches to the producer's limits, waits a little for more where that saves requests, and keeps
writes in flight. What differs is how requests fail: ``ordered_outbox`` is for producers that keep
the order of their lanes themselves, or allow one request at a time; ``lane_outbox`` is for those
that fail by message.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Unknown
from samza_py.runtime.backoff import Backoff
from samza_py.runtime.port import Parcel
from samza_py.runtime.producing import OpenTransaction, ProducerHost
from samza_py.runtime.wakeup import Wakeup


class Outbox(ABC):
    """What both kinds share: the queue's interface, writing, and what a broken producer means.

    Args:
        output: its name, ``system.stream``.
        host: the producer.
        linger_s: how long the first message of a batch waits for others.
        transaction: what writes stand in under exactly-once, else None.
        on_broken: set for outputs whose unknown outcomes may not be repeated (two-phase,
            transactional): called with the error, and the task goes back to its checkpoint.
    """

    def __init__(
        self,
        output: str,
        host: ProducerHost,
        linger_s: float,
        transaction: OpenTransaction | None = None,
        on_broken: Callable[[ConnectorError], None] | None = None,
    ) -> None:
        self.output = output
        self._host = host
        self._linger_s = linger_s
        self._transaction = transaction
        self._on_broken = on_broken
        self._wakeup = Wakeup()
        self._backoff = Backoff(f"writing to {output}")
        self._hurried = False

    @abstractmethod
    def put(self, parcel: Parcel) -> None:
        """Queue a parcel. Never blocks: the room was asked for before the attempt began."""

    @abstractmethod
    async def run(self) -> None:
        """Send until cancelled. Raises ``ConnectorError`` when the output is beyond help."""

    def hurry(self) -> None:
        """Send what is queued without waiting for more; called by a commit."""
        self._hurried = True
        self._wakeup.wake()

    async def _write(self, messages: list[Outgoing]) -> asyncio.Future[Failures]:
        """Hand a batch to the producer; the future gives what failed and never raises."""
        producer, serial = self._host.producer, self._host.serial
        within = None if self._transaction is None else await self._transaction.ensure()
        receipt = await producer.write(messages, within)
        return asyncio.ensure_future(self._outcome(receipt, serial, len(messages)))

    async def _flush(self) -> None:
        """Ask the producer to send what it holds back; a failure shows in the receipts."""
        serial = self._host.serial
        try:
            await self._host.producer.flush()
        except UnavailableError as error:
            await self._backoff.wait(error)
        except ConnectorError as error:
            await self._broke(serial, error)

    async def _outcome(self, receipt: object, serial: int, count: int) -> Failures:
        try:
            failures: Failures = await receipt  # type: ignore[misc]  # a Receipt is awaitable
        except ConnectorError as error:
            await self._broke(serial, error)
            return dict.fromkeys(range(count), Unknown(error))
        self._host.worked()
        return failures

    async def _broke(self, serial: int, error: ConnectorError) -> None:
        """A producer is broken: make another, or give the task back to its checkpoint."""
        if self._on_broken is not None:
            self._on_broken(error)
            await asyncio.get_running_loop().create_future()  # until the task is taken down
        await self._host.renew(serial, error)

    async def _unknown(self, failures: Failures) -> None:
        """An unknown outcome of an output that may not repeat ends the task's attempt at it."""
        if self._on_broken is None:
            return
        for failure in failures.values():
            if isinstance(failure, Unknown):
                self._on_broken(failure.error)
                await asyncio.get_running_loop().create_future()
