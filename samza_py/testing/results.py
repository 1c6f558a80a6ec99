"""What a job did over memory: what it sent, where it got to, what it remembers. All typed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from samza_py.checkpoint import Change, Checkpoint
from samza_py.errors import ConfigError
from samza_py.message import Headers, Message, Record
from samza_py.store import Store
from samza_py.system import Output

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A message that went to a dead letter output.

    Attributes:
        to: that output, as ``system.stream``.
        key: the source's key, unchanged.
        value: the source's value, unchanged.
        headers: all of them, those of the source and the ``samza-*`` ones.
    """

    to: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    def _text(self, name: str) -> str:
        return dict(self.headers).get(name, b"").decode(errors="replace")

    @property
    def error(self) -> str:
        """What went wrong."""
        return self._text("samza-error")

    @property
    def error_type(self) -> str:
        """The name of the exception's class."""
        return self._text("samza-error-type")

    @property
    def task(self) -> str:
        """The task that failed, ``HANDLER/GROUP``."""
        return self._text("samza-task")

    @property
    def source(self) -> str:
        """Where the message was read, as ``system.stream[partition]``."""
        return self._text("samza-source")

    @property
    def attempts(self) -> int:
        """How many calls were made for it; 0 where it could not be decoded."""
        return int(self._text("samza-attempts") or 0)


class RunResult:
    """What is there after ``run``: ``result[priced]`` is the list of values sent to it.

    Attributes:
        dead_letters: what went to the dead letter outputs of the job's policies.
        checkpoints: the last checkpoint of each task, by its name.
    """

    def __init__(
        self,
        sent: Mapping[str, Sequence[Message[Any, Any]]],
        dead_letters: Sequence[DeadLettered],
        checkpoints: Mapping[str, Checkpoint],
        states: Mapping[str, Sequence[Change]],
    ) -> None:
        self._sent = sent
        self._states = states
        self.dead_letters = list(dead_letters)
        self.checkpoints = checkpoints

    def __getitem__(self, output: Output[Any, V]) -> list[V]:
        """The values sent to an output; in order where it has one partition.

        A tombstone is None, whatever the type of the values says.

        Raises:
            ConfigError: the job does not name this stream.
            SerdeError: what was sent cannot be read back by the output's own serde.
        """
        return [record.value for record in self.records(output)]

    def records(self, output: Output[K, V]) -> list[Record[K, V]]:
        """The same with keys, headers, timestamps and partitions. Raises the same."""
        messages = self._messages(output)
        decode_key, decode = output.key_serde.decoder(), output.value_serde.decoder()

        def record(message: Message[Any, Any]) -> Record[K, V]:
            key = None if message.raw_key is None else decode_key(message.raw_key)
            value = None if message.raw_value is None else decode(message.raw_value)
            return Record(
                cast("V", value),
                cast("K", key),
                tuple(message.headers),
                message.timestamp_ms,
                message.partition.id,
            )

        return [record(message) for message in messages]

    def state(self, store: Store[K, V]) -> dict[K, V]:
        """What all tasks together keep in a store, as of their last checkpoints.

        Raises:
            ConfigError: the job does not declare this store.
        """
        if store.name not in self._states:
            raise ConfigError(f"store {store.name}", "is not a store of the job that was run")
        decode_key, decode = store.key_serde.decoder(), store.value_serde.decoder()
        entries: dict[K, V] = {}
        for key, value in self._states[store.name]:
            if value is None:
                entries.pop(decode_key(key), None)
            else:
                entries[decode_key(key)] = decode(value)
        return entries

    def _messages(self, output: Output[Any, Any]) -> Sequence[Message[Any, Any]]:
        if str(output) not in self._sent:
            known = ", ".join(sorted(self._sent)) or "none"
            raise ConfigError(f"stream {output}", f"is no output of the job; there are: {known}")
        return self._sent[str(output)]
