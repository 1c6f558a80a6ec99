"""The runner for several calls at once: workers that share the lanes of one task.

As in the serial runner no task, queue item, timer, or log line is made for a message, and a
function call is a cost: a worker's loop is long, since each function between it and a handler is
paid for again whenever the handler waits.
"""

from __future__ import annotations

import asyncio
from sys import getrefcount
from typing import Any

from samza_py.message import Message, Offset, Partition
from samza_py.runtime.attempt import Attempt
from samza_py.runtime.calling import ended_call
from samza_py.runtime.children import ended
from samza_py.runtime.lanes import Lanes, Taken
from samza_py.runtime.processing import LeftUnread
from samza_py.runtime.runner import Runner
from samza_py.runtime.wakeup import Wakeup
from samza_py.runtime.watch import Watched

#: Parked messages a worker: enough to find work behind a hot key, few enough to stay bounded.
PARKED_EACH = 16
#: A worker looks at the clock every sixteenth message: a look costs as much as it would save.
LOOKS_MASK = 15


class _Worker(Taken):
    """A child that makes one call after the other, and what it has in hand."""

    __slots__ = ("wakeup", "watched")

    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self.watched = Watched()


def _held_here() -> int:
    """How often a message is referred to while nobody but its worker holds it."""
    worker = _Worker()
    message = Message[Any, Any](Partition("", "", ""), Offset(""), None, None)
    worker.message = message
    return getrefcount(message)


_HELD_HERE = _held_here()
_HELD_BY_OUTPUT = _HELD_HERE + 1


class ConcurrentRunner(Runner):
    """Runs up to ``max_concurrency`` calls at once; see ``Runner``."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._most = self.scope.spec.max_concurrency
        self._lanes = Lanes(
            self.scope, self.chooser, self.codecs, self.has_room, PARKED_EACH * self._most
        )
        self._idle: list[_Worker] = []
        self._running = 0
        self._handing_over = False
        #: A timer is due: nothing is taken until the workers are idle and it has been called.
        self._quiet = False
        #: No attempt may start: a stop, a timer, or an output or the state has no room. Looked at
        #: anew wherever one of these may have changed.
        self._shut = False
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

    def cut(self) -> None:
        """See ``Runner.cut``; what was handed over may have used the room up."""
        super().cut()
        self._look()

    def _done(self) -> bool:
        return self.exhausted and not self._lanes.left

    def _rouse(self) -> None:
        """Wake idle workers, or make new ones, as long as there is work for them."""
        self._hand_over()
        while self._running < self._most:
            worker = self._idle[-1] if self._idle else _Worker()
            if self._shut or not self._lanes.take(worker):
                return
            self._running += 1
            if worker.watched.child is None:
                self.watched.append(worker.watched)
                worker.watched.child = asyncio.get_running_loop().create_task(
                    self._work(worker), name=f"worker {self.scope.name}"
                )
            else:
                self._idle.pop()
                worker.wakeup.wake()

    async def _work(self, worker: _Worker) -> None:  # noqa: C901, PLR0912, PLR0915
        """Finish one message after the other; idle when there is none."""
        scope, lanes, processor, watched = self.scope, self._lanes, self.processor, worker.watched
        caller = self.caller
        handler, takes_context, is_async = caller.handler, caller.takes_context, caller.is_async
        known, direct = caller.values, caller.direct
        loop = asyncio.get_running_loop()
        turn = 0
        try:
            while True:
                message: Any = worker.message
                source = worker.source
                codec = source.codec
                try:
                    if not direct or scope.condemned or not codec.fill(message):
                        await processor.process(message, codec, watched)
                    else:
                        attempt = Attempt(scope, message) if takes_context else None
                        watched.calling = message
                        try:
                            result = (
                                handler(message) if attempt is None else handler(message, attempt)
                            )
                            if is_async:
                                result = await result
                            if attempt is None and (
                                type(result) in known or caller.is_value(result)
                            ):
                                processor.send(result, message, codec)
                                held = _HELD_HERE if result is None else _HELD_BY_OUTPUT
                            else:
                                attempt = attempt or Attempt(scope, message)
                                key = codec.key_for_output(message)
                                await caller.unfold(result, message, attempt, key)
                                attempt.closed = True
                                attempt.take_effect()
                                held, attempt = _HELD_HERE + attempt.number, None
                        except (Exception, asyncio.CancelledError) as error:
                            if attempt is not None:
                                attempt.closed = True
                            failed = ended_call(watched, scope.spec, error)
                            watched.calling = None
                            await processor.first_failed(message, codec, watched, failed)
                        else:
                            scope.counters.handled += 1
                            if watched.timed_out is not None:
                                watched.take_timeout()  # too late: the call has succeeded
                            watched.calling = None
                            if getrefcount(message) == held:
                                message.value = None  # see ``SerialRunner``
                except LeftUnread:
                    pass
                else:
                    source.progress.finish(message)
                    scope.dirty = True
                    if not self._handing_over:
                        self._handing_over = True
                        loop.call_soon(self._hand_over)
                if worker.lane is not None:
                    lanes.leave(source, worker.lane)
                turn += 1
                if turn & LOOKS_MASK == 0:
                    await self.give_way()
                if self._dismissed:
                    return  # the handler has swallowed its cancellation
                if scope.attention:
                    self._hand_over()
                if self._shut or not lanes.take(worker):
                    self._running -= 1
                    self._idle.append(worker)
                    scope.wakeup.wake()
                    await worker.wakeup.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._error = self._error or error
            scope.wakeup.wake()

    def _hand_over(self) -> None:
        """Give what is finished to the outboxes, and see what room they have then.

        Once for all attempts that ended in a turn of the loop, and when one has filled an output:
        no other may start then.
        """
        self._handing_over = False
        self.scope.hand_over()
        self._look()

    def _look(self) -> None:
        scope = self.scope
        self._shut = scope.stopping or self._quiet or self._dismissed or scope.full

    async def _dismiss(self) -> None:
        """End the workers, whatever they are doing."""
        self._dismissed = True
        await ended([child for watched in self.watched if (child := watched.child) is not None])
