"""Writing: a batch in one transaction, and the truth about what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from examples.connectors.sqlite_log import database
from examples.connectors.sqlite_log.database import AppendError, Database
from samza_py.errors import RejectedError
from samza_py.message import Outgoing
from samza_py.producer import (
    Failure,
    Limits,
    Producer,
    Receipt,
    Rejected,
    Requests,
    Retry,
    Settled,
)
from samza_py.system import Output
from samza_py.transaction import Transaction


class SqliteProducer(Producer):
    """Appends a batch in one transaction of SQLite: all of it is durable, or surely none.

    ``WHOLE`` says just that, and makes the outbox wait for a batch before it sends the next one.
    """

    requests = Requests.WHOLE
    limits = Limits(messages=1000, bytes=1 << 20, in_flight=1)

    def __init__(self, db: Database, outputs: Mapping[str, Output[Any, Any]]) -> None:
        self._db = db
        self._outputs = outputs
        self._writing: asyncio.Future[None] | None = None

    async def aclose(self) -> None:
        """Wait for a thread that still writes; nothing else is held."""
        await self._thread_has_ended()

    def lane(self, message: Outgoing) -> Hashable:
        """What order is kept over: the partition that was chosen, else what decides on it."""
        return (message.stream, message.partition, message.key)

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        """Write a batch. No retry, no splitting, no logging: the outbox does all of that.

        A thread cannot be cancelled. Were a cancelled write left alone, its rows could land behind
        those of the next write; so it runs on shielded, and the next write waits for it.
        """
        await self._thread_has_ended()
        rows = [(self._outputs[m.stream].physical, m) for m in batch]
        self._writing = asyncio.ensure_future(self._db.ask(lambda db: database.append(db, rows)))
        try:
            await asyncio.shield(self._writing)
        except AppendError as error:
            # One message can never be written, so the transaction was rolled back: that one goes
            # by the error policy, the others are sent again without it.
            failures: dict[int, Failure] = {
                index: Retry(RejectedError(f"written in one batch with: {error}"))
                for index in range(len(batch))
            }
            failures[error.index] = Rejected(RejectedError(str(error)))
            return Settled(failures)
        return Settled()  # durable already: there is nothing to wait for

    async def _thread_has_ended(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
