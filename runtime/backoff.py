"""The one loop that waits and tries again when a system is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

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
        failing: those of its kind that fail just now. Whoever shares it shares the warning: the
            first one says that it fails, the last one that it works again.
    """

    def __init__(self, what: str, failing: set[Backoff] | None = None) -> None:
        self._what = what
        self._failing: set[Backoff] = set() if failing is None else failing
        self.failures = 0

    async def wait(self, error: Exception) -> None:
        """Count a failure, say so once, and sleep before the next try."""
        self.failures += 1
        if not self._failing:
            logger.warning("%s fails, trying again: %s", self._what, error)
        self._failing.add(self)
        wait = min(LONGEST_S, FIRST_S * 2.0 ** min(self.failures - 1, 20))
        wait *= 1.0 - seam().random.random() / 2.0
        if isinstance(error, UnavailableError):
            wait = max(wait, error.after_s)
        await asyncio.sleep(wait)

    def worked(self) -> None:
        """It works: the outage is over."""
        self.over()
        if self.failures and not self._failing:
            logger.warning("%s works again after %d failures", self._what, self.failures)
        self.failures = 0

    def over(self) -> None:
        """It is not tried any more, whether it works or not."""
        self._failing.discard(self)


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
