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
from samza_py.runtime.backoff import retried
from samza_py.runtime.batch_runner import BatchCaller, BatchRunner
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.calling import Caller
from samza_py.runtime.children import Children
from samza_py.runtime.commit import Committer, Participant, TaskAbortedError
from samza_py.runtime.concurrent_runner import ConcurrentRunner
from samza_py.runtime.failures import Failures
from samza_py.runtime.overlay import MemoryEngine, Overlay
from samza_py.runtime.participants import (
    Condemned,
    Ending,
    Inputs,
    Stores,
    Timers,
    Work,
    refuse_lost_outputs,
)
from samza_py.runtime.processing import Processor
from samza_py.runtime.reading import Parents, opened_buffers
from samza_py.runtime.runner import Runner
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.sending import Sending, SendingOpener
from samza_py.runtime.serial_runner import SerialRunner
from samza_py.runtime.services import Services
from samza_py.runtime.statistics import TaskCounters, TaskStatistics
from samza_py.runtime.wakeup import Wakeup
from samza_py.runtime.watch import StallWatch, look_every_s
from samza_py.seam import seam
from samza_py.system import Output
from samza_py.task import StreamTask

logger = logging.getLogger(__name__)

PARENTS_LOOK_S = 1.0


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
        self._ending = False
        self._stopped = False
        #: Something that was finished is lost unless it is read again: nothing may be committed.
        self._spoilt = False
        self._stalled: str | None = None
        self._hung = ""
        self._commit_lock = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None

    # Opening -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Claim the task and bring everything to what its checkpoint says.

        Raises:
            SamzaError: it cannot start; nothing but the claim has been written.
        """
        services, spec = self._services, self.planned.spec
        self._claim, checkpoint = await retried(
            f"claiming {self.name}", lambda: services.store.open(self._grant)
        )
        seam().reached("start.claimed")
        newest = checkpoint
        if services.starts_over(self.name):
            checkpoint = None  # where the store has set it aside there is none anyway
        if checkpoint is not None:
            refuse_lost_outputs(checkpoint, list(services.resolved.streams))
        opened = await opened_buffers(self.planned, checkpoint, services)
        self._buffers = opened.buffers
        opener = SendingOpener(
            services,
            self._claim,
            self._outputs(),
            self._children,
            self._on_room,
            self._on_rejection,
            self._spoil,
        )
        self._sending = await opener.open()
        overlays = {s.name: Overlay(s, MemoryEngine()) for s in spec.stores}
        options = services.resolved.options
        self.scope = TaskScope(
            self.name,
            spec,
            services.resources,
            self._sending.senders,
            overlays,
            self._counters,
            max_attempt_bytes=options.max_attempt_bytes,
            max_uncommitted_bytes=options.max_uncommitted_bytes,
            on_stop=services.on_stop,
        )
        self.scope.condemned = self._condemned
        self._stalls = StallWatch(self.scope, options.stall_after_s)
        policies = {str(i): spec.policy(i, services.resolved.job.on_error) for i in spec.inputs}
        self._failures = Failures(
            self.scope, policies, self._spoil, self._sending.max_bytes, services.place_of
        )
        self._make_runner()
        kept = {} if checkpoint is None else self._kept(checkpoint.inputs)
        stores = Stores(overlays, services.store)
        participants: list[Participant] = [
            Work(self.runner),
            Inputs(opened, services.intakes, kept),
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
        self._committer = Committer(
            self._claim, services.store, participants, self._sending.transaction, newest
        )
        if opened.starts_new:
            await self.commit(force=True)

    def _kept(self, inputs: Any) -> dict[Partition, Any]:
        """Progress of partitions that are gone from streams which are still read."""
        streams = {(i.system.name, i.name) for i in self.planned.spec.inputs}
        return {
            partition: progress
            for partition, progress in inputs.items()
            if partition not in self.planned.inputs
            and (partition.system, partition.stream) in streams
        }

    def _outputs(self) -> dict[str, Output[Any, Any]]:
        streams = self._services.resolved.streams
        spec = self.planned.spec
        wanted = (*spec.outputs, *spec.dead_letters(self._services.resolved.job.on_error))
        found = {str(output): streams[str(output)] for output in wanted}
        return {name: stream for name, stream in found.items() if isinstance(stream, Output)}

    def _make_runner(self) -> None:
        spec, scope = self.planned.spec, self.scope
        handler = spec.handler
        if spec.kind == "object":
            self._task = self._made(handler)
            handler = self._task.process
        kind = BatchCaller if spec.kind == "batch" else Caller
        caller = kind(scope, handler, self._services.threads, self._services.limit(spec.limit))
        processor = Processor(scope, caller, self._failures)
        runner: type[Runner] = SerialRunner
        if spec.kind == "batch":
            runner = BatchRunner
        elif spec.max_concurrency > 1:
            runner = ConcurrentRunner
        self._caller = caller
        runs = self._services.resolved.options.max_done_runs
        self.runner = runner(
            scope, processor, caller, self._buffers, self._has_room, self._task, runs
        )

    def _made(self, make: Any) -> Any:
        """The task's object; what its class raises is the user's own."""
        try:
            return make()
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise TaskFailedError(self.name, "the making of its object", 1, cause) from error

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
        commits = self._children.start(self._commit_now_and_then(), f"commit {self.name}")
        self._children.start(self._look_now_and_then(), f"watch {self.name}")
        try:
            await self._children.wait(self._running)
        except (TaskFailedError, PositionLostError, ConnectorError, StalledError) as error:
            await self._commit_finished(error)
            raise
        if self._running.cancelled():
            stalled = StalledError(f"task {self.name} did not stop in time: {self._hung}")
            await self._commit_finished(stalled)
            raise stalled
        self._ending = True
        self.scope.commit_wanted.wake()
        await self._children.wait(commits)
        last = self._children.start(self._commit_last(), f"last commit {self.name}")
        await self._children.wait(last)
        seam().reached("stop.committed")
        return not self._stopped and self.scope.ended

    async def _work(self) -> None:
        """Everything between the opening and the last commit."""
        if self._task is not None:
            await self._caller.hook("its start", self._task.start)
        assigning = self._children.start(self._assign(), f"assigning {self.name}")
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
            await self._caller.hook("the end of its inputs", self._task.on_end)
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

    async def _assign(self) -> None:
        """Start reading; what has parents that are not passed yet waits for them in a child."""
        waiting = {b.key.partition: b for b in self._buffers if not b.finished}
        parents = Parents(self.planned, self._services)
        ready = await parents.ready(waiting)
        await self._read(list(ready.values()))
        for partition in ready:
            del waiting[partition]
        if waiting:
            self._children.start(self._wait_for_parents(parents, waiting), f"parents {self.name}")
        seam().reached("start.assigned")

    async def _wait_for_parents(
        self, parents: Parents, waiting: dict[Partition, PartitionBuffer]
    ) -> None:
        wakeup = Wakeup()
        self._services.waiting.add(wakeup)
        loop = asyncio.get_running_loop()
        try:
            while waiting:
                timer = loop.call_later(PARENTS_LOOK_S, wakeup.wake)
                await wakeup.wait()
                timer.cancel()
                ready = await parents.ready(waiting)
                await self._read(list(ready.values()))
                for partition in ready:
                    del waiting[partition]
        finally:
            self._services.waiting.discard(wakeup)

    async def _read(self, buffers: list[PartitionBuffer]) -> None:
        for system in sorted({buffer.key.partition.system for buffer in buffers}):
            some = [buffer for buffer in buffers if buffer.key.partition.system == system]
            intake = self._services.intakes[system]
            await intake.assign(self._claim, some, self.scope.wakeup.wake, self._children.fail)

    async def _look_now_and_then(self) -> None:
        """The one timer of the task: call timeouts, and the stated cause of a stall."""
        spec, options = self.planned.spec, self._services.resolved.options
        every = look_every_s(spec.timeout_s, options.stall_after_s)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(every)
            now = loop.time()
            for watched in self.runner.watched:
                watched.look(now, spec.timeout_s)
                if watched.timed_out is not None:
                    self.scope.attention = True  # should the call succeed all the same
            stalled = self._stalls.cause(self.runner.watched, now)
            if stalled is not None and self._stalled is None:
                logger.warning("task %s: %s", self.name, stalled, extra={"task": self.name})
            self._stalled = stalled

    # Committing --------------------------------------------------------------------------------

    async def _commit_now_and_then(self) -> None:
        interval = self._services.resolved.options.commit_interval_s
        loop = asyncio.get_running_loop()
        while not self._ending:
            timer = loop.call_later(interval, self.scope.commit_wanted.wake)
            try:
                await self.scope.commit_wanted.wait()
            finally:
                timer.cancel()
            if not self._ending:
                await self.commit()

    async def commit(self, *, force: bool = False, final: bool = False) -> None:
        """Commit what is finished; nothing happens when nothing is, unless forced.

        Raises:
            TaskAbortedError: a system did not take its part; the task goes back.
            FencedError, CheckpointError: as ``Committer.commit``.
        """
        async with self._commit_lock:
            if not (self.scope.dirty or force):
                return
            try:
                await self._committer.commit(final=final)
            except ConnectorError as error:
                raise TaskAbortedError(
                    f"task {self.name} goes back to its checkpoint: {error}"
                ) from error
            self._counters.commits += 1
            self._services.committed()

    async def _commit_last(self) -> None:
        # Also where nothing is new: what an earlier commit could not finish must not stay behind.
        await self.commit(final=True, force=self._committer.names_staged)
        if self.scope.ended and self._committer.names_staged:
            # All of it is finished by now. A checkpoint that still names it would look, to other
            # containers, as if somebody had to come back for it.
            await self.commit(force=True, final=True)

    async def _commit_finished(self, error: SamzaError) -> None:
        """The task ends badly: commit what was finished, so that a restart repeats little of it.

        A failure here is said and dropped: the error that brought us here is the one to raise.
        """
        self._ending = True
        if self._spoilt:
            return
        close_s = self._services.resolved.options.close_timeout_s
        try:
            async with asyncio.timeout(close_s):
                await self.commit()
        except (SamzaError, TimeoutError) as failed:
            logger.warning(
                "task %s could not commit what it had finished (%r) after: %s",
                self.name,
                failed,
                error,
            )

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
        for system, intake in self._services.intakes.items():
            try:
                await intake.revoke([buffer.key for buffer in self._buffers])
            except SamzaError as error:
                logger.warning("task %s could not be revoked at %s: %s", self.name, system, error)
        if hasattr(self, "runner"):
            self.scope.stop()  # what is left behind must take nothing more, once it comes to an end
            self.runner.close()
        if self._task is not None:
            try:
                async with asyncio.timeout(close_s):
                    await self._task.close()
            except Exception:
                logger.exception("close() of task %s failed", self.name)
        if self._sending is not None:
            await self._sending.close()

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
        now = asyncio.get_running_loop().time()
        return self._stalls.doing(self.runner.watched, now) or "it waits for its outputs"

    def doing_now(self) -> str | None:
        """The message whose handler is running, if one is; read from the watching thread."""
        for watched in self.runner.watched:
            message = watched.calling
            if message is not None:
                return f"task {self.name} at {message.where}"
        return None

    def statistics(self) -> TaskStatistics:
        """The task now."""
        partitions = tuple(buffer.statistics() for buffer in self._buffers)
        ports = [] if self._sending is None else self._sending.ports
        unsettled = sum(port.unsettled_messages for port in ports)
        return TaskStatistics(self.name, self._counters, partitions, unsettled, self._stalled)
