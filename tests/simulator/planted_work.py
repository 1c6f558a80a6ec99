"""Mistakes in reading, calling and retrying."""

from __future__ import annotations

import asyncio
from typing import Any

from samza_py.message import Message
from samza_py.runtime.attempt import Attempt, StoreView
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.failures import Failures
from samza_py.runtime.intake import Intake
from samza_py.runtime.lanes import Lanes
from samza_py.runtime.processing import LeftUnread, Processor
from samza_py.runtime.reading import Parents
from tests.simulator.planted import Ground, always, bug


@bug("a retried call keeps what its failed attempts have sent", seed=5)
def retry_keeps_sends(ground: Ground) -> None:
    def keep(self: Attempt, sender: Any, message: Any) -> None:
        self.number += 1
        self._scope.keep(sender, message, message.size)

    ground.put(Attempt, "keep", keep)


@bug("a retried call keeps what its failed attempts have stored", seed=1)
def retry_keeps_state(ground: Ground) -> None:
    def put(self: StoreView[Any, Any], key: Any, value: Any) -> None:
        overlay = self._overlay
        overlay.apply({self._checked(key): overlay.encoded_value(value)})

    ground.put(StoreView, "put", put)


@bug("an entry that changed during a call is overwritten with what the call had read", seed=2)
def stale_read_kept(ground: Ground) -> None:
    ground.put(StoreView, "stale", always(False))


@bug("calls of one key overlap", seed=3)
def key_order_broken(ground: Ground) -> None:
    made = Lanes.__init__

    def blind(self: Lanes, *args: Any) -> None:
        made(self, *args)
        self._by_key, self._fixed_lane = False, None

    ground.put(Lanes, "__init__", blind)


@bug("a message that a stop finds in a backoff counts as finished", seed=42)
def stop_finishes_backoff(ground: Ground) -> None:
    attempts = Processor.attempts

    async def hasty(self: Processor, *args: Any) -> None:
        try:
            await attempts(self, *args)
        except LeftUnread:
            return

    ground.put(Processor, "attempts", hasty)


@bug("a partition starts before its parents are read to their ends", seed=13)
def parents_ignored(ground: Ground) -> None:
    async def ready(self: Parents, waiting: Any) -> Any:
        return dict(waiting)

    ground.put(Parents, "ready", ready)


@bug("what a poll brings at the moment in which it is given up is dropped", seed=34)
def given_up_poll_dropped(ground: Ground) -> None:
    poll = Intake._poll

    async def lossy(self: Intake, wanted: Any) -> Any:
        found = await poll(self, wanted)
        return {} if self._wakeup._set else found

    ground.put(Intake, "_poll", lossy)


@bug("the end of a partition is judged by its last message", seed=1)
def end_by_message(ground: Ground) -> None:
    keep = PartitionBuffer._keep

    def by_message(self: PartitionBuffer, messages: list[Any], position: Any) -> None:
        keep(self, messages, messages[-1].offset if messages else position)

    ground.put(PartitionBuffer, "_keep", by_message)


@bug("a partition that failed is read on from where its consumer stood", seed=6)
def failed_partition_skips(ground: Ground) -> None:
    read_again = Intake._read_again

    async def further(self: Intake, reading: Any, error: Any) -> None:
        at = reading.buffer.read_to
        if isinstance(at, str):
            reading.buffer.read_to = type(at)(int(at) + 1)
        await read_again(self, reading, error)

    ground.put(Intake, "_read_again", further)


@bug("the policy takes a cancelled call for a failed one", seed=42)
def cancelled_call_fails(ground: Ground) -> None:
    call = Processor._call

    async def swallowing(self: Processor, *args: Any) -> None:
        try:
            await call(self, *args)
        except asyncio.CancelledError as error:
            raise RuntimeError("cancelled") from error

    ground.put(Processor, "_call", swallowing)


@bug("what a consumer cannot decode is passed over", seed=2)
def undecodable_dropped(ground: Ground) -> None:
    keep = PartitionBuffer._keep

    def decodable(self: PartitionBuffer, messages: list[Any], position: Any) -> None:
        keep(self, [one for one in messages if isinstance(one, Message)], position)

    ground.put(PartitionBuffer, "_keep", decodable)


@bug("the first call does not count as an attempt", seed=32)
def one_attempt_more(ground: Ground) -> None:
    may_retry = Failures.may_retry

    def generous(self: Failures, message: Any, error: Exception, attempts: int) -> Any:
        return may_retry(self, message, error, attempts - 1)

    ground.put(Failures, "may_retry", generous)
