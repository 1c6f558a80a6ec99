"""Keeps one granted task running: opens it, opens it again after an abort, gives it up."""

from __future__ import annotations

import asyncio
import logging

from samza_py.assignment import PlannedTask
from samza_py.checkpoint import Grant
from samza_py.coordination import Coordinator
from samza_py.errors import FencedError, UnavailableError
from samza_py.message import Partition
from samza_py.runtime.backoff import Backoff, retried
from samza_py.runtime.children import to_its_end
from samza_py.runtime.commit import TaskAbortedError
from samza_py.runtime.services import Services
from samza_py.runtime.statistics import TaskCounters, TaskState, TaskStatistics
from samza_py.runtime.task_instance import TaskInstance

logger = logging.getLogger(__name__)

MOST_ABORTS = 10
#: A task that lived so long and committed is over what it was aborted for before. A commit alone
#: is not enough: on a full disk small ones may still fit between two that do not, for ever.
STEADY_S = 10.0


class Supervisor:
    """One task in this container, over all its instances.

    Args:
        planned: the task.
        grant: the coordinator's word.
        services: of the container.
        coordinator: asked when a write was fenced.
    """

    def __init__(
        self, planned: PlannedTask, grant: Grant, services: Services, coordinator: Coordinator
    ) -> None:
        self.name = planned.name
        self.ended = False
        self.child: asyncio.Task[None] | None = None
        self._planned = planned
        self._grant = grant
        self._services = services
        self._coordinator = coordinator
        self._counters = TaskCounters()
        self._condemned: dict[tuple[Partition, str], Exception] = {}
        self._instance: TaskInstance | None = None
        self._running = False
        self._stopping = False
        self._expiry: asyncio.TimerHandle | None = None

    @property
    def leaving(self) -> bool:
        """Whether it has been told to end."""
        return self._stopping

    @property
    def grant(self) -> Grant:
        """The coordinator's newest word."""
        return self._grant

    def hold(self, grant: Grant) -> None:
        """Take the coordinator's word, new or renewed: without another one it ends in time."""
        self._grant = grant
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self.child is not None and self.child.done():
            return  # there is nothing to drop
        if grant.valid_until is None:
            return
        loop = asyncio.get_running_loop()
        if grant.valid_until <= loop.time():
            self._expired()  # heard too late: not even one step may be made by it
        else:
            self._expiry = loop.call_at(grant.valid_until, self._expired)

    def _expired(self) -> None:
        logger.warning("task %s is dropped: its grant was not renewed in time", self.name)
        self.drop()

    async def run(self) -> None:
        """Run the task until its inputs end, it is stopped, or it is somebody else's.

        Raises:
            SamzaError: it failed for good.
        """
        self.hold(self._grant)
        try:
            await self._run()
        finally:
            if self._expiry is not None:
                self._expiry.cancel()

    async def _run(self) -> None:
        backoff = Backoff(f"task {self.name}", outage=False)
        loop = asyncio.get_running_loop()
        while not self._stopping:
            began = loop.time()
            commits, condemned = self._counters.commits, set(self._condemned)
            try:
                await self._run_once()
            except TaskAbortedError as error:
                steady = self._counters.commits > commits and loop.time() - began > STEADY_S
                if steady or self._condemned.keys() - condemned:
                    backoff.failures = 0  # it has come on since the last time
                away = isinstance(error.__cause__, UnavailableError)
                if backoff.failures >= MOST_ABORTS and not away:
                    raise
                await backoff.wait(error)
            except FencedError as error:
                if not await self._is_ours():
                    logger.warning("task %s is somebody else's now: %s", self.name, error)
                    return
                await backoff.wait(error)
            else:
                if not self._is_outgrown():
                    return

    def _is_outgrown(self) -> bool:
        """Whether the newest instance lacks partitions that the task has by now."""
        return self._instance is not None and self._instance.planned is not self._planned

    async def _is_ours(self) -> bool:
        """Ask the coordinator, until it answers."""
        what = f"asking who owns task {self.name}"
        return await retried(what, lambda: self._coordinator.owns(self.name))

    async def _run_once(self) -> None:
        instance = TaskInstance(
            self._planned, self._grant, self._services, self._counters, self._condemned
        )
        self._instance = instance
        try:
            await instance.open()
            self._running = True
            if self._stopping or self._is_outgrown():
                instance.stop()
            self.ended = await instance.run()
            await instance.release()
        finally:
            self._running = False
            await to_its_end(instance.close())

    def extend(self, planned: PlannedTask) -> None:
        """Partitions have come: commit, and open again with them."""
        self._planned = planned
        self.ended = False
        if self._running and self._instance is not None:
            self._instance.stop()

    def stop(self) -> None:
        """Stop in good order; what is not running yet is just ended."""
        self._stopping = True
        if self._running and self._instance is not None:
            self._instance.stop()
        elif self.child is not None:
            self.child.cancel()

    def cut_short(self) -> None:
        """The stop has taken too long."""
        if self._running and self._instance is not None:
            self._instance.cut_short()
        elif self.child is not None:
            self.child.cancel()

    def drop(self) -> None:
        """End at once and write nothing."""
        self._stopping = True
        if self.child is not None:
            self.child.cancel()

    def statistics(self) -> TaskStatistics:
        """The task now."""
        if self._instance is None:
            return TaskStatistics(self.name, self._counters, (), 0)
        return self._instance.statistics(self._state)

    @property
    def _state(self) -> TaskState:
        if self.ended:
            return "ended"
        if self._stopping:
            return "stopping"
        return "running" if self._running else "starting"

    def doing(self) -> str | None:
        """What a handler of it is working on now, if anything; read from another thread."""
        instance = self._instance if self._running else None
        return None if instance is None else instance.doing_now()
