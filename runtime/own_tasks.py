"""The tasks of one container: begun and given up as its coordinator says, extended as they grow."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from samza_py.assignment import PlannedTask
from samza_py.checkpoint import Grant, Role
from samza_py.coordination import Coordinator, Granted, Lost, Revoked
from samza_py.errors import SamzaError
from samza_py.runtime.backoff import retried
from samza_py.runtime.children import Children
from samza_py.runtime.services import Services
from samza_py.runtime.statistics import TaskCounters
from samza_py.runtime.supervisor import Supervisor

logger = logging.getLogger(__name__)


class OwnTasks:
    """What this container owns, task by task.

    Args:
        services: of the container.
        coordinator: opened.
        children: of the container.
        on_failure: called with what failed for good, and its error.
        on_change: called when a task was granted or has left.

    Attributes:
        supervisors: by task; of what runs, and of what has ended while it was ours.
        left: what the tasks that have left did, all in one: with each hand-over some leave, and
            they may come back.
        plan: all tasks of the job.
        stopping: nothing is started any more.
    """

    def __init__(
        self,
        services: Services,
        coordinator: Coordinator,
        children: Children,
        on_failure: Callable[[str, SamzaError], None],
        on_change: Callable[[], None],
    ) -> None:
        self.supervisors: dict[str, Supervisor] = {}
        self.left = TaskCounters()
        self.stopping = False
        self._services = services
        self.plan = services.plan
        self._coordinator = coordinator
        self._children = children
        self._on_failure = on_failure
        self._on_change = on_change
        #: Granted before this container has seen their partitions.
        self._early: dict[str, Grant] = {}

    async def follow(self) -> None:
        """Start and stop tasks as the coordinator says, until it is closed."""
        async for event in self._coordinator.events():
            match event:
                case Granted(grants):
                    for grant in grants:
                        if grant.role is Role.ACTIVE and not self.stopping:
                            self._take(grant)
                    self._on_change()
                case Revoked(tasks, deadline):
                    for task in tasks:
                        self._early.pop(task, None)
                        self._revoke(task, deadline)
                case Lost(tasks):
                    for task in tasks:
                        self._early.pop(task, None)
                        if task in self.supervisors:
                            self.supervisors[task].drop()

    async def watch(self) -> None:
        """See partitions come, and have them read, until cancelled."""
        try:
            await self.plan.watch(self._on_growth)
        except SamzaError as error:
            self._on_failure("looking for new partitions", error)

    @property
    def idle(self) -> bool:
        """Whether nothing runs here."""
        return all(s.child is None or s.child.done() for s in self.supervisors.values())

    @property
    def all_ended(self) -> bool:
        """Whether every task of the job is ours and has read its inputs to their end."""
        ended = {name for name, supervisor in self.supervisors.items() if supervisor.ended}
        return bool(self.plan.tasks) and ended.issuperset(self.plan.tasks)

    # Starting ------------------------------------------------------------------------------------

    def _take(self, grant: Grant) -> None:
        """Start a task, or let it run on under a renewed grant."""
        known = self.supervisors.get(grant.task)
        if known is not None and not known.leaving:
            known.hold(grant)
        elif grant.task in self.plan.tasks:
            self._start(grant)
        else:
            logger.info("task %s starts when its partitions are seen here, too", grant.task)
            self._early[grant.task] = grant
            self.plan.look_soon()

    def _start(self, grant: Grant) -> None:
        planned = self.plan.tasks[grant.task]
        supervisor = Supervisor(planned, grant, self._services, self._coordinator)
        known = self.supervisors.get(grant.task)
        if known is not None and known.child is not None and known.child.done():
            self.left.add(known.statistics().counters)
        self.supervisors[grant.task] = supervisor
        self._services.rooms.among(len(self.supervisors))
        before = None if known is None else known.child
        child = self._children.start(self._supervise(supervisor, before), f"task {grant.task}")
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
            self._on_failure(f"task {supervisor.name}", error)

    def _has_left(self, supervisor: Supervisor) -> None:
        replaced = self.supervisors.get(supervisor.name) is not supervisor
        if replaced or not supervisor.ended:
            self.left.add(supervisor.statistics().counters)
        if not replaced and not supervisor.ended:
            del self.supervisors[supervisor.name]
            self._services.rooms.among(len(self.supervisors))
        self._on_change()

    # Growing -------------------------------------------------------------------------------------

    async def _on_growth(self, changed: Sequence[PlannedTask]) -> None:
        for task in changed:
            early = self._early.pop(task.name, None)
            if not self.stopping:
                if early is not None:
                    self._take(early)
                elif task.name in self.supervisors:
                    self._extend(task, self.supervisors[task.name])
        tasks = list(self.plan.tasks)
        what = "telling the coordinator of new tasks"
        await retried(what, lambda: self._coordinator.name_tasks(tasks))

    def _extend(self, task: PlannedTask, supervisor: Supervisor) -> None:
        """Partitions have come for a task that is here: go on with them, unless it is to leave."""
        if supervisor.leaving:
            return
        if supervisor.child is not None and supervisor.child.done():
            self._start(supervisor.grant)
        else:
            supervisor.extend(task)

    # Giving up -----------------------------------------------------------------------------------

    def _revoke(self, task: str, deadline: float) -> None:
        supervisor = self.supervisors.get(task)
        self._children.start(self._give_up(task, supervisor, deadline), f"revoke {task}")

    async def _give_up(self, task: str, supervisor: Supervisor | None, deadline: float) -> None:
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
            if self.supervisors.get(task) in (None, supervisor):
                await self._coordinator.release((task,))

        await retried(f"releasing task {task}", release)
