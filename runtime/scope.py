"""What all attempts of one task share: its outputs, stores, timers, counters and wishes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

from samza_py.errors import ConfigError
from samza_py.message import Outgoing
from samza_py.runtime.overlay import Overlay
from samza_py.runtime.sender import Sender
from samza_py.runtime.statistics import TaskCounters
from samza_py.runtime.wakeup import Wakeup
from samza_py.specification import TaskSpec
from samza_py.store import Store
from samza_py.system import Output


class TaskScope:
    """The surroundings of a task's attempts.

    Args:
        name: ``HANDLER/GROUP``.
        spec: the declaration.
        resources: what the job's lifespan yielded.
        senders: by output name, ``system.stream``; dead letter outputs included.
        overlays: by store name.
        counters: what the task counts.
        max_attempt_bytes: what one attempt may send.
        max_uncommitted_bytes: of state changes; above it the task commits early.
        on_stop: asks the container to stop.
    """

    def __init__(
        self,
        name: str,
        spec: TaskSpec,
        resources: Any,
        senders: Mapping[str, Sender],
        overlays: Mapping[str, Overlay[Any, Any]],
        counters: TaskCounters,
        *,
        max_attempt_bytes: int,
        max_uncommitted_bytes: int,
        on_stop: Callable[[], None],
    ) -> None:
        self.name = name
        self.spec = spec
        self.resources = resources
        self.senders = senders
        self.overlays = overlays
        self.counters = counters
        self.max_attempt_bytes = max_attempt_bytes
        self._on_stop = on_stop
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self.timers: dict[str, int] = {}
        #: The hook for the end of the inputs has been called.
        self.ended = False
        self.generation = 0
        #: Something was finished since the last cut: there is something to commit.
        self.dirty = False
        #: Wakes the commit before its interval is over.
        self.commit_wanted = Wakeup()
        #: Wakes the runner: something to take, room, a timer, a stop.
        self.wakeup = Wakeup()
        self.stopping = False
        self._stopped: asyncio.Future[None] | None = None
        #: Something else than the next message wants the runner: an output or the state is full, a
        #: commit has drawn its line, a call was over its time, the task stops.
        self.attention = False
        #: Messages whose dead letter or rejection was decided by an output before a rollback.
        self.condemned: dict[tuple[Any, str], Exception] = {}
        #: Stores are asked only for the message's own key.
        self.bound_stores = spec.max_concurrency > 1 and spec.kind != "batch"
        self._max_uncommitted = max_uncommitted_bytes

    def sender(self, output: Output[Any, Any]) -> Sender:
        """The sender of a declared output. Raises ``ConfigError`` for any other."""
        sender = self.senders.get(str(output))
        if sender is None or output not in self.spec.outputs:
            given: object = output
            if isinstance(given, str):
                why = f"sends to the text {given!r}; pass the stream object, not its name"
                raise ConfigError(f"task {self.spec.name}", why)
            declared = ", ".join(str(known) for known in self.spec.outputs) or "none"
            raise ConfigError(
                f"task {self.spec.name}",
                f"sends to {output}, which it does not declare (outputs: {declared}); "
                "add it to outputs=[...]",
            )
        return sender

    def overlay(self, store: Store[Any, Any]) -> Overlay[Any, Any]:
        """The state of a declared store. Raises ``ConfigError`` for any other."""
        overlay = self.overlays.get(store.name)
        if overlay is None:
            raise ConfigError(
                f"task {self.spec.name}",
                f"uses store {store.name}, which it does not declare; add it to stores=[...]",
            )
        return overlay

    @property
    def full(self) -> bool:
        """Whether some output or the uncommitted state has no room: no attempt may start."""
        for sender in self.senders.values():  # not any(): making a generator takes longer
            if sender.port.full:
                return True
        if not self.overlays:
            return False
        most = self._max_uncommitted
        return any(overlay.size > most for overlay in self.overlays.values())

    def keep(self, sender: Sender, message: Outgoing, size: int) -> None:
        """Keep what a call that has succeeded sends; the runner looks up where that fills the room.

        What is called for each message (``Processor.send``, the serial runner) writes it out.
        """
        pending = sender.pending
        pending.append(message)
        total = sender.pending_bytes = sender.pending_bytes + size
        if len(pending) >= sender.room_messages or total >= sender.room_bytes:
            self.attention = True

    def hand_over(self) -> None:
        """Give everything finished to the outboxes, under the current generation."""
        self.attention = False
        for sender in self.senders.values():
            self.counters.sent += sender.hand_over(self.generation)

    def state_changed(self, overlay: Overlay[Any, Any]) -> None:
        """A finished attempt has written state: commit early when much has come together."""
        if overlay.size > self._max_uncommitted:
            self.attention = True  # no further attempt until the commit has drawn its line
            self.commit_wanted.wake()

    def ask_to_stop(self) -> None:
        """Ask the container to stop, also from a thread of a ``blocking=True`` handler."""
        if threading.get_ident() == self._loop_thread:
            self._on_stop()
        else:
            self._loop.call_soon_threadsafe(self._on_stop)

    def stop(self) -> None:
        """Take nothing more; what waits in a backoff is left unread."""
        self.stopping = True
        self.attention = True
        if self._stopped is not None and not self._stopped.done():
            self._stopped.set_result(None)
        self.wakeup.wake()

    def stopped(self) -> asyncio.Future[None]:
        """Done once the task stops; for waits that a stop should end."""
        if self._stopped is None:
            self._stopped = asyncio.get_running_loop().create_future()
            if self.stopping:
                self._stopped.set_result(None)
        return self._stopped
