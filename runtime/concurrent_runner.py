"""The runner for several calls at once: workers on one set of buffers, lanes kept in order.

A lane is what calls may not overlap over: a key, a partition, or nothing. A message whose lane is
busy is parked behind it and taken by the worker that frees the lane.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable
from typing import Any

from samza_py.message import Position, Received
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.processing import LeftUnread
from samza_py.runtime.runner import Runner
from samza_py.runtime.wakeup import Wakeup
from samza_py.runtime.watch import Watched

#: Parked messages a worker: enough to find work behind a hot key, few enough to stay bounded.
PARKED_EACH = 16
#: So many messages are taken off a buffer at once: the choice is shared by them.
SLICE = 16
#: A worker looks at the clock every sixteenth message: a look costs as much as it would save.
LOOKS_MASK = 15


class _Item:
    """A message that a worker has taken, or that waits behind its lane."""

    __slots__ = ("buffer", "lane", "message")

    def __init__(self, message: Received, buffer: PartitionBuffer, lane: Hashable) -> None:
        self.message = message
        self.buffer = buffer
        self.lane = lane


class _Worker:
    __slots__ = ("child", "item", "wakeup", "watched")

    def __init__(self) -> None:
        self.item: _Item | None = None
        self.wakeup = Wakeup()
        self.watched = Watched()
        self.child: asyncio.Task[None] | None = None


class ConcurrentRunner(Runner):
    """Runs up to ``max_concurrency`` calls at once; see ``Runner``."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        spec = self.scope.spec
        self._most = spec.max_concurrency
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        #: By lane that is busy; None where nothing waits behind it, as behind most.
        self._parked: dict[Hashable, deque[_Item] | None] = {}
        self._parked_count = 0
        #: Messages off one buffer that no worker has taken, and the position behind them, if any.
        self._slice: deque[Received] = deque()
        self._source: PartitionBuffer | None = None
        self._behind: Position | None = None
        #: Lanes that wait for room rather than for a worker.
        self._free: deque[Hashable] = deque()
        self._running = 0
        self._handing_over = False
        #: A timer is due: nothing is taken until the workers are idle and it has been called.
        self._quiet = False
        self._error: BaseException | None = None
        self._dismissed = False

    async def run(self) -> None:
        """Give work to the workers until everything is exhausted or the task is stopped."""
        scope = self.scope
        try:
            while True:
                if self._error is not None:
                    raise self._error
                self._quiet = bool(scope.timers) and not scope.stopping and self.timer_due()
                if self._quiet and self._running == 0:
                    await self.fire_timers()
                    continue
                self._rouse()
                if self._running == 0 and (scope.stopping or self._done()):
                    scope.hand_over()
                    return
                await scope.wakeup.wait()
        finally:
            await self._dismiss()

    def _done(self) -> bool:
        return self.exhausted and not self._slice and not self._parked_count

    def _rouse(self) -> None:
        """Wake idle workers, or make new ones, as long as there is work for them."""
        while self._running < self._most:
            item = self._take()
            if item is None:
                return
            self._running += 1
            if self._idle:
                worker = self._idle.pop()
            else:
                worker = _Worker()
                self._workers.append(worker)
                self.watched.append(worker.watched)
            self._give(worker, item)

    def _give(self, worker: _Worker, item: _Item) -> None:
        if worker.child is None:
            worker.child = asyncio.get_running_loop().create_task(
                self._work(worker, item), name=f"worker {self.scope.name}"
            )
            worker.watched.child = worker.child
        else:
            worker.item = item
            worker.wakeup.wake()

    async def _work(self, worker: _Worker, item: _Item) -> None:
        """Finish one item after the other; idle when there is none."""
        turn = 0
        try:
            while True:
                message, progress = item.message, item.buffer.progress
                codec = self.codecs[item.buffer.key.partition]
                try:
                    await self.processor.process(message, codec, worker.watched)
                except LeftUnread:
                    pass
                else:
                    progress.finish(message.seq, message.offset)
                    self.scope.dirty = True
                    if not self._handing_over:
                        self._handing_over = True
                        asyncio.get_running_loop().call_soon(self._hand_over)
                turn += 1
                if turn & LOOKS_MASK == 0:
                    await self.give_way()
                if self._dismissed:
                    return  # the handler has swallowed its cancellation
                following = self._following(item)
                if following is None:
                    self._running -= 1
                    self._idle.append(worker)
                    self.scope.wakeup.wake()
                    await worker.wakeup.wait()
                    following, worker.item = worker.item, None
                    assert following is not None
                item = following
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = self._error or error
            self.scope.wakeup.wake()

    def _hand_over(self) -> None:
        """Once for all attempts that ended in this turn of the loop."""
        self._handing_over = False
        self.scope.hand_over()

    def _following(self, item: _Item) -> _Item | None:
        """What a worker does next: the message behind its own in the lane, else another."""
        lane = item.lane
        if lane is not None:
            if self._parked[lane]:
                self._free.appendleft(lane)
            else:
                del self._parked[lane]
        return self._take()

    def _take(self) -> _Item | None:
        """The next message whose lane is free, parking those whose is not."""
        while self._may_start():
            if self._free:
                behind = self._parked[self._free.popleft()]
                assert behind is not None
                self._parked_count -= 1
                return behind.popleft()
            if self._parked_count >= PARKED_EACH * self._most:
                return None
            if not self._slice:
                if not self._take_slice():
                    return None
                continue
            item = self._pop()
            lane = item.lane
            if lane is None:
                return item
            if lane not in self._parked:
                self._parked[lane] = None
                return item
            behind = self._parked[lane]
            if behind is None:
                behind = self._parked[lane] = deque()
            behind.append(item)
            self._parked_count += 1
        return None

    def _may_start(self) -> bool:
        """Whether an attempt may start now: asked for each, as each may fill an output."""
        scope = self.scope
        if scope.stopping or self._quiet or self._dismissed:
            return False
        if scope.attention:
            scope.hand_over()
        return not scope.full

    def _take_slice(self) -> bool:
        """Take the next few messages off a buffer; false where there is nothing to take."""
        buffer = self.chooser.choose()
        if buffer is None:
            return False
        chunk = buffer.chunk()
        assert chunk is not None
        most = min(SLICE, self.chooser.most(buffer), self.chooser.gaps(buffer))
        messages = chunk.messages[:most]
        self._slice.extend(messages)
        self._source = buffer
        self._behind = chunk.position if buffer.took(chunk, len(messages)) else None
        if not messages:
            self._pass_slice()
        self.has_room(buffer)
        return True

    def _pop(self) -> _Item:
        """Take one message off the slice and number it."""
        buffer = self._source
        assert buffer is not None
        message = self._slice.popleft()
        message.seq = buffer.progress.begin()
        self.scope.counters.received += 1
        if not self._slice:
            self._pass_slice()
        return _Item(message, buffer, self.lane(message, buffer))

    def _pass_slice(self) -> None:
        """Behind the last message of a chunk, reading has come to the chunk's position."""
        if self._behind is not None and self._source is not None:
            self._source.progress.mark(self._behind)
            self.scope.dirty = True

    async def _dismiss(self) -> None:
        """End the workers, whatever they are doing."""
        self._dismissed = True
        children = [worker.child for worker in self._workers if worker.child is not None]
        for child in children:
            child.cancel()
        if children:
            await asyncio.wait(children)
