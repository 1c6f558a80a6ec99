"""The bounded buffer of one partition of one task: what was read and not yet taken.

A fetch is kept as chunks that are taken from the front in slices; nothing is moved message by
message from one queue to another. What was taken is let go at once: a decoded value that stays
behind would be walked by the garbage collector again and again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from samza_py.consumer import Fetched, Room
from samza_py.errors import ConnectorError
from samza_py.message import (
    END,
    Offset,
    Position,
    Received,
    TaskPartition,
    Undecodable,
    size_of,
)
from samza_py.runtime.progress import Progress
from samza_py.runtime.rooms import Share
from samza_py.runtime.statistics import PartitionStatistics
from samza_py.system import Input

CHUNK_MESSAGES = 512
"""The most messages of a chunk: what is taken is cut off its front, which moves the rest."""


class Chunk:
    """Messages that were fetched together, and the position behind the last of them."""

    __slots__ = ("bytes_each", "messages", "position")

    def __init__(self, messages: list[Received], position: Position, bytes_each: int) -> None:
        self.messages = messages
        self.position = position
        self.bytes_each = bytes_each


class PartitionBuffer:
    """One partition of a task between the intake, which fills it, and the runner, which takes.

    Args:
        key: the task and the partition.
        source: the declared input it belongs to.
        progress: where the task stands in it.
        compare: the order of its offsets.
        room: what its task may have read ahead.
        partitions: how many the task shares that among.
        priority: higher is read first.
        chunk_messages: the most that are taken at once.
    """

    def __init__(
        self,
        key: TaskPartition,
        source: Input[Any, Any],
        progress: Progress,
        compare: Callable[[Offset, Offset], int],
        *,
        room: Share,
        partitions: int = 1,
        priority: int = 0,
        chunk_messages: int = CHUNK_MESSAGES,
    ) -> None:
        self.key = key
        self.source = source
        self.progress = progress
        self.priority = priority
        self.read_to: Position = progress.after
        self.finished = progress.after is END
        self.at_head = False
        self._compare = compare
        self._room = room
        self._partitions = partitions
        self._chunk_messages = chunk_messages
        self._chunks: deque[Chunk] = deque()
        self._messages = 0
        self._bytes = 0
        self._remaining: int | None = None
        self._unit = "messages"

    def room(self) -> Room | None:
        """What a poll may bring now; None while the buffer is more than half full.

        Half, so that a fetch is worth its cost: a buffer topped up message by message would make
        a poll for each.
        """
        most = max(1, self._room.messages // self._partitions)
        most_bytes = max(1, self._room.bytes // self._partitions)
        if self._messages * 2 > most or self._bytes * 2 > most_bytes:
            return None
        return Room(most - self._messages, max(1, most_bytes - self._bytes))

    def fill(self, fetched: Fetched, unit: str) -> bool:
        """Keep what a poll has brought; true when the runner should look at it.

        Raises:
            ConnectorError: it begins at or before what was read; nothing of it is kept.
        """
        unmoved = fetched.position == self.read_to
        if fetched.messages or not unmoved:
            self._refuse_to_go_back(fetched)
        self.read_to = fetched.position
        self.at_head = fetched.at_head
        self._remaining = fetched.remaining
        self._unit = unit
        self.finished = fetched.finished
        messages = list(fetched.messages)
        if not messages and unmoved:
            return True  # nothing to take and nothing to commit; but perhaps the head was reached
        if self.progress.resuming:
            stretches = self.progress.without_done(messages, fetched.position, self._compare)
        else:
            stretches = [(messages, fetched.position)]
        for some, position in stretches:
            self._keep(some, position)
        return bool(stretches)

    def _refuse_to_go_back(self, fetched: Fetched) -> None:
        """Believed, messages would be processed again, with no crash that explains it.

        One comparison a fetch: within it the order is the consumer's word.
        """
        begin = fetched.position
        if fetched.messages:
            first = fetched.messages[0]
            begin = first.first if isinstance(first, Undecodable) else first.offset
        if begin is END:
            return
        read_to = self.read_to
        order = -1 if read_to is END else self._compare(begin, read_to)
        if order < 0 or (order == 0 and fetched.messages):
            there = "its end" if read_to is END else f"offset {read_to}"
            raise ConnectorError(
                f"{self.key.partition}: the consumer of {self.key.partition.system} went back to "
                f"offset {begin}, after {there}; it breaks the rule of Consumer.poll. That is "
                "a fault of the connector, which samza_py.testing.conformance finds"
            )

    def _keep(self, messages: list[Received], position: Position) -> None:
        count = len(messages)
        # Sampling is enough: rooms are goals, and asking every message its size costs as much as
        # reading it. The first, the middle and the last stand for the rest.
        sample = (messages[0], messages[count // 2], messages[-1]) if count > 3 else messages
        each = sum(map(size_of, sample)) // len(sample) if messages else 0
        most = self._chunk_messages
        last = max(0, count - 1) // most * most
        for start in range(0, last, most):
            part = messages[start : start + most]
            self._chunks.append(Chunk(part, part[-1].offset, each))
        self._chunks.append(Chunk(messages[last:], position, each))
        self._messages += count
        self._bytes += count * each

    def chunk(self) -> Chunk | None:
        """The chunk to take from, or None when the buffer is empty."""
        return self._chunks[0] if self._chunks else None

    def took(self, chunk: Chunk, count: int) -> bool:
        """The next messages of the front chunk were taken; true when it is used up."""
        del chunk.messages[:count]
        self._messages -= count
        self._bytes -= count * chunk.bytes_each
        if chunk.messages:
            return False
        self._chunks.popleft()
        return True

    @property
    def empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._chunks

    @property
    def exhausted(self) -> bool:
        """Read to its end and taken to the last message."""
        return self.finished and not self._chunks

    def drop(self) -> None:
        """Forget what was read ahead: it will be read again from ``progress.after``."""
        self._chunks.clear()
        self._messages = 0
        self._bytes = 0
        self.read_to = self.progress.after

    def statistics(self) -> PartitionStatistics:
        """What people see of it."""
        remaining = self._remaining
        if remaining is not None and self._unit == "messages":
            remaining += self._messages
        name = str(self.key.partition)
        return PartitionStatistics(name, remaining, self._unit, self._messages, self.exhausted)
