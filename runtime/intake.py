"""The reading side of a container: one poll loop a system, filling the buffers of its tasks.

Backpressure is not asking: only partitions with room stand in ``wanted``. When a partition gets
room while a poll waits on others, the poll is cancelled (it has then taken nothing) and made
again with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping

from samza_py.checkpoint import Claim
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.errors import SamzaError, UnavailableError
from samza_py.message import Position, TaskPartition
from samza_py.runtime.backoff import Backoff, retried
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.children import ended
from samza_py.runtime.wakeup import Wakeup

logger = logging.getLogger(__name__)


class _Reading:
    """A partition that is being read: its buffer, and whom to tell."""

    __slots__ = ("backoff", "buffer", "claim", "failed", "failing", "filled", "stopped")

    def __init__(
        self,
        claim: Claim,
        buffer: PartitionBuffer,
        filled: Callable[[], None],
        failed: Callable[[SamzaError], None],
    ) -> None:
        self.claim = claim
        self.buffer = buffer
        self.filled = filled
        self.failed = failed
        self.stopped = False
        self.failing = False
        self.backoff = Backoff(f"reading {buffer.key.partition} for {buffer.key.task}")


class Intake:
    """Reads one system for all tasks of a container.

    Args:
        system: its name, for the log.
        consumer: opened; owned by the container.
    """

    def __init__(self, system: str, consumer: Consumer) -> None:
        self._system = system
        self._consumer = consumer
        self._reading: dict[TaskPartition, _Reading] = {}
        self._wakeup = Wakeup()
        self._wanted: dict[TaskPartition, Room] = {}
        self._retries: dict[TaskPartition, asyncio.Task[None]] = {}
        self._failure: SamzaError | None = None

    async def assign(
        self,
        claim: Claim,
        buffers: Collection[PartitionBuffer],
        filled: Callable[[], None],
        failed: Callable[[SamzaError], None],
    ) -> None:
        """Read these partitions from where their progress stands.

        Args:
            claim: the ownership of their task.
            buffers: one a partition, empty.
            filled: called when one of them got something to take.
            failed: called with an error that another try will not cure.

        Raises:
            SamzaError: what the consumer raises and no retry cures, now or to an earlier poll.
        """
        if self._failure is not None:
            raise self._failure
        positions = {buffer.key: buffer.progress.after for buffer in buffers}
        what = f"assigning partitions of {self._system} to {claim.task}"
        await retried(what, lambda: self._consumer.assign(claim, positions))
        for buffer in buffers:
            self._reading[buffer.key] = _Reading(claim, buffer, filled, failed)
        self._wakeup.wake()

    async def revoke(self, keys: Collection[TaskPartition]) -> None:
        """Stop reading these partitions; their buffers are not filled from here on."""
        for key in keys:
            self._reading.pop(key, None)
        # A seek still under way would come after that of the task's next instance, and undo it.
        await ended([self._retries[key] for key in keys if key in self._retries])
        await self._consumer.revoke(keys)
        self._wakeup.wake()

    def stop(self, keys: Collection[TaskPartition]) -> None:
        """Ask for nothing more for these partitions; what is buffered stays."""
        for key in keys:
            if key in self._reading:
                self._reading[key].stopped = True

    def has_room(self, buffer: PartitionBuffer) -> None:
        """Hear that messages were taken: look whether a poll would now ask for this one."""
        if buffer.key not in self._wanted and not buffer.finished and buffer.room() is not None:
            self._wakeup.wake()

    async def on_checkpoint(self, positions: Mapping[TaskPartition, Position]) -> None:
        """Pass on to the consumer what is durable."""
        try:
            await self._consumer.on_checkpoint(positions)
        except SamzaError as error:
            logger.warning("%s could not be told of a checkpoint: %s", self._system, error)

    async def run(self) -> None:
        """Poll until cancelled, or until the consumer fails and no retry cures it.

        Every task that reads it then hears of that, and commits what it has finished.
        """
        try:
            await self._poll_on()
        except SamzaError as error:
            self._failure = error
            for reading in self._reading.values():
                reading.failed(error)
        finally:
            await ended(list(self._retries.values()))

    async def _poll_on(self) -> None:
        backoff = Backoff(f"reading from {self._system}")
        while True:
            wanted = self._wanted = self._rooms()
            if not wanted:
                await self._wakeup.wait()
                continue
            try:
                # Not kept here: the next poll may take long, and these messages would live on.
                self._hand_out(await self._poll(wanted))
            except UnavailableError as error:
                await backoff.wait(error)
            else:
                backoff.worked()

    def _rooms(self) -> dict[TaskPartition, Room]:
        rooms: dict[TaskPartition, Room] = {}
        for key, reading in self._reading.items():
            if not (reading.stopped or reading.failing or reading.buffer.finished):
                room = reading.buffer.room()
                if room is not None:
                    rooms[key] = room
        return rooms

    async def _poll(self, wanted: Mapping[TaskPartition, Room]) -> Mapping[TaskPartition, Fetched]:
        """One poll, given up when another partition gets room while it waits."""
        poll = asyncio.ensure_future(self._consumer.poll(wanted))
        wake = asyncio.ensure_future(self._wakeup.wait())
        try:
            await asyncio.wait((poll, wake), return_when=asyncio.FIRST_COMPLETED)
            if not poll.done():
                poll.cancel()
            try:
                return await poll
            except asyncio.CancelledError:
                if poll.cancelled() and not _is_cancelled():
                    return {}
                raise
        finally:
            wake.cancel()
            if not poll.done():
                # The consumer is closed after this: the poll must have left it by then.
                poll.cancel()
                await asyncio.wait((poll,))

    def _hand_out(self, fetched: Mapping[TaskPartition, Fetched]) -> None:
        for key, found in fetched.items():
            reading = self._reading.get(key)
            if reading is None:
                continue
            try:
                if reading.buffer.fill(found, self._consumer.remaining_unit):
                    reading.filled()
            except SamzaError as error:  # offsets that are not, or that go back
                self._partition_failed(reading, error)
                continue
            if found.error is not None:
                self._partition_failed(reading, found.error)
            else:
                reading.backoff.worked()

    def _partition_failed(self, reading: _Reading, error: SamzaError) -> None:
        reading.failing = True
        if not isinstance(error, UnavailableError):
            reading.failed(error)
            return
        retry = asyncio.ensure_future(self._read_again(reading, error))
        key = reading.buffer.key
        self._retries[key] = retry
        retry.add_done_callback(lambda _: self._forget(key, retry))

    def _forget(self, key: TaskPartition, retry: asyncio.Task[None]) -> None:
        if self._retries.get(key) is retry:  # a retry that fails has started the next one
            del self._retries[key]

    async def _read_again(self, reading: _Reading, error: UnavailableError) -> None:
        """Assign one failed partition anew from where it was read to, after a backoff."""
        await reading.backoff.wait(error)
        buffer = reading.buffer
        if self._reading.get(buffer.key) is not reading:
            return
        try:
            await self._consumer.assign(reading.claim, {buffer.key: buffer.read_to})
        except UnavailableError as again:
            self._partition_failed(reading, again)
        except SamzaError as fatal:
            reading.failed(fatal)
        else:
            reading.failing = False
            self._wakeup.wake()


def _is_cancelled() -> bool:
    """Whether somebody wants the current child itself to end."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
