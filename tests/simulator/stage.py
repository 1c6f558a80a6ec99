"""The stage of a play: the broker, the job, and containers that come up, end, and are judged."""

from __future__ import annotations

import asyncio
import io

from samza_py.connectors.memory import Memory, Script
from samza_py.errors import StalledError, TaskFailedError
from samza_py.message import Outgoing
from samza_py.resolved import ResolvedJob
from samza_py.runtime.container import Container
from samza_py.runtime.coordinators import Embedded
from samza_py.seam import use_seam
from tests.simulator.calls import Calls
from tests.simulator.handling import HandlerFailure, Source
from tests.simulator.interruptions import Interruptions
from tests.simulator.job import Streams
from tests.simulator.ledger import Ledger
from tests.simulator.scenario import Given
from tests.simulator.trouble import SeededFaults
from tests.simulator.watching import WatchedBroker, WatchedCoordination
from tests.simulator.world import Incarnation, VirtualSeam, World

DAMAGE = b"\xff damaged"


class Stage:
    """Everything that a scenario needs to be played.

    Args:
        world: the simulation.
    """

    def __init__(self, world: World) -> None:
        scenario = world.scenario
        self.world = world
        self.given: dict[Source, Given] = {}
        self.calls = Calls(world, self.given)
        self.broker = WatchedBroker(world, self.calls)
        self.script = Script()
        self._main = Memory(
            "main",
            promise=scenario.main,
            requests=scenario.requests,
            limits=scenario.limits,
            broker=self.broker,
        )
        self._side: Memory | None = None
        if scenario.side is not None:
            self._side = Memory(
                "side",
                promise=scenario.side,
                requests=scenario.side_requests,
                limits=scenario.limits,
                broker=self.broker,
            )
        self.streams = Streams(world, self.calls, self._main, self._side)
        self.ledger = Ledger(world, self.broker, self.given, self.calls)
        self.broker.kept.told = self.ledger.checkpointed
        self._interruptions = Interruptions(world)
        self.broker.faults = SeededFaults(world, self.given, self._interruptions)

    # Input -----------------------------------------------------------------------------------

    def put(self, one: Given) -> None:
        """Write one message into the input."""
        stream, log = self.streams.input, self.broker.topic("in").log(one.partition)
        for _ in range(one.gap):
            aborted = log.extend((Outgoing("in", None, b"aborted"),))
            log.hide(aborted, aborted)
        source = one.partition, log.end
        self.given[source] = one
        if one.fate.kind == "damaged":
            self._main.put_undecodable(stream, DAMAGE, partition=one.partition)
            return
        key = None if one.key is None else one.key.encode()
        text = DAMAGE if one.fate.kind == "undecodable" else f"{source[1]}:{one.fate.kind}".encode()
        self._main.put_raw(stream, key, text, partition=one.partition)

    def split(self) -> None:
        """Close partition 0 and continue it in two others."""
        self._main.split(self.streams.input, "0", "0a", "0b")

    def close(self) -> None:
        """Say that there will be no more input."""
        self._main.close(self.streams.input)

    # Containers ------------------------------------------------------------------------------

    def start(self, name: str) -> Incarnation:
        """Bring a container up."""
        world = self.world
        incarnation = Incarnation(name, len(world.incarnations))
        world.incarnations.append(incarnation)
        main = self._main.connect(name)
        incarnation.links.append(main)
        systems = {"main": main}
        if self._side is not None:
            systems["side"] = self._side.connect(name)
            incarnation.links.append(systems["side"])
        several = world.scenario.containers > 1
        coordination = WatchedCoordination(self.script, main, incarnation, world)
        job = self.streams.job
        used = set(job.systems) | {"main"}
        resolved = ResolvedJob(
            job,
            options=job.options,
            systems={name: systems[name] for name in systems if name in used},
            streams=job.streams,
            checkpoints=main.checkpoints(),
            coordination=coordination if several else Embedded(),
        )
        world.note(incarnation, "START")
        incarnation.main = asyncio.get_running_loop().create_task(self._life(incarnation, resolved))
        incarnation.children.append(incarnation.main)
        return incarnation

    async def _life(self, incarnation: Incarnation, resolved: ResolvedJob) -> None:
        with use_seam(VirtualSeam(self.world, incarnation, self._interruptions.near)):
            incarnation.container = Container(resolved)
            async with incarnation.timeout:
                await incarnation.container.run()

    async def end_of(self, incarnation: Incarnation) -> None:
        """Wait until a container is no more, and judge how it ended."""
        assert incarnation.main is not None
        await asyncio.wait((incarnation.main,))
        if incarnation.dead:
            return
        cancelled = incarnation.main.cancelled()
        error = asyncio.CancelledError() if cancelled else incarnation.main.exception()
        self.world.note(incarnation, f"END {error!r}")
        if not self._may_end(incarnation, error):
            what = error if error is not None else "nothing wrong"
            self.world.violated(f"{incarnation} ended by {what!r}")
        left = [child for child in incarnation.children if not child.done()]
        if left:
            self.world.violated(f"{incarnation} has left a child running: {left[0]}")

    def _may_end(self, incarnation: Incarnation, error: BaseException | None) -> bool:
        """Whether a container has a reason to end as it did."""
        cancelled = isinstance(error, asyncio.CancelledError | TimeoutError)
        aborted = incarnation.aborted_s is not None and not incarnation.over_before_its_timeout
        if cancelled or aborted:
            # What was cancelled must not look as if it had ended by itself.
            return cancelled and incarnation.aborted_s is not None
        if incarnation.cut_off:
            return True
        if error is None:
            return incarnation.stopped or self.ledger.complete
        if isinstance(error, StalledError):
            return incarnation.stopped
        if isinstance(error, TaskFailedError):
            return isinstance(error.__cause__, HandlerFailure)
        return False

    def stuck(self) -> str:
        """Where every child of the running containers waits."""
        out = io.StringIO()
        for incarnation in self.world.incarnations:
            if incarnation.running:
                for child in incarnation.children:
                    if not child.done():
                        child.print_stack(limit=4, file=out)
        return out.getvalue()
