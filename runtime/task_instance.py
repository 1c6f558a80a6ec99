"""One task under one claim: opened from its checkpoint, run, committed, closed.

An instance is never repaired. After an abort, a fencing or a crash another one is opened from the
checkpoint, so that there is one road back and it is the one the crash campaign drives.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from samza_py.assignment import PlannedTask
from samza_py.checkpoint import Grant
from samza_py.errors import (
    ConnectorError,
    PositionLostError,
    SamzaError,
    StalledError,
    TaskFailedError,
)
from samza_py.message import Outgoing, Partition
from samza_py.runtime.assigning import Assigner
from samza_py.runtime.backoff import retried
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.children import Children
from samza_py.runtime.closing import let_go
from samza_py.runtime.commit import Committer, Participant, TaskAbortedError
from samza_py.runtime.failures import Failures
from samza_py.runtime.making import made_runner
from samza_py.runtime.outputs import refuse_lost_outputs
from samza_py.runtime.overlay import MemoryEngine, Overlay
from samza_py.runtime.participants import (
    Condemned,
    Ending,
    Inputs,
    Stores,
    Timers,
    Work,
    kept_progress,
)
from samza_py.runtime.reading import opened_buffers
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.sending import Sending, SendingOpener, outputs_of
from samza_py.runtime.services import Services
from samza_py.runtime.statistics import TaskCounters, TaskState, TaskStatistics
from samza_py.runtime.task_commits import TaskCommits
from samza_py.runtime.watch import StallWatch
from samza_py.seam import seam
from samza_py.task import StreamTask

logger = logging.getLogger(__name__)


class TaskInstance:
    """A task, from its claim to its last commit.

    Args:
        planned: the task.
        grant: the coordinator's word.
        services: of the container.
        counters: kept over all instances of the task.
        condemned: messages whose rejection inside a transaction was decided before a rollback.
    """

    def __init__(
        self,
        planned: PlannedTask,
        grant: Grant,
        services: Services,
        counters: TaskCounters,
        condemned: dict[tuple[Partition, str], Exception],
    ) -> None:
        self.planned = planned
        self.name = planned.name
        self._grant = grant
        self._services = services
        self._counters = counters
        self._condemned = condemned
        self._children = Children()
        self._sending: Sending | None = None
        self._task: StreamTask[Any, Any, Any] | None = None
        self._buffers: list[PartitionBuffer] = []
        self._stopped = False
        #: Something that was finished is lost unless it is read again: nothing may be committed.
        self._spoilt = False
        self._stalls: StallWatch | None = None
        self._hung = ""
        self._running: asyncio.Task[None] | None = None

    # Opening -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Claim the task and bring everything to what its checkpoint says.

        Raises:
            SamzaError: it cannot start; nothing but the claim has been written.
        """
        services = self._services
        self._claim, newest = await retried(
            f"claiming {self.name}", lambda: services.store.open(self._grant)
        )
        seam().reached("start.claimed")
        # Where the store has set the old one aside there is none anyway.
        checkpoint = None if services.starts_over(self.name) else newest
        if checkpoint is not None:
            refuse_lost_outputs(checkpoint, list(services.resolved.streams))
        opened = await opened_buffers(self.planned, checkpoint, services)
        self._buffers = opened.buffers
        self._sending = await self._open_sending()
        self._make_scope(self._sending)
        made = made_runner(self.scope, self._buffers, self._failures, self._has_room, services)
        self.runner, self._caller, self._task = made.runner, made.caller, made.task
        self._stalls = StallWatch(
            self.scope, self.runner.watched, services.resolved.options.stall_after_s
        )
        stores = Stores(self.scope.overlays, services.store)
        participants: list[Participant] = [
            Work(self.runner),
            Inputs(opened, services.intakes, kept_progress(self.planned, checkpoint)),
            Timers(self.scope),
            Ending(self.scope, self._buffers),
            Condemned(self._condemned, services.admins),
            stores,
            *self._sending.participants,
        ]
        for participant in participants:
            await participant.recover(self._claim, checkpoint)
        if newest is not None and checkpoint is None:
            await stores.forget(self._claim, newest)
        seam().reached("start.recovered")
        committer = Committer(
            self._claim, services.store, participants, self._sending.transaction, newest
        )
        self._commits = TaskCommits(self.scope, committer, services)
        if opened.starts_new:
            await self._commits.commit(force=True)

    async def _open_sending(self) -> Sending:
        opener = SendingOpener(
            self._services,
            self._claim,
            outputs_of(self.planned.spec, self._services.resolved),
            self._children,
            self._on_room,
            self._on_rejection,
            self._spoil,
        )
        return await opener.open()

    def _make_scope(self, sending: Sending) -> None:
        services, spec = self._services, self.planned.spec
        options = services.resolved.options
        self.scope = TaskScope(
            self.name,
            spec,
            services.resources,
            sending.senders,
            {store.name: Overlay(store, MemoryEngine()) for store in spec.stores},
            self._counters,
            max_attempt_bytes=options.max_attempt_bytes,
            max_uncommitted_bytes=options.max_uncommitted_bytes,
            on_stop=services.on_stop,
        )
        self.scope.condemned = self._condemned
        policies = {str(i): spec.policy(i, services.resolved.job.on_error) for i in spec.inputs}
        self._failures = Failures(
            self.scope, policies, self._spoil, sending.max_bytes, services.place_of
        )

    # Running -----------------------------------------------------------------------------------

    async def run(self) -> bool:
        """Run until the inputs end or the task is stopped, and commit a last time.

        Returns:
            Whether every input was read to its end.

        Raises:
            TaskFailedError: a message failed for good. What was finished before is committed.
            PositionLostError, ConnectorError: nothing more can be read, or an output is broken
                for good. What was finished is committed where that is possible.
            StalledError: a stop took too long; what was finished is committed where possible.
            FencedError, TaskAbortedError, CheckpointError: nothing more was committed.
        """
        self._running = self._children.start(self._work(), f"runner {self.name}")
        commits = self._children.start(self._commits.run(), f"commit {self.name}")
        if self._stalls is not None:
            self._children.start(self._stalls.run(), f"watch {self.name}")
        try:
            await self._children.wait(self._running)
        except (TaskFailedError, PositionLostError, ConnectorError, StalledError) as error:
            await self._rescue(error)
            raise
        if self._running.cancelled():
            stalled = StalledError(f"task {self.name} did not stop in time: {self._hung}")
            await self._rescue(stalled)
            raise stalled
        self._commits.end()
        await self._children.wait(commits)
        last = self._children.start(self._commits.commit_last(), f"last commit {self.name}")
        await self._children.wait(last)
        seam().reached("stop.committed")
        return not self._stopped and self.scope.ended

    async def _rescue(self, error: SamzaError) -> None:
        if not self._spoilt:
            await self._commits.commit_finished(error)

    async def _work(self) -> None:
        """Everything between the opening and the last commit."""
        hooks = self.runner.hooks
        if self._task is not None:
            await self._caller.hook("its start", self._task.start, watched=hooks)
        assigner = Assigner(
            self.planned, self._claim, self._buffers, self.scope, self._services, self._children
        )
        assigning = self._children.start(assigner.assign(), f"assigning {self.name}")
        await asyncio.wait((assigning, self.scope.stopped()), return_when=asyncio.FIRST_COMPLETED)
        if not assigning.done():
            assigning.cancel()  # its system is away, and nothing has been read
            return
        assigning.result()
        await self.runner.run()
        if self._stopped or self.scope.ended or not self.runner.exhausted:
            return
        if not await self._is_the_end():
            return
        if self._task is not None:
            await self._caller.hook("the end of its inputs", self._task.on_end, watched=hooks)
        self.scope.ended = True
        self.scope.dirty = True

    async def _is_the_end(self) -> bool:
        """Whether nothing more has come for this task; else it is being stopped for it."""
        plan = self._services.plan
        plan.at_end()
        if self.planned.may_get_more:
            look = plan.look()
            await asyncio.wait((look, self.scope.stopped()), return_when=asyncio.FIRST_COMPLETED)
        return not self._stopped

    # Stopping ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Take nothing more, let running attempts end; ``run`` then commits and returns."""
        self._stopped = True
        for intake in self._services.intakes.values():
            intake.stop([buffer.key for buffer in self._buffers])
        self.scope.stop()

    def cut_short(self) -> None:
        """The stop has taken too long: end what is running; ``run`` commits and raises.

        Called again where that has not helped: a handler that swallows its cancellation is then
        not waited for any longer.
        """
        if self._running is None or self._running.done():
            stalled = f"task {self.name} could not make its last commit in time: {self._doing()}"
            self._children.fail(StalledError(stalled))
        elif not self._hung:
            self._hung = self._doing()  # nobody can tell once it is cancelled
            self._running.cancel()
        else:
            stalled = f"task {self.name} did not end when it was cancelled: {self._hung}"
            logger.error("%s; it is left behind", stalled, extra={"task": self.name})
            self._children.leave(self._running, StalledError(stalled))

    async def close(self) -> None:
        """Let go of everything, within about ``close_timeout_s``. Writes nothing."""
        self._close_ports()
        close_s = self._services.resolved.options.close_timeout_s
        left = await self._children.end(close_s)
        if left:
            names = ", ".join(left)
            logger.error("task %s leaves behind what did not end: %s", self.name, names)
        keys = [buffer.key for buffer in self._buffers]
        for system, intake in self._services.intakes.items():
            what = f"revoking the partitions of task {self.name} at {system}"
            await let_go(what, intake.revoke(keys), close_s)
        if self._stalls is not None:
            self.scope.stop()  # what is left behind must take nothing more, once it comes to an end
            self.runner.close()
        if self._task is not None:
            await let_go(f"close() of task {self.name}", self._task.close(), close_s)
        if self._sending is not None:
            await self._sending.close(close_s)

    async def release(self) -> None:
        """Let a successor start at once; where that fails it only has to wait a little."""
        try:
            await self._services.store.release(self._claim)
        except SamzaError as error:
            logger.warning("task %s could not be released: %s", self.name, error)

    # What others tell it -----------------------------------------------------------------------

    def _on_room(self) -> None:
        self.scope.wakeup.wake()

    def _has_room(self, buffer: PartitionBuffer) -> None:
        self._services.intakes[buffer.key.partition.system].has_room(buffer)

    def _on_rejection(self, message: Outgoing, error: ConnectorError, generation: int) -> None:
        transaction = None if self._sending is None else self._sending.transaction
        if transaction is None or message.source is None or message.dead:
            self._failures.rejected(message, error, generation)
            return
        # What stands in a transaction cannot be taken out of it: all of it is done again, and
        # this message goes straight to its last resort.
        self._condemned[(message.source.partition, message.source.offset)] = error
        self._spoil(TaskAbortedError(f"an output rejected {message.source.where}: {error}"))

    def _spoil(self, error: BaseException) -> None:
        """Something that counts as finished is lost, unless the next start reads it again."""
        self._spoilt = True
        self._close_ports()
        self._children.fail(error)

    def _close_ports(self) -> None:
        for port in () if self._sending is None else self._sending.ports:
            port.close()

    # What people see ---------------------------------------------------------------------------

    def _doing(self) -> str:
        doing = None if self._stalls is None else self._stalls.doing()
        if doing is not None:
            return doing
        ports = () if self._sending is None else self._sending.ports
        waits = any(port.unsettled_messages for port in ports)
        what = "it waits for its outputs" if waits else "its last commit is not done"
        away = sorted(map(str, self._services.outages))
        return f"{what}; {'; '.join(away)}" if away else what

    def doing_now(self) -> str | None:
        """The message whose handler is running, if one is; read from the watching thread."""
        for watched in self.runner.watched:
            calling = watched.calling
            if calling is not None:
                where = calling if isinstance(calling, str) else calling.where
                return f"task {self.name} at {where}"
        return None

    def statistics(self, state: TaskState) -> TaskStatistics:
        """The task now; its state is known to whoever runs it."""
        partitions = tuple(buffer.statistics() for buffer in self._buffers)
        ports = [] if self._sending is None else self._sending.ports
        unsettled = sum(port.unsettled_messages for port in ports)
        cause = None if self._stalls is None else self._stalls.cause
        return TaskStatistics(self.name, self._counters, partitions, unsettled, state, cause)
