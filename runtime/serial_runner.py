"""The runner for one call at a time: the hot path.

It takes slices of a partition's buffer and awaits the handler over each: no task, queue item,
timer, or log line a message. The loop below is long because a function call a message costs what
a tenth of the whole budget is.
"""

from __future__ import annotations

import asyncio
from operator import length_hint
from sys import getrefcount
from typing import Any

from samza_py.message import Message, Offset, Outgoing, Partition, Received, Record
from samza_py.runtime.attempt import Attempt, too_much
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.calling import ended_call
from samza_py.runtime.processing import LeftUnread
from samza_py.runtime.runner import Runner
from samza_py.runtime.watch import Watched

LONGEST_SLICE = 512
SLICE_S = 0.002


def _held_here() -> int:
    """How often a message is referred to while nobody but this runner holds it."""
    message: Message[Any, Any] = Message(Partition("", "", ""), Offset(""), None, None)
    watch = Watched()
    watch.calling = message
    buffered, messages = [message], [message]
    held = getrefcount(message)
    del buffered, messages
    return held


_HELD_HERE = _held_here()
_HELD_BY_OUTPUT = _HELD_HERE + 1


class SerialRunner(Runner):
    """Calls the handler for one message after the other; see ``Runner``."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._watch = Watched()
        self.watched.append(self._watch)
        self._slice = 1
        #: How many messages of the slice in hand are finished.
        self._taken = 0

    async def run(self) -> None:
        """Work off the buffers, in slices."""
        scope = self.scope
        self._watch.child = asyncio.current_task()
        while not scope.stopping:
            if scope.timers and self.timer_due():
                await self.fire_timers()
            buffer = self.next_buffer()
            if buffer is None:
                scope.hand_over()
                if self.exhausted:
                    return
                await scope.wakeup.wait()
                continue
            await self._take_slice(buffer)
            scope.hand_over()
            await self.give_way()

    async def _take_slice(self, buffer: PartitionBuffer) -> None:
        """Work off the next messages of a buffer: as many as take about ``SLICE_S``."""
        scope, watch = self.scope, self._watch
        chunk = buffer.chunk()
        assert chunk is not None
        # Each sends one message at least where there is an output: more have no room to begin.
        to = self.caller.to
        room = LONGEST_SLICE if to is None else to.port.room_messages
        messages = chunk.messages[: min(self._slice, self.chooser.most(buffer), room)]
        loop = asyncio.get_running_loop()
        began = loop.time()
        # A commit in the middle of a slice has something to cover; in front of a single call, not.
        scope.dirty = scope.dirty or len(messages) > 1
        self._taken = 0
        try:
            if self.caller.direct and not scope.condemned:
                await self._run_fast(buffer, messages)
            else:
                await self._run_any(buffer, messages)
        finally:
            if watch.timed_out is not None:
                watch.take_timeout()  # too late: the call has succeeded
            watch.calling = None
            # A commit during the slice has covered what was finished then, and not the rest.
            scope.dirty = True
            taken = self._taken
            scope.counters.received += taken
            if buffer.took(chunk, taken):
                buffer.progress.pass_to(chunk.position)
        self.has_room(buffer)
        elapsed = loop.time() - began
        if elapsed > SLICE_S:
            self._slice = max(1, self._slice // 2)
        elif taken == self._slice:
            self._slice = min(LONGEST_SLICE, self._slice * 2)

    async def _run_any(self, buffer: PartitionBuffer, messages: list[Received]) -> None:
        """Run messages through everything that may happen to them."""
        scope, progress = self.scope, buffer.progress
        codec = self.codecs[buffer.key.partition]
        for index, message in enumerate(messages, 1):
            try:
                await self.processor.process(message, codec, self._watch)
            except LeftUnread:
                return
            progress.last = message
            self._taken = index
            if scope.attention:
                return

    async def _run_fast(self, buffer: PartitionBuffer, messages: list[Any]) -> None:  # noqa: C901, PLR0912, PLR0915
        """The same for a plain or async handler, without a call that can be saved."""
        scope, progress, watch = self.scope, buffer.progress, self._watch
        codec = self.codecs[buffer.key.partition]
        decode_key, decode_value, encode_key = (
            codec.decode_key,
            codec.decode_value,
            codec.encode_key,
        )
        caller = self.caller
        handler, takes_context, is_async = caller.handler, caller.takes_context, caller.is_async
        known = caller.values
        held_here, held_by_output = _HELD_HERE, _HELD_BY_OUTPUT
        to: Any = caller.to
        taken: set[type] = set() if to is None or takes_context else to.taken
        stream, sent_by, most = "", "", 0
        encode_value: Any = None
        append: Any = None
        if to is not None:
            stream, sent_by, encode_value = to.stream, to.handler, to.encode_value
            append = to.pending.append
            most = min(scope.max_attempt_bytes, to.port.room_bytes)
        #: The type of the last result, where it is one that is sent below, without a detour.
        plain: type | None = None
        attempt: Attempt | None = None
        waiting = iter(messages)
        others, in_hand = 0, 1
        try:
            for message in waiting:
                try:
                    raw_key, raw_value = message.raw_key, message.raw_value
                    if raw_key is not None:
                        message.key = decode_key(raw_key)
                    if raw_value is None:
                        raise ValueError
                    message.value = decode_value(raw_value)
                except Exception:
                    # Not a message, no value, or bytes that do not decode: rare, so seen to there.
                    try:
                        await self.processor.process(message, codec, watch)
                    except LeftUnread:
                        return
                    others += 1
                    progress.last = message
                    if scope.attention:
                        break
                    continue
                watch.calling = message
                try:
                    if takes_context:
                        attempt = Attempt(scope, message)
                        result = handler(message, attempt)
                    else:
                        result = handler(message)
                    if is_async:
                        result = await result
                    kind = type(result)
                    if kind is plain:
                        if encode_key is not None and raw_key is not None:
                            raw_key = encode_key(message.key)
                        try:
                            data = encode_value(result)
                        except Exception as error:
                            raise to.misfit(error) from error
                        outgoing = Outgoing(
                            stream, raw_key, data, message.timestamp_ms, message, sent_by
                        )
                        if type(data) is bytes:
                            size = len(data) if raw_key is None else len(data) + len(raw_key)
                        else:
                            size = outgoing.size
                        # Not in a local variable: a commit may have taken all during the call.
                        total = to.pending_bytes + size
                        if total >= most:
                            if size > scope.max_attempt_bytes:
                                raise too_much(scope)
                            scope.attention = True
                        append(outgoing)
                        to.pending_bytes = total
                        held = held_by_output
                    elif kind not in known and not caller.is_value(result):
                        attempt = Attempt(scope, message) if attempt is None else attempt
                        await caller.unfold(result, message, attempt, codec.key_for_output(message))
                        attempt.closed = True
                        attempt.take_effect()
                        held, attempt = held_here + attempt.number, None
                    elif attempt is not None:
                        attempt.closed = True
                        if result is not None:
                            caller.keep(result, message, attempt, codec.key_for_output(message))
                        attempt.take_effect()
                        held, attempt = held_here + attempt.number, None
                    elif result is None:
                        held = held_here
                    else:
                        self.processor.send(result, message, codec)
                        held = held_by_output
                        plain = kind if kind in taken and kind is not Record else None
                except (Exception, asyncio.CancelledError) as error:
                    if attempt is not None:
                        attempt.closed = True
                        attempt = None
                    failed = ended_call(watch, scope.spec, error)
                    watch.calling = None
                    try:
                        await self.processor.first_failed(message, codec, watch, failed)
                    except LeftUnread:
                        return
                    others += 1
                else:
                    if getrefcount(message) == held:
                        # The output may hold the message for long, for its raw bytes. A value that
                        # lived as long would leave the cache, and make work for the collector.
                        message.value = None
                progress.last = message
                if scope.attention:
                    break
            in_hand = 0
        finally:
            self._taken = len(messages) - length_hint(waiting) - in_hand
            scope.counters.handled += self._taken - others
