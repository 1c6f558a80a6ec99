"""The outbox for producers whose requests fail message by message.

No two unsettled messages of a lane are out at once: a message whose lane is busy waits behind it,
and a failed one keeps its lane until it has been sent again. Other lanes go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Failure, Failures, Rejected, Retry
from samza_py.runtime.outbox import Outbox
from samza_py.runtime.port import Parcel, Port
from samza_py.runtime.producing import OpenTransaction, ProducerHost
from samza_py.seam import seam


@dataclass(slots=True)
class _Item:
    """One message on its way: whose it is, its lane, and how often it failed."""

    message: Outgoing
    port: Port
    generation: int
    lane: Hashable
    size: int
    failures: int = 0


class LaneOutbox(Outbox):
    """Sends each lane in order, one message at a time; see the module."""

    def __init__(
        self,
        output: str,
        host: ProducerHost,
        linger_s: float,
        transaction: OpenTransaction | None = None,
        on_broken: Callable[[ConnectorError], None] | None = None,
    ) -> None:
        super().__init__(output, host, linger_s, transaction, on_broken)
        self._ready: deque[_Item] = deque()
        self._behind: dict[Hashable, deque[_Item]] = {}
        self._in_flight: dict[asyncio.Future[Failures], list[_Item]] = {}
        self._first_at = 0.0

    def put(self, parcel: Parcel) -> None:
        """Queue a parcel, each message behind those of its lane."""
        if not self._ready:
            self._first_at = asyncio.get_running_loop().time()
        lane_of = self._host.producer.lane
        for message in parcel.messages:
            lane = lane_of(message)
            item = _Item(message, parcel.port, parcel.generation, lane, message.size)
            behind = self._behind.get(lane)
            if behind is None:
                self._behind[lane] = deque()
                self._ready.append(item)
            else:
                behind.append(item)
        self._wakeup.wake()

    async def run(self) -> None:
        """Send and settle until cancelled."""
        try:
            while True:
                await self._settle()
                if self._may_send():
                    await self._send()
                else:
                    await self._wait()
        finally:
            for outcome in self._in_flight:
                outcome.cancel()

    def _may_send(self) -> bool:
        limits = self._host.producer.limits
        if not self._ready or len(self._in_flight) >= limits.in_flight:
            return False
        if self._hurried or len(self._ready) >= limits.messages:
            return True
        return self._first_at + self._linger_s <= asyncio.get_running_loop().time()

    async def _wait(self) -> None:
        timer = None
        if self._hurried and not self._behind:
            self._hurried = False
        elif self._ready and len(self._in_flight) < self._host.producer.limits.in_flight:
            due = self._first_at + self._linger_s
            timer = asyncio.get_running_loop().call_at(due, self._wakeup.wake)
        if self._hurried and self._in_flight:
            await self._flush()
        try:
            await self._wakeup.wait()
        finally:
            if timer is not None:
                timer.cancel()

    async def _send(self) -> None:
        items = self._compose()
        if not items:
            return
        serial = self._host.serial
        try:
            outcome = await self._write([item.message for item in items])
        except UnavailableError as error:
            self._ready.extendleft(reversed(items))
            await self._backoff.wait(error)
        except ConnectorError as error:
            self._ready.extendleft(reversed(items))
            await self._broke(serial, error)
        else:
            outcome.add_done_callback(lambda _: self._wakeup.wake())
            self._in_flight[outcome] = items

    def _compose(self) -> list[_Item]:
        limits = self._host.producer.limits
        items: list[_Item] = []
        size = limits.bytes
        while self._ready and len(items) < limits.messages:
            item = self._ready[0]
            if item.port.closed:
                self._leave(self._ready.popleft())
                continue
            size -= item.size
            if size < 0 and items:
                break
            items.append(self._ready.popleft())
        return items

    async def _settle(self) -> None:
        for outcome in [outcome for outcome in self._in_flight if outcome.done()]:
            failures = outcome.result()
            await self._unknown(failures)
            self._backoff.worked()
            items = self._in_flight.pop(outcome)
            for index, item in enumerate(items):
                self._settle_one(item, failures.get(index))

    def _settle_one(self, item: _Item, failure: Failure | None) -> None:
        if item.port.closed:
            self._leave(item)
            return
        if failure is not None and not isinstance(failure, Rejected):
            item.failures += 1
            wait = min(10.0, 0.05 * 2.0 ** min(item.failures, 12)) * (0.5 + seam().random.random())
            wait = max(wait, failure.after_s if isinstance(failure, Retry) else 0.0)
            asyncio.get_running_loop().call_later(wait, self._again, item)
            return
        if failure is not None:
            item.port.on_rejection(item.message, failure.error, item.generation)
        item.port.settled(item.generation, 1, item.size)
        self._leave(item)

    def _leave(self, item: _Item) -> None:
        """Nothing of this message is left to do: the next one of its lane may go."""
        behind = self._behind[item.lane]
        if behind:
            self._ready.append(behind.popleft())
        else:
            del self._behind[item.lane]

    def _again(self, item: _Item) -> None:
        self._ready.appendleft(item)
        self._wakeup.wake()
