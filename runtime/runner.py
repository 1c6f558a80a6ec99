"""What every kind of runner is: the child of a task that takes messages and calls its handler."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from samza_py.message import Partition
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.calling import Caller
from samza_py.runtime.chooser import Chooser, EventTimeChooser
from samza_py.runtime.processing import Codec, Processor
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.watch import Watched
from samza_py.seam import seam
from samza_py.task import StreamTask

YIELD_AFTER_S = 0.005


class Runner(ABC):
    """Works off the buffers of one task until they are exhausted or the task is stopped.

    Args:
        scope: of the task.
        processor: for single messages.
        caller: of the handler.
        buffers: its partitions, in their fixed order.
        has_room: called with a buffer after messages were taken from it.
        task: the task's object, where it is a class.
        max_runs: see ``Chooser``.
    """

    def __init__(
        self,
        scope: TaskScope,
        processor: Processor,
        caller: Caller,
        buffers: Sequence[PartitionBuffer],
        has_room: Callable[[PartitionBuffer], None],
        task: StreamTask[Any, Any, Any] | None,
        max_runs: int,
    ) -> None:
        self.scope = scope
        self.processor = processor
        self.caller = caller
        self.buffers = buffers
        self.has_room = has_room
        self.codecs: dict[Partition, Codec] = {}
        #: The calls that are no message's.
        self.hooks = Watched()
        self.watched: list[Watched] = [self.hooks]
        self._task = task
        by_time = scope.spec.read_by == "event_time"
        kind = EventTimeChooser if by_time else Chooser
        self.chooser = kind(scope.spec, buffers, max_runs, scope.wakeup.wake)
        self._timer: asyncio.TimerHandle | None = None
        self._yielded_at = 0.0
        by_input: dict[str, Codec] = {}
        for buffer in buffers:
            name = str(buffer.source)
            if name not in by_input:
                by_input[name] = Codec(buffer.source, caller.to)
            self.codecs[buffer.key.partition] = by_input[name]

    @abstractmethod
    async def run(self) -> None:
        """Work until everything is exhausted or ``scope.stopping``; then return.

        Raises:
            TaskFailedError: a message failed and its policy is ``Fail()``.
        """

    def cut(self) -> None:
        """Hand over what is finished, and begin the next generation. Never waits."""
        self.scope.hand_over()
        self.scope.attention = True  # a slice in hand counted on the room there was before
        self.scope.generation += 1
        self.scope.dirty = False
        if self.scope.overlays:
            self.scope.wakeup.wake()  # the state has room again

    def next_buffer(self) -> PartitionBuffer | None:
        """The buffer to take from now; None when there is nothing to take or no room to send."""
        scope = self.scope
        if scope.attention:
            scope.hand_over()
        return None if scope.full else self.chooser.choose()

    @property
    def exhausted(self) -> bool:
        """Every partition is read to its end and taken to the last message."""
        return all(buffer.exhausted for buffer in self.buffers)

    async def give_way(self) -> None:
        """Let others run when this child has had the loop for long."""
        now = asyncio.get_running_loop().time()
        if now - self._yielded_at > YIELD_AFTER_S:
            await asyncio.sleep(0)
            self._yielded_at = asyncio.get_running_loop().time()

    # Timers ----------------------------------------------------------------------------------

    def timer_due(self) -> bool:
        """Whether a timer may fire now; otherwise see to it that the next one wakes us.

        One that is due waits for room as a message does, and having room wakes us.
        """
        timers = self.scope.timers
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not timers or self._task is None:
            return False
        wait = (min(timers.values()) - seam().now_ms()) / 1000
        if wait <= 0:
            return not self.scope.full
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(min(wait, 3600.0), self.scope.wakeup.wake)
        return False

    async def fire_timers(self) -> None:
        """Call ``on_timer`` for each timer that is due, the oldest first, as long as there is room.

        What it sends is handed over at once, since only that counts against the room.
        """
        timers = self.scope.timers
        now = seam().now_ms()
        for name, _ in sorted(timers.items(), key=lambda timer: timer[1]):
            if self.scope.full:
                return
            if timers.get(name, now + 1) <= now:
                await self._fire(name)
                self.scope.hand_over()

    async def _fire(self, name: str) -> None:
        assert self._task is not None
        what, watched = f"timer {name!r}", self.hooks
        await self.caller.hook(what, self._task.on_timer, name, spends=name, watched=watched)

    def close(self) -> None:
        """Cancel the timers that would wake this runner."""
        self.chooser.close()
        if self._timer is not None:
            self._timer.cancel()
