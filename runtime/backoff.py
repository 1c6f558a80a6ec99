"""The one loop that waits and tries again when a system is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeAlias, TypeVar
from weakref import WeakSet

from samza_py.errors import UnavailableError
from samza_py.seam import seam

T = TypeVar("T")
logger = logging.getLogger(__name__)

FIRST_S = 0.1
LONGEST_S = 10.0


class Backoff:
    """Growing waits with jitter, and one warning an outage, not one a try.

    Args:
        what: the thing that fails, for the log: ``reading from kafka``.
        outage: whether it counts as an outage until it works; not where its failures are kept
            after it runs again, to be counted.
        together: what fails just now of all that shares it, and with it the warning: the first
            one says that it fails, the last one that it works again.
    """

    def __init__(self, what: str, *, outage: bool = True, together: set[str] | None = None) -> None:
        self._what = what
        self._outage = outage
        self._together: set[str] = set() if together is None else together
        self._error = ""
        self._since = 0.0
        self.failures = 0

    def __str__(self) -> str:
        seconds = asyncio.get_running_loop().time() - self._since
        return f"{self._what} fails since {seconds:.0f} s: {self._error}"

    async def wait(self, error: Exception) -> None:
        """Count a failure, say so once, and sleep before the next try."""
        self.failures += 1
        self._error = str(error)
        if self.failures == 1:
            self._since = asyncio.get_running_loop().time()
            if self._outage:
                _failing.get().add(self)
        if not self._together:
            logger.warning("%s fails, trying again: %s", self._what, error)
        self._together.add(self._what)
        wait = min(LONGEST_S, FIRST_S * 2.0 ** min(self.failures - 1, 20))
        wait *= 1.0 - seam().random.random() / 2.0
        if isinstance(error, UnavailableError):
            wait = max(wait, error.after_s)
        await asyncio.sleep(wait)

    def worked(self) -> None:
        """It works: the outage is over."""
        self.over()
        if self.failures and not self._together:
            logger.warning("%s works again after %d failures", self._what, self.failures)
        _failing.get().discard(self)
        self.failures = 0

    def over(self) -> None:
        """It is not tried any more, whether it works or not."""
        self._together.discard(self._what)


Failing: TypeAlias = WeakSet[Backoff]

# A container sees its own outages alone, and each without being told of it: what it starts runs in
# its context. Who gives up on something lets its backoff go, and that ends the outage, too.
_failing: ContextVar[Failing] = ContextVar("failing", default=WeakSet())  # noqa: B039


def watch_outages() -> Failing:
    """Collect what fails in this context from here on: called by a container at its start."""
    found: Failing = WeakSet()
    _failing.set(found)
    return found


def outages() -> Failing:
    """What fails in this context."""
    return _failing.get()


async def retried(
    what: str, attempt: Callable[[], Awaitable[T]], *, timeout_s: float | None = None
) -> T:
    """Call until it does not raise ``UnavailableError``.

    Args:
        what: the thing tried, for the log.
        attempt: called anew each time.
        timeout_s: give up after this long and raise the last error; None never gives up. An attempt
            that has not come back by then is cancelled.

    Raises:
        UnavailableError: it was still away at the end of the time, or did not answer.
    """
    backoff = Backoff(what)
    loop = asyncio.get_running_loop()
    until = None if timeout_s is None else loop.time() + timeout_s
    while True:
        timer = asyncio.timeout_at(until)
        try:
            async with timer:
                result = await attempt()
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise UnavailableError(f"{what}: no answer within {timeout_s:g} s") from error
        except UnavailableError as error:
            if until is not None and loop.time() >= until:
                raise
            await backoff.wait(error)
        else:
            backoff.worked()
            return result
