"""A container: opens everything a job needs, runs the tasks granted to it, closes in reverse.

Only the container decides when things end. A soft stop lets running attempts finish, commits,
releases and returns; when that takes too long the running are cut short, what they had finished
is committed, and it raises; ``abort`` ends everything at once and commits nothing.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from weakref import WeakSet

from samza_py.coordination import Coordinator
from samza_py.errors import SamzaError
from samza_py.resolved import ResolvedJob
from samza_py.runtime.backoff import Failing, watch_outages
from samza_py.runtime.children import Children, to_its_end
from samza_py.runtime.closing import Opened
from samza_py.runtime.loop_watch import LoopWatch
from samza_py.runtime.opening import open_anew, opened_services
from samza_py.runtime.own_tasks import OwnTasks
from samza_py.runtime.services import Services
from samza_py.runtime.statistics import ContainerStatistics, State, TaskCounters
from samza_py.runtime.supervisor import Supervisor
from samza_py.seam import seam

logger = logging.getLogger(__name__)

HANDLER_THREADS = "samza-py handler"
"""What the names of the threads of ``blocking=True`` handlers begin with."""


class Container:
    """Runs a resolved job in the current event loop. Used once.

    Args:
        resolved: the job and everything merged into it.
    """

    def __init__(self, resolved: ResolvedJob) -> None:
        self._resolved = resolved
        self._own: OwnTasks | None = None
        self._children: Children | None = None
        self._started_at: float | None = None
        self._outages: Failing = WeakSet()
        self._stop_wanted = False
        self._aborted = False
        self._started = False
        self._failure: SamzaError | None = None
        self._main: asyncio.Task[Any] | None = None
        self._done: asyncio.Future[None] | None = None
        self._hard_stop: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Run until every input has ended or a soft stop is complete.

        Cancelling it is the same as ``abort``.

        Raises:
            ConfigError: the job cannot run as declared.
            TaskFailedError: a message failed and its policy is ``Fail()``.
            StalledError: a stop took too long.
            SamzaError: something outside user code failed for good.
            asyncio.CancelledError: it was aborted.
        """
        if self._stop_wanted:
            return
        loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._started_at = loop.time()
        self._done = loop.create_future()
        self._outages = watch_outages()
        self._children = Children()
        watch = LoopWatch(self._resolved.options.block_warning_s, self._doing)
        if seam().watches_loop:
            watch.start()
        try:
            await self._run(self._children)
        except asyncio.CancelledError:
            if not self._was_stopped_while_opening():
                raise
        finally:
            if seam().watches_loop:
                watch.stop()
            if self._hard_stop is not None:
                self._hard_stop.cancel()

    def _was_stopped_while_opening(self) -> bool:
        """Whether the cancellation in hand is the one of ``request_stop``, and nobody else's."""
        if self._started or self._aborted or not self._stop_wanted or self._main is None:
            return False
        return self._main.uncancel() == 0

    async def _run(self, children: Children) -> None:
        options = self._resolved.options
        threads = ThreadPoolExecutor(options.max_threads, HANDLER_THREADS)
        async with Opened(options.close_timeout_s, self._note) as opened:
            opened.calls(partial(threads.shutdown, wait=False, cancel_futures=True))
            try:
                services = await opened_services(
                    self._resolved, opened, children, threads, self.request_stop
                )
                coordinator = await self._joined(services, opened)
                seam().reached("start.opened")
                self._started = True
                own = self._own = OwnTasks(
                    services, coordinator, children, self._fail, self._look_whether_done
                )
                children.start(own.follow(), "coordinator")
                children.start(own.watch(), "partitions")
                if self._resolved.coordination.several:
                    children.start(self._wait_for_all(services, own), "end of all")
                assert self._done is not None
                await children.wait(self._done)
                seam().reached("stop.closing")
            finally:
                # Before what they use is closed, and also where the opening has failed half-way.
                await to_its_end(self._end(children))
        if self._failure is not None:
            raise self._failure

    async def _end(self, children: Children) -> None:
        """End what runs. A client that swallows its cancellation is left behind, by name."""
        # A task waits that long for its calls, and again for its own `close`.
        left = await children.end(3 * self._resolved.options.close_timeout_s)
        if left:
            logger.error("the container leaves behind what did not end: %s", ", ".join(left))

    async def _joined(self, services: Services, opened: Opened) -> Coordinator:
        """Plan the tasks, and open the line to whatever says which of them are ours."""
        await services.plan.read()
        coordination, job = self._resolved.coordination, self._resolved.job.name
        return await open_anew(
            "the coordinator",
            lambda: coordination.coordinator(job, list(services.plan.tasks)),
            opened,
            self._resolved.options.startup_timeout_s,
        )

    async def _wait_for_all(self, services: Services, own: OwnTasks) -> None:
        """Where other containers have tasks, too: end when all of them have."""
        await services.plan.all_ended(services.store, lambda: own.idle)
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, what: str, error: SamzaError) -> None:
        """Something failed for good: what else runs ends in good order before the job does."""
        self._note(what, error)
        self.request_stop()

    def _note(self, what: str, error: SamzaError) -> None:
        """Keep the first failure, for ``run`` to raise; say the others."""
        if self._failure is None:
            self._failure = error
        elif error is not self._failure:  # a consumer's failure is that of all its tasks
            logger.error("%s failed, too: %s", what, error)

    # Ending --------------------------------------------------------------------------------------

    def request_stop(self) -> None:
        """Stop in good order: the first SIGTERM, a task's wish. ``run`` then returns."""
        if self._stop_wanted:
            return
        self._stop_wanted = True
        if self._done is None:
            return
        if self._own is not None:
            self._own.stopping = True
        for supervisor in self._supervisors:
            supervisor.stop()
        loop = asyncio.get_running_loop()
        options = self._resolved.options
        self._hard_stop = loop.call_later(options.shutdown_timeout_s, self._cut_short)
        self._look_whether_done()
        if not self._started and self._main is not None:
            self._main.cancel()  # nothing has started yet, so there is nothing to finish

    def _cut_short(self) -> None:
        logger.warning("the stop takes too long; ending what still runs")
        for supervisor in self._supervisors:
            supervisor.cut_short()
        options = self._resolved.options
        loop = asyncio.get_running_loop()
        self._hard_stop = loop.call_later(options.close_timeout_s, self._cut_short)

    def abort(self) -> None:
        """End at once and commit nothing: the second signal. ``run`` raises ``CancelledError``."""
        self._aborted = True
        if self._main is not None:
            self._main.cancel()

    def _look_whether_done(self) -> None:
        """Every task has ended, or the stop is complete: let ``run`` return."""
        if self._done is None or self._done.done():
            return
        if self._stop_wanted:
            if all(s.child is None or s.ended for s in self._supervisors):
                self._done.set_result(None)
            return
        own = self._own
        if self._resolved.coordination.several or own is None or not own.all_ended:
            return
        if own.plan.complete:
            self._done.set_result(None)
        else:
            own.plan.look().add_done_callback(lambda _: self._look_whether_done())

    @property
    def _supervisors(self) -> list[Supervisor]:
        return [] if self._own is None else list(self._own.supervisors.values())

    # What people see -----------------------------------------------------------------------------

    def statistics(self) -> ContainerStatistics:
        """The container now; cheap enough to ask a few times a second."""
        tasks = tuple(supervisor.statistics() for supervisor in self._supervisors)
        left = TaskCounters() if self._own is None else self._own.left
        now = asyncio.get_running_loop().time()
        running_s = 0.0 if self._started_at is None else now - self._started_at
        outages = tuple(sorted(map(str, self._outages)))
        job = self._resolved.job.name
        return ContainerStatistics(job, running_s, tasks, left, outages, self._state)

    @property
    def _state(self) -> State:
        if self._stop_wanted:
            return "stopping"
        return "running" if self._started else "starting"

    def _doing(self) -> str:
        """Names the task whose handler has the loop; called from the watching thread."""
        for supervisor in self._supervisors:
            doing = supervisor.doing()
            if doing is not None:
                return doing
        return "something outside the handlers"
