"""The runner for batch tasks: one call for what is there, and what happens when it fails.

A failed batch is rolled back whole. ``BatchFailed`` names the culprits: the others run again as
one batch, then each named message goes by its policy, with later ones of its lane (its key, or its
partition) behind it. Any other error runs the messages one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from samza_py.errors import SerdeError
from samza_py.message import Message, Received, Record
from samza_py.runtime.attempt import Attempt
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.calling import Caller, ended_call, no_output
from samza_py.runtime.processing import Codec, LeftUnread
from samza_py.runtime.runner import Runner
from samza_py.runtime.watch import Watched
from samza_py.task import BatchFailed

AnyMessage = Message[Any, Any]


class BatchCaller(Caller):
    """Calls a batch handler, with many messages or with one.

    Attributes:
        codec: of the input whose messages are in hand; a batch task makes one call at a time.
    """

    codec: Codec

    async def call_batch(self, batch: Sequence[AnyMessage], watched: Watched) -> None:
        """One attempt for all; raises what ``Caller.call`` raises, and ``BatchFailed``."""
        attempt = Attempt(self.scope, None, batch=True)
        try:
            async with contextlib.nullcontext() if self._limit is None else self._limit:
                await self._call_batch(batch, attempt, watched)
            attempt.take_effect()
        finally:
            attempt.closed = True

    async def _call_batch(
        self, batch: Sequence[AnyMessage], attempt: Attempt, watched: Watched
    ) -> None:
        watched.begin_again(batch[0])
        try:
            await self._keep_records(self._start(batch, attempt), attempt, None)
            if watched.timed_out is not None:
                watched.take_timeout()  # too late: the call has succeeded
        except (Exception, asyncio.CancelledError) as error:
            ended = ended_call(watched, self.scope.spec, error)
            if ended is error:
                raise
            raise ended from error
        finally:
            watched.calling = None

    def _start(self, message: Any, attempt: Attempt) -> Any:
        return super()._start([message] if isinstance(message, Message) else message, attempt)

    async def unfold(
        self, result: Any, message: AnyMessage, attempt: Attempt, key: bytes | None
    ) -> None:
        """Take the records of a batch of one: ``BatchFailed`` can only mean this message."""
        try:
            await self._keep_records(result, attempt, message)
        except BatchFailed as failed:
            raise next(iter(failed.errors.values())) from failed

    async def _keep_records(self, result: Any, attempt: Attempt, only: AnyMessage | None) -> None:
        if inspect.isawaitable(result):
            result = await result
        for record in result or ():
            source = record.source if isinstance(record, Record) else None
            if source is None:
                source = only
            if source is None:
                raise TypeError(
                    f"batch task {self.scope.spec.name} returned {type(record).__name__}; return "
                    "Record(value, source=message), so that a failure later on finds its input"
                )
            if self.to is None:
                raise no_output(self.scope.spec, record)
            key, number = self.codec.key_for_output(source), attempt.number_of(source)
            attempt.keep(self.to, self.to.result(record, source, key, number))


class BatchRunner(Runner):
    """Calls a batch handler with what a partition has ready; see ``Runner``."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        assert isinstance(self.caller, BatchCaller)
        self._caller = self.caller
        self._watch = Watched()
        self.watched.append(self._watch)

    async def run(self) -> None:
        """Work off the buffers, a batch at a time."""
        scope = self.scope
        self._watch.child = asyncio.current_task()
        while not scope.stopping:
            buffer = self.next_buffer()
            if buffer is None:
                scope.hand_over()
                if self.exhausted:
                    return
                await scope.wakeup.wait()
                continue
            await self._take_batch(buffer)
            scope.hand_over()
            await self.give_way()

    async def _take_batch(self, buffer: PartitionBuffer) -> None:
        chunk = buffer.chunk()
        assert chunk is not None
        messages = chunk.messages[: self.scope.spec.batch_messages]
        codec = self.codecs[buffer.key.partition]
        progress = buffer.progress
        progress.begin_all(messages)
        used_up = buffer.took(chunk, len(messages))
        if used_up:
            progress.mark(chunk.position)
            self.scope.dirty = self.scope.dirty or not messages
        self.scope.counters.received += len(messages)
        self.has_room(buffer)
        self._caller.codec = codec
        try:
            await self._run(await self._decoded(messages, codec, buffer), codec, buffer)
        except LeftUnread:
            return

    def _finish(self, message: Received, buffer: PartitionBuffer) -> None:
        buffer.progress.finish(message)
        self.scope.dirty = True

    async def _decoded(
        self, messages: Sequence[Received], codec: Codec, buffer: PartitionBuffer
    ) -> list[AnyMessage]:
        """The messages for the handler; those that are not for it are settled here."""
        batch: list[AnyMessage] = []
        condemned = self.scope.condemned
        for message in messages:
            rejection = condemned.get((message.partition, message.offset)) if condemned else None
            try:
                if rejection is None:
                    batch.append(codec.decode(message))
                    continue
                await self.processor.failures.settle(message, rejection, 1)
            except SerdeError as error:
                await self.processor.failures.settle(message, error, 0)
            self._finish(message, buffer)
        return batch

    async def _run(
        self, batch: Sequence[AnyMessage], codec: Codec, buffer: PartitionBuffer
    ) -> None:
        """Finish a batch, one way or another."""
        if not batch:
            return
        try:
            await self._caller.call_batch(batch, self._watch)
        except Exception as error:
            if isinstance(error, BatchFailed) and min(error.errors) < len(batch):
                await self._run_apart(batch, error.errors, codec, buffer)
            elif len(batch) == 1:
                await self._single(batch[0], codec, buffer, error)
            else:
                for message in batch:
                    await self._run([message], codec, buffer)
        else:
            self.scope.counters.handled += len(batch)
            for message in batch:
                self._finish(message, buffer)

    async def _run_apart(
        self,
        batch: Sequence[AnyMessage],
        errors: Mapping[int, Exception],
        codec: Codec,
        buffer: PartitionBuffer,
    ) -> None:
        """Run the good ones together, then the named ones and what waits behind them."""
        together: list[AnyMessage] = []
        behind: list[tuple[AnyMessage, Exception | None]] = []
        held: set[bytes] = set()
        for index, message in enumerate(batch):
            lane = self._lane(message)
            if index in errors:
                behind.append((message, errors[index]))
                if lane is not None:
                    held.add(lane)
            elif lane is not None and lane in held:
                behind.append((message, None))
            else:
                together.append(message)
        await self._run(together, codec, buffer)
        for message, error in behind:
            if error is None:
                await self._run([message], codec, buffer)
            else:
                await self._single(message, codec, buffer, error)

    def _lane(self, message: AnyMessage) -> bytes | None:
        """What later messages must wait behind; a batch is of one partition."""
        order = self.scope.spec.order
        if order == "partition":
            return b""
        return message.raw_key if order == "key" else None

    async def _single(
        self, message: AnyMessage, codec: Codec, buffer: PartitionBuffer, error: Exception
    ) -> None:
        """One message has failed once: go on by its policy, in batches of one."""
        if isinstance(error, BatchFailed):
            error = next(iter(error.errors.values()))
        await self.processor.attempts(message, codec, self._watch, 1, error)
        self._finish(message, buffer)
