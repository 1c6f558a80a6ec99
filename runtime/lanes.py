"""Which message several calls at once take next: lanes kept in order, none of them waited for.

A lane is what calls may not overlap over: a key, a partition, or nothing. A message whose lane is
busy is parked behind it, and others go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from samza_py.message import Partition, Position, Received
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.chooser import Chooser
from samza_py.runtime.processing import Codec
from samza_py.runtime.scope import TaskScope

SLICE = 64
"""So many messages are taken off a buffer at once: the choice is shared by them."""

_WHOLE_PARTITION = b""
"""The one lane of a partition whose messages are called in its order."""


class Source:
    """A partition as the lanes see it: what its messages need, and which of its lanes are busy."""

    __slots__ = ("buffer", "busy", "codec", "progress")

    def __init__(self, buffer: PartitionBuffer, codec: Codec) -> None:
        self.buffer = buffer
        self.progress = buffer.progress
        self.codec = codec
        #: What waits behind each busy lane; None where nothing does, as behind most.
        self.busy: dict[bytes, deque[Received] | None] = {}


class Taken:
    """A message in hand, where it came from, and its lane, None where it has no order."""

    __slots__ = ("lane", "message", "source")

    message: Received
    source: Source
    lane: bytes | None


class Lanes:
    """Gives the messages of a task's buffers, each once its lane is free.

    Args:
        scope: of the task.
        chooser: which buffer is next.
        codecs: by partition.
        has_room: called with a buffer after messages were taken from it.
        most_parked: so many messages wait behind their lanes at most.
    """

    def __init__(
        self,
        scope: TaskScope,
        chooser: Chooser,
        codecs: Mapping[Partition, Codec],
        has_room: Callable[[PartitionBuffer], None],
        most_parked: int,
    ) -> None:
        self._scope = scope
        self._by_key = scope.spec.order == "key"
        self._fixed_lane = _WHOLE_PARTITION if scope.spec.order == "partition" else None
        self._chooser = chooser
        self._codecs = codecs
        self._has_room = has_room
        self._most_parked = most_parked
        self._sources: dict[Partition, Source] = {}
        self._parked = 0
        #: Lanes whose next message waits for a worker.
        self._free: deque[tuple[Source, bytes]] = deque()
        #: Messages off one partition that nobody has taken, and the position behind them, if any.
        self._slice: deque[Received] = deque()
        self._source: Source | None = None
        self._behind: Position | None = None

    @property
    def left(self) -> int:
        """Messages that were taken off their buffers and are in nobody's hand."""
        return len(self._slice) + self._parked

    def take(self, hand: Taken) -> bool:
        """Put the next message whose lane is free into a hand; false where there is none."""
        if self._free:
            self._take_freed(hand)
            return True
        by_key, fixed = self._by_key, self._fixed_lane
        while self._parked < self._most_parked:
            if not self._slice and not self._refill():
                return False
            source = self._source
            if not self._slice or source is None:
                continue  # only a position
            message = self._slice.popleft()
            if self._behind is not None and not self._slice:
                self._pass(source, self._behind)
            lane = message.raw_key if by_key else fixed
            if lane is not None:
                if lane in source.busy:
                    self._park(source, lane, message)
                    continue
                source.busy[lane] = None
            hand.message, hand.source, hand.lane = message, source, lane
            return True
        return False

    def _take_freed(self, hand: Taken) -> None:
        source, lane = self._free.popleft()
        behind = source.busy[lane]
        assert behind is not None
        self._parked -= 1
        hand.message, hand.source, hand.lane = behind.popleft(), source, lane

    def leave(self, source: Source, lane: bytes) -> None:
        """The message in hand is finished: what waits behind it in its lane goes before others."""
        if source.busy[lane]:
            self._free.appendleft((source, lane))
        else:
            del source.busy[lane]

    def _park(self, source: Source, lane: bytes, message: Received) -> None:
        behind = source.busy[lane]
        if behind is None:
            behind = source.busy[lane] = deque()
        behind.append(message)
        self._parked += 1

    def _refill(self) -> bool:
        """Take the next few messages off a buffer; false where there is nothing to take."""
        buffer = self._chooser.choose()
        if buffer is None:
            return False
        chunk = buffer.chunk()
        assert chunk is not None
        most = min(SLICE, self._chooser.most(buffer), self._chooser.gaps(buffer))
        messages = chunk.messages[:most]
        source = self._source = self._source_of(buffer)
        source.progress.begin_all(messages)
        self._slice.extend(messages)
        self._scope.counters.received += len(messages)
        self._behind = chunk.position if buffer.took(chunk, len(messages)) else None
        if self._behind is not None and not messages:
            self._pass(source, self._behind)
        self._has_room(buffer)
        return True

    def _source_of(self, buffer: PartitionBuffer) -> Source:
        partition = buffer.key.partition
        source = self._sources.get(partition)
        if source is None:
            source = self._sources[partition] = Source(buffer, self._codecs[partition])
        return source

    def _pass(self, source: Source, position: Position) -> None:
        """Behind the last message of a chunk, reading has come to the chunk's position."""
        source.progress.mark(position)
        self._scope.dirty = True
