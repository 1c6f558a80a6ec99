"""One call of a handler: everything it does, kept until it is known whether it succeeded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from samza_py.errors import ConfigError, ContextClosedError, RejectedError, StoreError
from samza_py.message import Headers, Message, Outgoing, Received
from samza_py.runtime.overlay import Overlay
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.sender import Sender
from samza_py.seam import seam
from samza_py.store import KeyValueStore, Store
from samza_py.system import Output
from samza_py.task import StreamTask, TaskContext
from samza_py.values import Duration, seconds, shown_size

K = TypeVar("K")
V = TypeVar("V")


class StaleReadError(Exception):
    """An entry that the attempt had read was changed before it ended: run it again."""


class Attempt(TaskContext[Any]):
    """A task context, and the list of effects that its call will have had.

    Args:
        scope: of the task.
        message: the message in hand, None in a hook or a batch.
        attempt: from 1.
        batch: whether a batch is in hand.
    """

    __slots__ = (
        "_number",
        "_of_batch",
        "_scope",
        "_timers",
        "_views",
        "_wants_commit",
        "closed",
        "message",
        "number",
        "sends",
        "size",
    )

    def __init__(
        self,
        scope: TaskScope,
        message: Message[Any, Any] | None,
        attempt: int = 1,
        *,
        batch: bool = False,
    ) -> None:
        self._scope = scope
        self._number = attempt
        self.message = message
        self.closed = False
        self.number = 0
        self.size = 0
        self.sends: list[tuple[Sender, Outgoing, int]] | None = None
        self._views: dict[str, StoreView[Any, Any]] | None = None
        self._timers: dict[str, int | None] | None = None
        self._wants_commit = False
        self._of_batch: dict[int, int] | None = {} if batch else None

    # What user code sees -----------------------------------------------------------------------

    @property
    def resources(self) -> Any:
        """What the lifespan yielded."""
        return self._scope.resources

    @property
    def task(self) -> str:
        """The task's name."""
        return self._scope.name

    @property
    def attempt(self) -> int:
        """Which call for this message it is, from 1."""
        return self._number

    def send(
        self,
        output: Output[K, V],
        value: V,
        *,
        key: K | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: str | None = None,
        source: Message[Any, Any] | None = None,
    ) -> None:
        """Keep a message for an output; see ``TaskContext.send``."""
        self.check_open()
        sender = self._scope.sender(output)
        origin, number = self._origin(source)
        if timestamp_ms is None:
            timestamp_ms = -1 if origin is None else origin.timestamp_ms
        self.keep(
            sender, sender.encoded(key, value, headers, timestamp_ms, partition, origin, number)
        )

    def _origin(self, source: Message[Any, Any] | None) -> tuple[Message[Any, Any] | None, int]:
        """The message that a send comes from, and its place among what comes from that."""
        if (source is None) == (self._of_batch is not None):
            task = self._scope.spec.name
            if source is None:
                raise TypeError(f"batch task {task} sends without source=; name the message")
            raise TypeError(f"task {task} is no batch task: what it sends needs no source=")
        if source is None:
            return self.message, self.number
        return source, self.number_of(source)

    def number_of(self, source: Message[Any, Any]) -> int:
        """The next number of what comes from a message of a batch.

        Counted for each: what names an output for ever must not depend on which messages happened
        to share a batch.
        """
        assert self._of_batch is not None
        number = self._of_batch.get(id(source), 0)
        self._of_batch[id(source)] = number + 1
        return number

    def store(self, store: Store[K, V]) -> KeyValueStore[K, V]:
        """The entries of a store; see ``TaskContext.store``."""
        self.check_open()
        if self._views is None:
            self._views = {}
        view = self._views.get(store.name)
        if view is None:
            view = self._views[store.name] = StoreView(
                self, self._scope.overlay(store), self._bound(store)
            )
        return view

    def set_timer(
        self, name: str, *, after: Duration | None = None, at_ms: int | None = None
    ) -> None:
        """Set a timer; see ``TaskContext.set_timer``."""
        self.check_open()
        handler = self._scope.spec.handler
        if self._scope.spec.kind != "object" or (
            isinstance(handler, type)
            and issubclass(handler, StreamTask)
            and handler.on_timer is StreamTask.on_timer
        ):
            raise ConfigError(f"task {self._scope.spec.name}", "sets a timer but has no on_timer")
        if (after is None) == (at_ms is None):
            raise ConfigError("set_timer", "takes exactly one of after= and at_ms=")
        if at_ms is None:
            at_ms = seam().now_ms() + int(seconds(after or 0, "set_timer.after") * 1000)
        self._set_timer(name, at_ms)

    def cancel_timer(self, name: str) -> None:
        """Take a timer back; see ``TaskContext.cancel_timer``."""
        self.check_open()
        self._set_timer(name, None)

    def request_commit(self) -> None:
        """Wake the task's commit once this call has succeeded, so that it covers it."""
        self.check_open()
        self._wants_commit = True

    def request_stop(self) -> None:
        """Ask the container to stop."""
        self.check_open()
        self._scope.ask_to_stop()

    # What the runner does ----------------------------------------------------------------------

    def check_open(self) -> None:
        """Raise ``ContextClosedError`` once the call has ended."""
        if self.closed:
            raise ContextClosedError(
                f"the context of a call of {self._scope.name} was used after the call had ended; "
                "await what it started before returning"
            )

    def keep(self, sender: Sender, message: Outgoing) -> None:
        """Keep an encoded message. Raises ``RejectedError`` above ``max_attempt_bytes``."""
        size = message.size
        self.size += size
        if self.size > self._scope.max_attempt_bytes:
            raise too_much(self._scope)
        if self.sends is None:
            self.sends = []
        self.sends.append((sender, message, size))
        self.number += 1

    def take_effect(self) -> None:
        """Make everything happen, at once: the call has succeeded.

        Raises:
            StaleReadError: a shared entry it had read was changed meanwhile; nothing happened.
        """
        scope = self._scope
        views = self._views
        if views is not None:
            if scope.bound_stores and any(view.stale() for view in views.values()):
                raise StaleReadError
            for view in views.values():
                view.take_effect(scope)
        if self._timers is not None:
            for name, at_ms in self._timers.items():
                if at_ms is None:
                    scope.timers.pop(name, None)
                else:
                    scope.timers[name] = at_ms
            scope.wakeup.wake()
        if self.sends is not None:
            for sender, message, size in self.sends:
                scope.keep(sender, message, size)
        if self._wants_commit:
            scope.commit_wanted.wake()

    def _set_timer(self, name: str, at_ms: int | None) -> None:
        if self._timers is None:
            self._timers = {}
        self._timers[name] = at_ms

    def _bound(self, store: Store[Any, Any]) -> bool:
        # A hook runs while no message does, so it may look at any entry.
        return self._scope.bound_stores and not store.shared and self.message is not None


def too_much(scope: TaskScope) -> RejectedError:
    """The error for a call that sends more than ``max_attempt_bytes``."""
    limit = shown_size(scope.max_attempt_bytes)
    return RejectedError(f"one call sent more than job.max_attempt_bytes ({limit})")


class StoreView(KeyValueStore[K, V], Generic[K, V]):
    """A store as one attempt sees it: its own writes above what succeeded before."""

    __slots__ = ("_attempt", "_bound", "_overlay", "_read_all_at", "_reads", "_writes")

    def __init__(self, attempt: Attempt, overlay: Overlay[K, V], bound: bool) -> None:
        self._attempt = attempt
        self._overlay = overlay
        self._bound = bound
        self._reads: dict[bytes, bytes | None] = {}
        self._writes: dict[bytes, bytes | None] = {}
        self._read_all_at: int | None = None

    def get(self, key: K, default: V | None = None) -> V | None:
        """The value of a key; see ``KeyValueStore.get``."""
        raw_key = self._checked(key)
        if raw_key in self._writes:
            raw = self._writes[raw_key]
        else:
            raw = self._overlay.get(raw_key)
            self._reads.setdefault(raw_key, raw)
        return default if raw is None else self._overlay.decode_value(raw)

    def put(self, key: K, value: V) -> None:
        """Set the value of a key; see ``KeyValueStore.put``."""
        raw_key = self._checked(key)
        self._writes[raw_key] = self._overlay.encoded_value(value)

    def delete(self, key: K) -> None:
        """Remove a key; see ``KeyValueStore.delete``."""
        self._writes[self._checked(key)] = None

    def items(self) -> Iterator[tuple[K, V]]:
        """All entries; see ``KeyValueStore.items``."""
        self._attempt.check_open()
        overlay = self._overlay
        if self._bound:
            raise StoreError(
                f"items() of store {overlay.store.name} was asked for in a call for one key; with "
                "max_concurrency > 1 declare it with shared=True"
            )
        if self._read_all_at is None:
            self._read_all_at = overlay.version
        entries = overlay.items(self._writes)
        return ((overlay.decode_key(key), overlay.decode_value(value)) for key, value in entries)

    def stale(self) -> bool:
        """Whether an entry read before has changed since."""
        overlay = self._overlay
        if self._read_all_at not in (None, overlay.version):
            return True
        return any(overlay.get(key) != raw for key, raw in self._reads.items())

    def take_effect(self, scope: TaskScope) -> None:
        """Hand the writes to the overlay."""
        if self._writes:
            self._overlay.apply(self._writes)
            scope.state_changed(self._overlay)

    def _checked(self, key: K) -> bytes:
        self._attempt.check_open()
        message: Received | None = self._attempt.message
        if self._bound and (not isinstance(message, Message) or message.key != key):
            raise StoreError(
                f"store {self._overlay.store.name} was asked for key {key!r} in a call for "
                "another key; "
                "with max_concurrency > 1 declare it with shared=True"
            )
        return self._overlay.encoded_key(key)
