"""Messages: what a task reads, what it sends, and where both stand.

One message is one object all the way: the consumer makes it with the raw bytes, the runner fills
in ``key`` and ``value`` just before the user's call. Messages are slotted and mutable because
building a frozen one costs four times as much, and a job makes millions of them. They are not
tracked by the garbage collector, which would else walk every buffered message again and again:
at 10,000 buffered messages that is half of the engine's own cost. A cycle through a message (a
value that refers to its own message) would therefore never be freed; nothing here makes one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, NewType, TypeAlias, TypeVar, cast

import msgspec

from samza_py.errors import SerdeError

Offset = NewType("Offset", str)
"""Where a message stands in its partition: opaque, ordered only by ``Admin.compare``."""


class End(Enum):
    """The position behind the last message of a partition that will never get another."""

    END = "end"


END: Final = End.END
Position: TypeAlias = Offset | End
"""A place in a partition *after* which reading goes on; ``END`` when nothing is left to read."""

Headers: TypeAlias = Sequence[tuple[str, bytes]]
"""A message's headers in order; names may repeat."""


class Partition(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """One ordered part of a stream.

    Not a tuple: a message that holds a tuple subclass has to be looked at by the garbage collector,
    which costs more than reading it did (300 ns a message, measured).

    Attributes:
        system: the system's name in the job.
        stream: the stream's logical name in the job.
        id: the partition's own name: a number for Kafka, a shard id for Kinesis.
    """

    system: str
    stream: str
    id: str

    def __str__(self) -> str:
        return f"{self.system}.{self.stream}[{self.id}]"


class TaskPartition(NamedTuple):
    """A partition as one task reads it: the key of everything that a consumer is asked.

    Two tasks that read the same partition have two positions in it.
    """

    task: str
    partition: Partition


K_co = TypeVar("K_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)


class Message(msgspec.Struct, Generic[K_co, V_co], gc=False, eq=False):
    """One message of an input, as a handler gets it.

    Attributes:
        partition: where it was read.
        at: its place in that partition: the text of its offset, or a number that this text ends
            with. Connectors give whichever they have; all others read ``offset``.
        raw_key: the key's bytes as they were read; None where there is no key.
        raw_value: the value's bytes as they were read (a row for columnar formats); None for a
            tombstone.
        timestamp_ms: event time in milliseconds since 1970; -1 where the system has none.
        headers: names and bytes, in order.
        prefix: what stands in front of ``at`` in the text of the offset.
        key: the decoded key. None until the runner has decoded it, and where there is none.
        value: the decoded value.
        seq: the runtime's own count within a partition; connectors leave it alone.
    """

    partition: Partition
    at: str | int
    raw_key: bytes | None
    raw_value: Any
    timestamp_ms: int = -1
    headers: Headers = ()
    prefix: str = ""
    key: K_co = cast("Any", None)  # filled in by the runner before any user sees it
    value: V_co = cast("Any", None)
    seq: int = 0

    @property
    def offset(self) -> Offset:
        """Its place in the partition, as text.

        Made when it is asked for: the text of every offset would cost as much as a buffer does,
        and a commit asks for one in some hundreds.
        """
        return Offset(f"{self.prefix}{self.at}")

    @property
    def where(self) -> str:
        """Its source position as people read it, such as ``memory.orders[3] offset 881``."""
        return f"{self.partition} offset {self.offset}"


class Undecodable(msgspec.Struct, eq=False):
    """A stretch of a partition that the consumer could not turn into messages.

    It stands in a fetch in place of the messages it covers and goes by the error policy. A value
    whose *serde* fails is not this: the runner finds that one itself.

    Attributes:
        partition: where it was read.
        offset: the last offset it covers: reading goes on after it.
        first: the first offset it covers.
        raw_value: the bytes that could not be read, or as many of them as were kept.
        error: why; its text goes into the dead letter.
    """

    partition: Partition
    offset: Offset
    first: Offset
    raw_value: bytes
    error: SerdeError
    raw_key: bytes | None = None
    timestamp_ms: int = -1
    headers: Headers = ()
    seq: int = 0

    @property
    def where(self) -> str:
        """Its source position as people read it."""
        return f"{self.partition} offset {self.offset}"


Received: TypeAlias = "Message[Any, Any] | Undecodable"
"""What a fetch holds."""


MOST_SHOWN_OF_A_KEY = 80


def key_shown(message: Received) -> str:
    """The key for a line about a message: ``, key 'A17'``; empty where it has none."""
    key = message.raw_key if isinstance(message, Undecodable) else message.key or message.raw_key
    if key is None:
        return ""
    text = key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)
    return f", key {text[:MOST_SHOWN_OF_A_KEY]!r}"


class Record(msgspec.Struct, Generic[K_co, V_co], eq=True):
    """A result with more than a value: what a handler returns to set key, headers or partition.

    A plain value that a handler returns keeps the key and the timestamp of its input; a
    ``Record`` says otherwise.

    Attributes:
        value: what to send.
        key: its key; left out, the key of the input message (or of ``source``) stays.
        headers: names and bytes to send with it.
        timestamp_ms: event time; left out, that of the input message.
        partition: the partition's id, where the user wants to choose it.
        source: in a batch task, the message this result comes from.
    """

    value: V_co
    key: K_co | msgspec.UnsetType = msgspec.UNSET
    headers: Headers = ()
    timestamp_ms: int | None = None
    partition: str | None = None
    source: Message[Any, Any] | None = None


class Outgoing(msgspec.Struct, gc=False, eq=False):
    """One encoded message on its way to a producer.

    Attributes:
        stream: the output's logical name.
        key: encoded key, or None.
        value: encoded value: bytes, or a row for columnar formats; None for a tombstone.
        timestamp_ms: event time in milliseconds, -1 for none.
        source: the input message it comes from, which decides what a late rejection does; None
            for what no message caused (a timer).
        handler: the name of the handler that sent it: two may read one partition.
        headers: names and bytes.
        partition: the partition's id where the user chose it, else None.
        number: its place among the outputs of that message, from 0: with the handler's name and
            the source's position it names this message for ever, which is what idempotent
            outputs build their ids from.
        dead: it is itself a dead letter, so that a rejection of it fails the job.
    """

    stream: str
    key: bytes | None
    value: Any
    timestamp_ms: int = -1
    source: Received | None = None
    handler: str = ""
    headers: Headers = ()
    partition: str | None = None
    number: int = 0
    dead: bool = False

    @property
    def size(self) -> int:
        """Bytes of key and value, a rough count for rows."""
        value = self.value
        size = len(self.key) if self.key is not None else 0
        if isinstance(value, bytes):
            return size + len(value)
        return size if value is None else size + 64


def size_of(message: Received) -> int:
    """Bytes of a received message's key, value and headers, as the buffers count them."""
    value = message.raw_value
    size = 64 + (len(message.raw_key) if message.raw_key is not None else 0)
    if isinstance(value, bytes | str):
        size += len(value)
    elif value is not None:
        size += 256
    for name, data in message.headers:
        size += len(name) + len(data)
    return size
