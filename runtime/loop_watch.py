"""Says who blocks the event loop: a handler that computes, or calls something that blocks.

A thread looks whether the loop still turns; when it has not for a while, the loop's own stack is
in the log, while it is still stuck there.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

logger = logging.getLogger(__name__)

STACK_LINES = 12

_RUNTIME = f"{Path(__file__).parent}/"
_NOT_THE_USERS = (f"{Path(__file__).parent.parent}/", f"{Path(asyncio.__file__).parent}/")


class LoopWatch:
    """Watches one loop from a thread, from ``start`` to ``stop``.

    Args:
        after_s: how long the loop may stand still before it is said.
        doing: names the task and message in work, read from the thread.
    """

    def __init__(self, after_s: float, doing: Callable[[], str]) -> None:
        self._after_s = after_s
        self._doing = doing
        self._beats = 0
        self._stopped = threading.Event()
        self._beat_handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; called on the loop."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat()
        threading.Thread(target=self._watch, name="samza-py loop watch", daemon=True).start()

    def stop(self) -> None:
        """End; called on the loop, which does not wait for the thread: it ends at its next look."""
        self._stopped.set()
        if self._beat_handle is not None:
            self._beat_handle.cancel()

    def _beat(self) -> None:
        self._beats += 1
        self._beat_handle = self._loop.call_later(self._after_s / 2, self._beat)

    def _watch(self) -> None:
        seen, said = -1, -1
        # Two looks without a beat in between are at least after_s / 2 more than the beat's own
        # interval, so a loop that turns is never accused.
        while not self._stopped.wait(self._after_s):
            beats = self._beats
            if beats == seen and said != beats:
                self._say()
                said = beats
            seen = beats

    def _say(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        stack = "" if frame is None else stack_of_user(traceback.extract_stack(frame))
        logger.warning(
            "the event loop has stood still for over %.1f s in %s; an 'async def' handler must "
            "await what takes long, a 'def' handler that blocks needs blocking=True. "
            "It stands at:\n%s",
            self._after_s,
            self._doing(),
            stack,
            extra={"stack": stack},
        )


def stack_of_user(stack: Sequence[traceback.FrameSummary]) -> str:
    """Of a whole stack, what the user's handler does: neither what called it nor what is ours."""
    called = next((at for at, f in enumerate(stack) if f.filename.startswith(_RUNTIME)), 0)
    users = [f for f in stack[called:] if not f.filename.startswith(_NOT_THE_USERS)]
    return "".join(traceback.format_list((users or stack)[-STACK_LINES:])).rstrip()
