"""One partition as a client of aiokafka reads it: what was drained and not yet handed out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from samza_py.connectors.kafka.offsets import before, parsed
from samza_py.consumer import Fetched, Room
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.message import Headers, Message, Partition, Received, size_of


class Seat:
    """One partition as it is read: what was drained and not yet handed out, and where that ends.

    Attributes:
        partition: as the runtime calls it.
        topic: as the library calls it.
        next: the offset that the library reads next.
        failed: it is read no more, until it gets another seat.
        paused: the library does not fetch it.
        silent_s: how long it has been asked for without an answer.
    """

    def __init__(self, partition: Partition, topic: Any, next_offset: int) -> None:
        self.partition = partition
        self.topic = topic
        self.next = next_offset
        self.failed = False
        self.paused = False
        self.silent_s = 0.0
        self._answered: int | None = None
        self._error: ConnectorError | PositionLostError | None = None
        self._messages: list[Received] = []
        self._index = 0
        self._bytes_each = 0
        self._told = before(next_offset)
        self._head = -1  # where the log ended at the last answer; -1 before the first
        self._at_head: bool = False

    @property
    def empty(self) -> bool:
        """Whether all that was drained is handed out."""
        return self._index >= len(self._messages)

    def message(self, _: Any, record: Any) -> Received:
        """The message that a record of the library is, one of its parser's or of its consumer's."""
        headers = record.headers
        if headers:
            headers = _without_nulls(headers)
        return Message(
            self.partition, record.offset, record.key, record.value, record.timestamp, headers or ()
        )

    def keep(self, records: Sequence[Any]) -> None:
        """Keep what was drained: messages, or the library's records."""
        make = self.message
        messages: list[Received] = [
            one if type(one) is Message else make(None, one) for one in records
        ]
        self._messages = messages if self.empty else self._messages[self._index :] + messages
        self._index = 0
        # As the runtime's buffers do: three stand for all.
        sample = (messages[0], messages[len(messages) // 2], messages[-1])
        self._bytes_each = max(1, sum(map(size_of, sample)) // 3)

    def seen(self, next_offset: int, head: int | None) -> None:
        """Hear where the library stands, and where the log ended at its last answer."""
        self.next = next_offset
        self._head = -1 if head is None else head

    def hear(self, answered: int | None, waited_s: float) -> None:
        """Hear when the last answer came, which may be an old one, after another wait."""
        if self.paused or answered != self._answered:
            self._answered, self.silent_s = answered, 0.0
        else:
            self.silent_s += waited_s

    def fail(self, error: ConnectorError | PositionLostError) -> None:
        """End it with this error, behind what it holds."""
        self.failed = True
        self._error = error

    def take(self, room: Room) -> Fetched | None:
        """What there is to say, within a room; None for nothing."""
        if self.empty and self._error is not None:
            error, self._error = self._error, None
            return Fetched((), self._told, error=error)
        most = min(room.messages, max(1, -(-room.bytes // max(1, self._bytes_each))))
        first, self._index = self._index, min(self._index + most, len(self._messages))
        messages = self._messages[first : self._index]
        if self.empty:
            self._messages, self._index = [], 0
            after = self.next
        else:
            after = parsed(messages[-1].offset) + 1
        at_head: bool = 0 <= self._head <= after
        told = before(after)
        if not messages and told == self._told and at_head == self._at_head:
            return None
        self._told, self._at_head = told, at_head
        left = max(0, self._head - after) if self._head >= 0 else None
        return Fetched(messages, told, at_head=at_head, remaining=left)


def _without_nulls(headers: Headers) -> Headers:
    """Kafka knows a header without a value, which is an empty one here."""
    values: Sequence[tuple[str, bytes | None]] = headers
    return tuple((name, value or b"") for name, value in values)
