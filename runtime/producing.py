"""A producer that is made anew when it breaks, and the transaction that its writes stand in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from samza_py.errors import ConnectorError, UnavailableError
from samza_py.producer import Producer
from samza_py.runtime.backoff import Backoff, retried
from samza_py.transaction import Transaction

logger = logging.getLogger(__name__)

MOST_RENEWALS = 5
"""So often a producer is made anew at once, without a write in between."""


class ProducerHost:
    """Owns one producer and replaces it when an outbox finds it broken.

    Args:
        name: for the log.
        make: makes a new, unopened producer.
    """

    def __init__(self, name: str, make: Callable[[], Producer]) -> None:
        self.name = name
        self._make = make
        self.producer = make()
        self.serial = 0
        self._lock = asyncio.Lock()
        self._renewals = 0
        self._backoff = Backoff(f"the producer of {name}")

    async def open(self, timeout_s: float | None = None) -> None:
        """Open the producer; retried while its system is away."""
        await retried(f"opening the producer of {self.name}", self._open, timeout_s=timeout_s)

    async def _open(self) -> None:
        try:
            await self.producer.aopen()
        except BaseException:
            await self.producer.aclose()
            self.producer = self._make()
            raise

    async def renew(self, serial: int, error: ConnectorError) -> None:
        """Replace the producer that had this serial; nothing happens when it was replaced before.

        An outage is waited for as long as it lasts, in growing steps.

        Raises:
            ConnectorError: it broke again and again without a write in between, and by no outage.
        """
        async with self._lock:
            if serial != self.serial:
                return
            self._renewals += 1
            if self._renewals <= MOST_RENEWALS:
                logger.warning("the producer of %s broke and is made anew: %s", self.name, error)
            elif isinstance(error, UnavailableError):
                await self._backoff.wait(error)
            else:
                raise error
            await self.producer.aclose()
            self.producer = self._make()
            self.serial += 1
            await self.open()

    def worked(self) -> None:
        """A write was settled: breaking is counted anew."""
        self._renewals = 0
        self._backoff.worked()

    async def close(self) -> None:
        """Close the producer."""
        await self.producer.aclose()


class OpenTransaction:
    """The transaction that is open now for a task; begun before the first write that needs it.

    Args:
        transaction: of the task's claim.
    """

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction
        self._begun = False
        self._lock = asyncio.Lock()

    async def ensure(self) -> Transaction:
        """The transaction, begun.

        Does not wait where it is begun already: an outbox that has writes in flight must not hear
        of their failures between its decision to send more and the write.
        """
        if not self._begun:
            async with self._lock:
                if not self._begun:
                    await retried("beginning a transaction", self.transaction.begin)
                    self._begun = True
        return self.transaction

    async def commit(self) -> None:
        """End it. Raises what ``Transaction.commit`` raises."""
        self._begun = False
        await self.transaction.commit()
