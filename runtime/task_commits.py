"""When a task commits: now and then, when something wants it, and at its end, good or bad."""

from __future__ import annotations

import asyncio
import logging

from samza_py.errors import ConnectorError, SamzaError
from samza_py.runtime.commit import Committer, TaskAbortedError
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.services import Services

logger = logging.getLogger(__name__)


class TaskCommits:
    """The commits of one task instance, never two at once.

    Args:
        scope: of the task.
        committer: makes them.
        services: of the container.
    """

    def __init__(self, scope: TaskScope, committer: Committer, services: Services) -> None:
        self._scope = scope
        self._committer = committer
        self._services = services
        self._lock = asyncio.Lock()
        self._ending = False

    async def run(self) -> None:
        """Commit at every interval and whenever it is wanted, until ``end``."""
        interval = self._services.resolved.options.commit_interval_s
        loop = asyncio.get_running_loop()
        while not self._ending:
            timer = loop.call_later(interval, self._scope.commit_wanted.wake)
            try:
                await self._scope.commit_wanted.wait()
            finally:
                timer.cancel()
            if not self._ending:
                await self.commit()

    def end(self) -> None:
        """Let ``run`` return, behind a commit that is under way."""
        self._ending = True
        self._scope.commit_wanted.wake()

    async def commit(self, *, force: bool = False, final: bool = False) -> None:
        """Commit what is finished; nothing happens when nothing is, unless forced.

        Raises:
            TaskAbortedError: a system did not take its part; the task goes back.
            FencedError, CheckpointError: as ``Committer.commit``.
        """
        async with self._lock:
            if not (self._scope.dirty or force):
                return
            loop = asyncio.get_running_loop()
            began = loop.time()
            try:
                await self._committer.commit(final=final)
            except ConnectorError as error:
                raise TaskAbortedError(
                    f"task {self._scope.name} goes back to its checkpoint: {error}"
                ) from error
            self._scope.counters.commits += 1
            self._scope.counters.commit_s += loop.time() - began
            self._services.committed()

    async def commit_last(self) -> None:
        """The commit at a good end. Raises what ``commit`` raises."""
        # Also where nothing is new: what an earlier commit could not finish must not stay behind.
        await self.commit(final=True, force=self._committer.names_staged)
        if self._scope.ended and self._committer.names_staged:
            # All of it is finished by now. A checkpoint that still names it would look, to other
            # containers, as if somebody had to come back for it.
            await self.commit(force=True, final=True)

    async def commit_finished(self, error: SamzaError) -> None:
        """The task ends badly: commit what was finished, so that a restart repeats little of it.

        A failure here is said and dropped: the error that brought us here is the one to raise.
        """
        self._ending = True
        try:
            async with asyncio.timeout(self._services.resolved.options.close_timeout_s):
                await self.commit()
        except (SamzaError, TimeoutError) as failed:
            logger.warning(
                "task %s could not commit what it had finished (%r) after: %s",
                self._scope.name,
                failed,
                error,
            )
