"""What a worker is doing, seen from outside: call timeouts and the stated cause of a stall.

No timer a message: a worker notes the message in hand, and one timer a task looks at it now and
then. A message seen again at the next look is that much older.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from samza_py.message import Message, key_shown
from samza_py.runtime.scope import TaskScope

logger = logging.getLogger(__name__)


class Watched:
    """One worker's call, as the watch sees it.

    Attributes:
        calling: the message whose handler is running, or the name of a hook that is; None between
            two calls. Set by the worker.
        child: the asyncio task to cancel when the call takes too long.
    """

    __slots__ = ("_seen", "_since", "calling", "child", "timed_out")

    def __init__(self) -> None:
        self.calling: Message[Any, Any] | str | None = None
        self.child: asyncio.Task[Any] | None = None
        self.timed_out: Message[Any, Any] | str | None = None
        self._seen: Message[Any, Any] | str | None = None
        self._since = 0.0

    def begin_again(self, message: Message[Any, Any]) -> None:
        """Another call for a message: one that has been seen before is not that much older."""
        self._seen = None
        self.calling = message

    def look(self, now: float, timeout_s: float | None) -> float:
        """Note what is running; end a message's when it is over its time. Gives its age in seconds.

        A hook has no time: it has no message that a policy could do something about.
        """
        calling = self.calling
        if calling is None or calling is not self._seen:
            self._seen = calling
            self._since = now
            return 0.0
        age = now - self._since
        over = timeout_s is not None and age >= timeout_s and not isinstance(calling, str)
        if over and self.timed_out is not calling:
            self.timed_out = calling
            if self.child is not None:
                self.child.cancel()
        return age

    def age(self, now: float) -> float:
        """How long the call in hand has been running, in seconds, as far as the watch knows."""
        return now - self._since if self.calling is not None and self.calling is self._seen else 0.0

    def take_timeout(self) -> bool:
        """Whether the watch has ended the call in hand; takes its cancellation back if so."""
        if self.timed_out is None or self.timed_out is not self.calling:
            return False
        self.timed_out = None
        # More cancellations than the watch's: somebody else wants the child to end as well.
        return self.child is None or self.child.uncancel() == 0


def look_every_s(timeout_s: float | None, stall_after_s: float) -> float:
    """How often to look: often enough to be right within a tenth, rarely enough to cost nothing."""
    shortest = stall_after_s if timeout_s is None else min(timeout_s, stall_after_s)
    return min(1.0, max(0.01, shortest / 10))


class StallWatch:
    """The one timer of a task: ends calls over their time, and finds the cause of a stall.

    Args:
        scope: of the task.
        watched: its workers; more may join.
        stall_after_s: how long a call may run, or an output may be full, before it is said.

    Attributes:
        cause: why the task does not come on, such as ``partition 3 of orders waits 41 s in `price`,
            key 'A17'``; None while it does.
    """

    def __init__(self, scope: TaskScope, watched: Sequence[Watched], stall_after_s: float) -> None:
        self._scope = scope
        self._watched = watched
        self._stall_after_s = stall_after_s
        self._full_since: float | None = None
        self.cause: str | None = None

    async def run(self) -> None:
        """Look now and then, until cancelled; a cause is said once, in the log."""
        scope = self._scope
        timeout_s = scope.spec.timeout_s
        every = look_every_s(timeout_s, self._stall_after_s)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every)
            now = loop.time()
            for watched in self._watched:
                watched.look(now, timeout_s)
                if watched.timed_out is not None:
                    scope.attention = True  # should the call succeed all the same
            cause = self._found(now)
            if cause is not None and self.cause is None:
                logger.warning("task %s: %s", scope.name, cause, extra={"task": scope.name})
            self.cause = cause

    def _found(self, now: float) -> str | None:
        doing = self.doing(self._stall_after_s)
        if doing is not None:
            return doing
        full = [name for name, sender in self._scope.senders.items() if sender.port.full]
        if not full:
            self._full_since = None
            return None
        if self._full_since is None:
            self._full_since = now
        waited = now - self._full_since
        if waited < self._stall_after_s:
            return None
        return (
            f"waits {waited:.0f} s for room in {', '.join(full)}: what it sent is not durable yet"
        )

    def doing(self, least_s: float = 0.0) -> str | None:
        """The call that has been running longest, if for so long."""
        now = asyncio.get_running_loop().time()
        oldest = max(self._watched, default=None, key=lambda one: one.age(now))
        if oldest is None or oldest.calling is None or oldest.age(now) < least_s:
            return None
        message = oldest.calling
        if isinstance(message, str):
            return f"{message} has been running for {oldest.age(now):.0f} s"
        handler, key = self._scope.spec.name, key_shown(message)
        return (
            f"partition {message.partition.id} of {message.partition.stream} waits "
            f"{oldest.age(now):.0f} s in `{handler}`{key} (offset {message.offset})"
        )
