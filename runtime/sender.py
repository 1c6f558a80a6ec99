"""What a task sends to one output: encoded as it is sent, handed over in lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args, is_typeddict

from msgspec import UNSET

from samza_py.errors import SerdeError
from samza_py.message import Headers, Message, Outgoing, Received, Record
from samza_py.runtime.port import Port
from samza_py.serde import Raw, Serde
from samza_py.system import Output

#: What a declared class takes besides its own kind, as the type checkers do (PEP 484).
_AS_GOOD: dict[Any, Any] = {
    float: (float, int),
    bytes: (bytes, bytearray, memoryview),
    Any: object,  # a class by itself since Python 3.11, which nothing is an instance of
}


class Sender:
    """One output of one task: its encoders, and what finished attempts have sent to it.

    Args:
        output: the declaration.
        port: the task's account there.
        handler: the name of the handler that sends.
    """

    __slots__ = (
        "_content",
        "encode_key",
        "encode_value",
        "handler",
        "key_serde",
        "name",
        "pending",
        "pending_bytes",
        "port",
        "room_bytes",
        "room_messages",
        "stream",
        "taken",
    )

    def __init__(self, output: Output[Any, Any], port: Port, handler: str) -> None:
        self.handler = handler
        self.name = str(output)
        self.stream = output.name
        self.port = port
        self.key_serde: Serde[Any] = output.key_serde
        self.encode_key: Callable[[Any], Any] = output.key_serde.encoder()
        self.encode_value: Callable[[Any], Any] = output.value_serde.encoder()
        self._content: Any = output.value_serde.content
        #: Types of values that the output has been found to take.
        self.taken: set[type] = {type(None)}
        #: Stays the same list: a runner keeps its ``append`` over a slice.
        self.pending: list[Outgoing] = []
        self.pending_bytes = 0
        #: The room there was at the last handing over: since then it can only have grown.
        self.room_messages = port.room_messages
        self.room_bytes = port.room_bytes

    def keeps_raw_key(self, source: Serde[Any]) -> bool:
        """Whether a key of this input serde can be passed on as the bytes it came as."""
        return isinstance(self.key_serde, Raw) or (
            type(source) is type(self.key_serde) and source.content == self.key_serde.content
        )

    def encoded(
        self,
        key: Any,
        value: Any,
        headers: Headers,
        timestamp_ms: int,
        partition: str | None,
        source: Received | None,
        number: int,
    ) -> Outgoing:
        """An outgoing message. Raises ``SerdeError`` where key or value do not fit the output."""
        if type(value) not in self.taken:
            self.take(type(value))
        try:
            raw_key = None if key is None else self.encode_key(key)
            raw_value = None if value is None else self.encode_value(value)
        except Exception as error:
            raise self.misfit(error) from error
        return Outgoing(
            self.stream,
            raw_key,
            raw_value,
            timestamp_ms,
            source,
            self.handler,
            headers,
            partition,
            number,
        )

    def result(
        self, result: Any, source: Message[Any, Any], key: bytes | None, number: int
    ) -> Outgoing:
        """An outgoing message for what a handler gave back; ``key`` is the input's, encoded."""
        if type(result) is not Record:
            message = self.encoded(None, result, (), source.timestamp_ms, None, source, number)
            message.key = key
            return message
        own_key = result.key
        timestamp = source.timestamp_ms if result.timestamp_ms is None else result.timestamp_ms
        message = self.encoded(
            None if own_key is UNSET else own_key,
            result.value,
            result.headers,
            timestamp,
            result.partition,
            source,
            number,
        )
        if own_key is UNSET:
            message.key = key
        return message

    def take(self, kind: type) -> None:
        """See that the output takes values of a type, and remember it.

        An encoder writes what it is given, so that a value of another type than was declared would
        be found by whoever reads it. Looked at once a type; only a declared class can be told so.

        Raises:
            SerdeError: it takes others.
        """
        wanted = self._content
        is_class = isinstance(wanted, type) and not get_args(wanted) and not is_typeddict(wanted)
        if is_class and not issubclass(kind, _AS_GOOD.get(wanted, wanted)):
            raise self.misfit(TypeError(f"it takes {wanted.__name__}, not {kind.__name__}"))
        self.taken.add(kind)

    def misfit(self, error: Exception) -> SerdeError:
        """The error for a key or value that the output's serdes do not take."""
        return SerdeError(f"the result does not fit output {self.name}: {error}")

    def hand_over(self, generation: int) -> int:
        """Give what is kept to the outbox; how many messages that were."""
        port = self.port
        count = len(self.pending)
        if count:
            port.put(self.pending[:], self.pending_bytes, generation)
            self.pending.clear()
            self.pending_bytes = 0
        self.room_messages, self.room_bytes = port.room_messages, port.room_bytes
        return count
