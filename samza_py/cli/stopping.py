"""Signals: the first stops in good order, the second at once, and a hung process ends too."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Protocol

from samza_py.cli.failures import shown_frames
from samza_py.runtime.container import HANDLER_THREADS

logger = logging.getLogger("samza_py.cli")

_GRACE_S = 5.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stoppable(Protocol):
    """What a signal does something to: the container."""

    def request_stop(self) -> None:
        """Stop in good order."""

    def abort(self) -> None:
        """Stop at once."""


class Signals:
    """Turns signals into stops of one container, from ``install`` to ``remove``.

    Handlers of the ``signal`` module rather than of the loop: they run even while a handler of the
    user's blocks the loop, which is when people press Ctrl-C most.

    Args:
        loop: where the container runs.
        container: what is stopped.
        limit_s: how long a stop in good order may take in all. After that and a grace the process
            is ended from outside the loop, which then is blocked: nothing on it can do so.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, container: Stoppable, limit_s: float
    ) -> None:
        self._loop = loop
        self._container = container
        self._limit_s = limit_s + _GRACE_S
        self._before: dict[signal.Signals, object] = {}
        self._watchdog: threading.Timer | None = None
        self._heard = 0
        #: The exit code that a second signal asks for; None where there was none.
        self.aborted_with: int | None = None

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._heard > 0

    def install(self) -> None:
        """Begin to listen, where that is possible: in the main thread."""
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._on_signal)

    def remove(self) -> None:
        """Put back what was there before."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._before.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._heard += 1
        name = signal.Signals(number).name
        if self._heard == 1:
            self._later(self._container.request_stop)
            self._later(lambda: logger.info("%s: stopping in good order; again: at once", name))
            self._watchdog = threading.Timer(self._limit_s, _end_hung_process, (self._limit_s,))
            self._watchdog.daemon = True
            self._watchdog.start()
        elif self._heard == 2:
            self.aborted_with = 128 + number
            self._later(self._container.abort)
            self._later(lambda: logger.info("%s: stopping at once, nothing is committed", name))
        else:
            os._exit(128 + number)

    def _later(self, call: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(call)


async def end_children(code: int, within_s: float) -> None:
    """Cancel what a run has left behind; where that does not help, end the process with this code.

    Closing the loop would wait for ever for a handler that swallows its cancellation.
    """
    children = asyncio.all_tasks() - {asyncio.current_task()}
    for child in children:
        child.cancel()
    if children:
        _, left = await asyncio.wait(children, timeout=within_s)
        if left:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


async def end_threads(code: int, within_s: float) -> None:
    """End the process with this code where a thread of it hangs: Python would wait for ever.

    Called when everything has been closed. What a thread still does is left behind by name.
    """
    loop = asyncio.get_running_loop()
    idle = loop.create_task(loop.shutdown_default_executor())
    await asyncio.wait((idle,), timeout=within_s)
    until = loop.time() + within_s
    while (busy := _handler_threads()) and loop.time() < until:  # noqa: ASYNC110  (threads)
        await asyncio.sleep(0.01)
    if busy:
        where = "\n".join(_stack_of(thread) for thread in busy)
        logger.error("a blocking=True handler has not ended and is left behind:\n%s", where)
    elif not idle.done():
        logger.error("a thread that waits for a disk has not ended and is left behind")
    if busy or not idle.done():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _handler_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(HANDLER_THREADS)]


def _stack_of(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    stack = shown_frames(traceback.extract_stack(frame))
    return "".join(traceback.format_list(stack)).rstrip()


def _end_hung_process(after_s: float) -> None:
    """Say where the loop hangs and end the process: nothing inside the loop can any more."""
    text = _stack_of(threading.main_thread())
    sys.stderr.write(
        f"samza-py: not stopped after {after_s:.0f} s, since the event loop is blocked at\n{text}\n"
        "  add blocking=True to a handler that blocks, or await an async client\n"
    )
    sys.stderr.flush()
    os._exit(1)
