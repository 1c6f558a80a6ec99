"""A container: opens everything a job needs, runs the tasks granted to it, closes in reverse.

Only the container decides when things end. A soft stop lets running attempts finish, commits,
releases and returns; when that takes too long the running are cut short, what they had finished
is committed, and it raises; ``abort`` ends everything at once and commits nothing.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from samza_py.assignment import PlannedTask, planned_tasks
from samza_py.checkpoint import Grant, Role
from samza_py.coordination import Coordinator, Granted, Lost, Revoked
from samza_py.errors import SamzaError
from samza_py.resolved import ResolvedJob
from samza_py.runtime.backoff import retried
from samza_py.runtime.children import Children
from samza_py.runtime.loop_watch import LoopWatch
from samza_py.runtime.opening import open_anew, opened_services, read_partitions
from samza_py.runtime.services import Services
from samza_py.runtime.statistics import ContainerStatistics, TaskCounters
from samza_py.runtime.supervisor import Supervisor
from samza_py.seam import seam

logger = logging.getLogger(__name__)

ALL_ENDED_LOOK_S = 1.0


class Container:
    """Runs a resolved job in the current event loop. Used once.

    Args:
        resolved: the job and everything merged into it.
    """

    def __init__(self, resolved: ResolvedJob) -> None:
        self._resolved = resolved
        self._supervisors: dict[str, Supervisor] = {}
        #: Of all tasks that have left: with each hand-over some leave, and they may come back.
        self._left = TaskCounters()
        self._planned: dict[str, PlannedTask] = {}
        self._children: Children | None = None
        self._started_at = 0.0
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
        threads = ThreadPoolExecutor(options.max_threads, "samza-py handler")
        async with AsyncExitStack() as stack:
            stack.callback(threads.shutdown, wait=False, cancel_futures=True)
            try:
                services = await opened_services(
                    self._resolved, stack, children, threads, self.request_stop
                )
                coordinator = await self._joined(services, stack)
                seam().reached("start.opened")
                self._started = True
                children.start(self._follow(coordinator, services, children), "coordinator")
                if self._resolved.coordination.several:
                    children.start(self._look_for_the_end(services), "end of all")
                assert self._done is not None
                await children.wait(self._done)
                seam().reached("stop.closing")
            finally:
                # Before what they use is closed, and also where the opening has failed half-way.
                await children.end()
        if self._failure is not None:
            raise self._failure

    async def _joined(self, services: Services, stack: AsyncExitStack) -> Coordinator:
        """Plan the tasks, and open the line to whatever says which of them are ours."""
        services.partitions = await read_partitions(self._resolved, services.admins)
        tasks = planned_tasks(self._resolved.job.tasks, services.partitions)
        self._planned = {task.name: task for task in tasks}
        coordination, job = self._resolved.coordination, self._resolved.job.name
        return await open_anew(
            "the coordinator",
            lambda: coordination.coordinator(job, list(self._planned)),
            stack,
            self._resolved.options.startup_timeout_s,
        )

    # What the coordinator says -------------------------------------------------------------------

    async def _follow(
        self, coordinator: Coordinator, services: Services, children: Children
    ) -> None:
        """Start and stop tasks as the coordinator says."""
        async for event in coordinator.events():
            match event:
                case Granted(grants):
                    for grant in grants:
                        if grant.role is Role.ACTIVE and not self._stop_wanted:
                            self._grant(grant, services, coordinator, children)
                    self._look_whether_done()
                case Revoked(tasks, deadline):
                    for task in tasks:
                        self._revoke(task, deadline, coordinator, children)
                case Lost(tasks):
                    for task in tasks:
                        if task in self._supervisors:
                            self._supervisors[task].drop()

    def _grant(
        self, grant: Grant, services: Services, coordinator: Coordinator, children: Children
    ) -> None:
        """Start a task, or let it run on under a renewed grant."""
        known = self._supervisors.get(grant.task)
        if known is not None and not known.leaving:
            known.hold(grant)
            return
        supervisor = Supervisor(self._planned[grant.task], grant, services, coordinator)
        self._supervisors[grant.task] = supervisor
        before = None if known is None else known.child
        child = children.start(self._supervise(supervisor, before), f"task {grant.task}")
        supervisor.child = child
        # Not a `finally`: a child that is cancelled before its first step never comes to one.
        child.add_done_callback(lambda _: self._has_left(supervisor))

    async def _supervise(self, supervisor: Supervisor, before: asyncio.Task[None] | None) -> None:
        """Run one task; where it fails, the others end in good order before the job does.

        Args:
            supervisor: of the task.
            before: what runs the task still, under a grant that was taken back.
        """
        if before is not None:
            await asyncio.wait((before,))
        try:
            await supervisor.run()
        except SamzaError as error:
            if self._failure is None:
                self._failure = error
            elif error is not self._failure:  # a consumer's failure is that of all its tasks
                logger.error("task %s failed, too: %s", supervisor.name, error)
            self.request_stop()

    def _has_left(self, supervisor: Supervisor) -> None:
        if not supervisor.ended or self._resolved.coordination.several:
            self._left.add(supervisor.statistics().counters)
            if self._supervisors.get(supervisor.name) is supervisor:
                del self._supervisors[supervisor.name]
        self._look_whether_done()

    async def _look_for_the_end(self, services: Services) -> None:
        """With several containers nobody sees all tasks end: ask the checkpoints now and then."""
        while True:
            await asyncio.sleep(ALL_ENDED_LOOK_S)
            if self._supervisors or self._done is None or self._done.done():
                continue
            names = tuple(self._planned)
            what = "looking whether all tasks have ended"
            found = await retried(what, partial(services.store.read, names))
            # What is staged and not known to be finished is somebody's work still.
            over = {
                task
                for task, kept in found.items()
                if kept.control.get("ended") and not any(kept.outputs.values())
            }
            if over.issuperset(names) and not self._supervisors and not self._done.done():
                self._done.set_result(None)

    def _revoke(
        self, task: str, deadline: float, coordinator: Coordinator, children: Children
    ) -> None:
        supervisor = self._supervisors.get(task)
        children.start(self._give_up(task, supervisor, deadline, coordinator), f"revoke {task}")

    async def _give_up(
        self, task: str, supervisor: Supervisor | None, deadline: float, coordinator: Coordinator
    ) -> None:
        """Stop a revoked task in time, or drop it; then tell the coordinator."""
        if supervisor is not None and supervisor.child is not None:
            supervisor.stop()
            left = deadline - asyncio.get_running_loop().time()
            await asyncio.wait((supervisor.child,), timeout=max(0.0, left))
            if not supervisor.child.done():
                supervisor.drop()
                await asyncio.wait((supervisor.child,))

        async def release() -> None:
            # Granted anew in the meantime: it was released, though the answer got lost.
            if self._supervisors.get(task) in (None, supervisor):
                await coordinator.release((task,))

        await retried(f"releasing task {task}", release)

    # Ending --------------------------------------------------------------------------------------

    def request_stop(self) -> None:
        """Stop in good order: the first SIGTERM, a task's wish. ``run`` then returns."""
        if self._stop_wanted:
            return
        self._stop_wanted = True
        if self._done is None:
            return
        for supervisor in list(self._supervisors.values()):
            supervisor.stop()
        loop = asyncio.get_running_loop()
        options = self._resolved.options
        self._hard_stop = loop.call_later(options.shutdown_timeout_s, self._cut_short)
        self._look_whether_done()
        if not self._started and self._main is not None:
            self._main.cancel()  # nothing has started yet, so there is nothing to finish

    def _cut_short(self) -> None:
        logger.warning("the stop takes too long; ending what still runs")
        for supervisor in list(self._supervisors.values()):
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
            running = any(s.child is not None and not s.ended for s in self._supervisors.values())
            if not running:
                self._done.set_result(None)
            return
        if self._resolved.coordination.several:
            return
        if self._planned and all(
            name in self._supervisors and self._supervisors[name].ended for name in self._planned
        ):
            self._done.set_result(None)

    # What people see -----------------------------------------------------------------------------

    def statistics(self) -> ContainerStatistics:
        """The container now; cheap enough to ask a few times a second."""
        tasks = tuple(supervisor.statistics() for supervisor in self._supervisors.values())
        now = asyncio.get_running_loop().time()
        return ContainerStatistics(
            self._resolved.job.name, now - self._started_at, tasks, self._left
        )

    def _doing(self) -> str:
        """Names the task whose handler has the loop; called from the watching thread."""
        for supervisor in list(self._supervisors.values()):
            doing = supervisor.doing()
            if doing is not None:
                return doing
        return "something outside the handlers"
