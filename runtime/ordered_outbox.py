"""The outbox for producers that keep the order of their lanes, or take one request at a time.

After a failure it sends again from the first unsettled message on, so that no later message of a
lane passes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain

from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Rejected, Requests, Retry, Unknown
from samza_py.runtime.outbox import Outbox
from samza_py.runtime.port import Parcel
from samza_py.runtime.producing import OpenTransaction, ProducerHost


class _Batch:
    """A batch in flight: its parcels, what will become of it, and which producer has it."""

    __slots__ = ("outcome", "parcels", "serial")

    def __init__(
        self, parcels: list[Parcel], outcome: asyncio.Future[Failures], serial: int
    ) -> None:
        self.parcels = parcels
        self.outcome = outcome
        self.serial = serial


class OrderedOutbox(Outbox):
    """Sends batches in the order of the queue; see the module."""

    def __init__(
        self,
        output: str,
        host: ProducerHost,
        linger_s: float,
        transaction: OpenTransaction | None = None,
        on_broken: Callable[[ConnectorError], None] | None = None,
    ) -> None:
        super().__init__(output, host, linger_s, transaction, on_broken)
        self._queue: deque[Parcel] = deque()
        self._queued = 0
        self._queued_bytes = 0
        self._first_at = 0.0
        self._in_flight: deque[_Batch] = deque()

    def put(self, parcel: Parcel) -> None:
        """Queue a parcel."""
        first = not self._queue
        if first:
            self._first_at = asyncio.get_running_loop().time()
        self._queue.append(parcel)
        self._queued += len(parcel.messages)
        self._queued_bytes += parcel.bytes
        if first or self._hurried or self._fills_batch():
            self._wakeup.wake()  # in between, the end of the linger does

    async def run(self) -> None:
        """Send, settle, send again what failed, until cancelled."""
        try:
            while True:
                if await self._settle():
                    continue
                if self._may_send():
                    await self._send()
                else:
                    await self._wait()
        finally:
            for batch in self._in_flight:
                batch.outcome.cancel()

    # Sending ---------------------------------------------------------------------------------

    def _may_send(self) -> bool:
        if not self._queue:
            return False
        producer = self._host.producer
        most = producer.limits.in_flight if producer.requests is Requests.ORDERED else 1
        if len(self._in_flight) >= most:
            return False
        if self._in_flight and self._in_flight[-1].serial != self._host.serial:
            return False  # another output had it renewed: the new one knows of no failure to keep
        return self._fills_batch() or self._hurried or self._linger_left() <= 0

    def _fills_batch(self) -> bool:
        limits = self._host.producer.limits
        return self._queued >= limits.messages or self._queued_bytes >= limits.bytes

    def _linger_left(self) -> float:
        return self._first_at + self._linger_s - asyncio.get_running_loop().time()

    async def _wait(self) -> None:
        if self._hurried and not self._queue:
            self._hurried = False
            await self._flush()
        elif self._queue and self._linger_s and (left := self._linger_left()) > 0:
            timer = asyncio.get_running_loop().call_later(left, self._wakeup.wake)
            try:
                await self._wakeup.wait()
            finally:
                timer.cancel()
        else:
            await self._wakeup.wait()

    async def _send(self) -> None:
        parcels = self._compose()
        if len(parcels) == 1:
            messages = parcels[0].messages
        else:
            messages = list(chain.from_iterable([parcel.messages for parcel in parcels]))
        if not messages:
            return
        serial = self._host.serial
        try:
            outcome = await self._write(messages)
        except UnavailableError as error:
            self._put_back(parcels)
            await self._backoff.wait(error)
        except ConnectorError as error:
            self._put_back(parcels)
            await self._broke(serial, error)
        else:
            outcome.add_done_callback(lambda _: self._wakeup.wake())
            self._in_flight.append(_Batch(parcels, outcome, serial))

    def _compose(self) -> list[Parcel]:
        """Take the next batch off the queue, splitting a parcel that is too large for it."""
        limits = self._host.producer.limits
        parcels: list[Parcel] = []
        messages, size = limits.messages, limits.bytes
        queue = self._queue
        while queue and messages > 0 and size > 0:
            parcel = queue.popleft()
            if not parcel.port.closed and (
                len(parcel.messages) > messages or parcel.most_bytes > size
            ):
                count, counted = _fitting(parcel, messages, size)
                if count == 0 and parcels:
                    queue.appendleft(parcel)
                    break
                if count == 0:
                    count, counted = 1, parcel.messages[0].size
                if count < len(parcel.messages):
                    parcel, rest = parcel.split(count, counted)
                    queue.appendleft(rest)
            self._queued -= len(parcel.messages)
            self._queued_bytes -= parcel.bytes
            if not parcel.port.closed:
                parcels.append(parcel)
                messages -= len(parcel.messages)
                size -= parcel.most_bytes
        return parcels

    def _put_back(self, parcels: Sequence[Parcel]) -> None:
        self._queue.extendleft(reversed(parcels))
        self._queued += sum(len(parcel.messages) for parcel in parcels)
        self._queued_bytes += sum(parcel.bytes for parcel in parcels)

    # Settling --------------------------------------------------------------------------------

    async def _settle(self) -> bool:
        """Account for batches that are done, from the oldest; true when it sent some back.

        A failure counts as soon as it is told, also while an older batch is still in flight: from
        then on the producer takes what comes next, which would pass what has failed.
        """
        in_flight = self._in_flight
        for batch in in_flight:
            if batch.outcome.done() and batch.outcome.result():
                await self._send_again()
                return True
        while in_flight and in_flight[0].outcome.done():
            for parcel in in_flight.popleft().parcels:
                parcel.port.settled(parcel.generation, len(parcel.messages), parcel.bytes)
            self._backoff.worked()
        return False

    async def _send_again(self) -> None:
        """A batch failed: wait for all that is in flight, then queue what failed, in order."""
        failed: list[Parcel] = []
        last: Retry | Unknown | None = None
        while self._in_flight:
            failures = await asyncio.shield(self._in_flight[0].outcome)
            await self._unknown(failures)
            batch = self._in_flight.popleft()
            index = 0
            for parcel in batch.parcels:
                again = _again(parcel, failures, index)
                index += len(parcel.messages)
                if again is not None:
                    failed.append(again)
            for failure in failures.values():
                last = failure if not isinstance(failure, Rejected) else last
        self._put_back(failed)
        if last is not None:
            after_s = last.after_s if isinstance(last, Retry) else 0.0
            await self._backoff.wait(UnavailableError(str(last.error), after_s=after_s))


def _again(parcel: Parcel, failures: Failures, start: int) -> Parcel | None:
    """Settle what of a parcel is durable or rejected; give the rest, to be sent again."""
    again: list[Outgoing] = []
    rejected: list[tuple[Outgoing, ConnectorError]] = []
    if parcel.port.closed:
        return None
    for index, message in enumerate(parcel.messages, start):
        failure = failures.get(index)
        if isinstance(failure, Rejected):
            rejected.append((message, failure.error))
        elif failure is not None:
            again.append(message)
    for message, error in rejected:
        # Before it is settled: what takes its place must be counted first.
        parcel.port.on_rejection(message, error, parcel.generation)
    size = sum(message.size for message in again)
    count = len(parcel.messages) - len(again)
    if count:
        parcel.port.settled(parcel.generation, count, parcel.bytes - size)
    return Parcel(parcel.port, parcel.generation, again, size) if again else None


def _fitting(parcel: Parcel, most: int, size: int) -> tuple[int, int | None]:
    """How many of a parcel's first messages fit into a batch, and their bytes where asked for."""
    messages = parcel.messages
    if parcel.most_bytes <= size:
        return most, None  # only the count is too large: no message is asked for its size
    counted = 0
    for count, message in enumerate(messages[:most]):
        if counted + message.size > size:
            return count, counted
        counted += message.size
    return min(most, len(messages)), counted
