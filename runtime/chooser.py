"""Which partition of a task is read next: bootstrap first, then by priority, in turn or in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from samza_py.message import Received
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.specification import TaskSpec

MOST = 1 << 30


class Chooser:
    """Chooses among the buffers of one task.

    Until every bootstrap input has been read to its head once, nothing else is chosen. Inputs of
    a higher priority go first while they have messages. Among equals the turn goes round, a slice
    each, so that a hot partition does not starve the others.

    Args:
        spec: of the task.
        buffers: in their fixed order.
        max_runs: a partition with so many finished stretches beyond its oldest unfinished message
            is not read until that message is finished.
        wake: called when it is worth choosing again although nothing has come in.
    """

    def __init__(
        self,
        spec: TaskSpec,
        buffers: Sequence[PartitionBuffer],
        max_runs: int,
        wake: Callable[[], None],
    ) -> None:
        self._levels = [
            [buffer for buffer in buffers if buffer.priority == level]
            for level in sorted({buffer.priority for buffer in buffers}, reverse=True)
        ]
        self._turns = [0] * len(self._levels)
        self._max_runs = max_runs
        self._wake = wake
        self._bootstrap = [
            b for b in buffers if str(b.source) in spec.bootstrap and not b.exhausted
        ]

    def choose(self) -> PartitionBuffer | None:
        """The buffer to take from now, None when there is nothing to take."""
        if self._bootstrap:
            self._bootstrap = [
                b for b in self._bootstrap if not (b.empty and (b.at_head or b.finished))
            ]
            if self._bootstrap:
                return next((b for b in self._bootstrap if self._takable(b)), None)
        for level, buffers in enumerate(self._levels):
            buffer = self._among(level, buffers)
            if buffer is not None:
                return buffer
        return None

    def most(self, buffer: PartitionBuffer) -> int:
        """How many messages may be taken off the chosen buffer before choosing again."""
        return MOST

    def gaps(self, buffer: PartitionBuffer) -> int:
        """How many finished stretches more the chosen buffer's partition may have, 1 at least."""
        return max(1, buffer.progress.runs_left(self._max_runs))

    def close(self) -> None:
        """Nothing will be chosen any more."""

    def _among(self, level: int, buffers: Sequence[PartitionBuffer]) -> PartitionBuffer | None:
        count = len(buffers)
        turn = self._turns[level]
        for step in range(count):
            index = (turn + step) % count
            if self._takable(buffers[index]):
                self._turns[level] = index + 1
                return buffers[index]
        return None

    def _takable(self, buffer: PartitionBuffer) -> bool:
        if buffer.empty:
            return False
        progress = buffer.progress
        # Where nothing is in work there is nothing to wait for, whatever a checkpoint has brought.
        return progress.runs_left(self._max_runs) > 0 or not progress.unfinished


class EventTimeChooser(Chooser):
    """Among partitions of one priority the oldest message goes first, by event time.

    A partition with nothing buffered may still bring an older one: it is waited for, but no
    longer than ``spec.event_time_wait_s``, so that an idle partition does not stop the others.
    """

    def __init__(
        self,
        spec: TaskSpec,
        buffers: Sequence[PartitionBuffer],
        max_runs: int,
        wake: Callable[[], None],
    ) -> None:
        super().__init__(spec, buffers, max_runs, wake)
        self._wait_s = spec.event_time_wait_s
        self._waiting_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def most(self, buffer: PartitionBuffer) -> int:
        """As many as are not newer than the next message of every other partition."""
        level = next(level for level in self._levels if buffer in level)
        heads = [_time(head) for b in level if b is not buffer and (head := _head(b)) is not None]
        chunk = buffer.chunk()
        if not heads or chunk is None:
            return 1
        until = min(heads)
        count = 0
        for message in chunk.messages:
            if _time(message) > until:
                break
            count += 1
        return max(1, count)

    def close(self) -> None:
        """Cancel the wait."""
        if self._timer is not None:
            self._timer.cancel()

    def _among(self, level: int, buffers: Sequence[PartitionBuffer]) -> PartitionBuffer | None:
        ready = [buffer for buffer in buffers if self._takable(buffer)]
        if not ready or self._must_wait([b for b in buffers if b.empty and not b.finished]):
            return None
        return min(ready, key=lambda buffer: _time(_head(buffer)))

    def _must_wait(self, empty: Sequence[PartitionBuffer]) -> bool:
        """Whether to wait a little longer for partitions that have nothing buffered."""
        if not empty:
            self._waiting_since = None
            return False
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._waiting_since is None:
            self._waiting_since = now
            self.close()
            self._timer = loop.call_later(self._wait_s, self._wake)
        return now - self._waiting_since < self._wait_s


def _head(buffer: PartitionBuffer) -> Received | None:
    chunk = buffer.chunk()
    return chunk.messages[0] if chunk is not None and chunk.messages else None


def _time(message: Received | None) -> int:
    """Event time; a chunk that is only a position goes first, as there is nothing to compare."""
    return -1 if message is None else message.timestamp_ms
