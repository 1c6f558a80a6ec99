"""What a simulation has besides the runtime: time, trace, containers, and what went wrong."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Final, ParamSpec, TypeVar

from samza_py.connectors.memory import Memory
from samza_py.runtime.container import Container
from samza_py.seam import Seam, seam
from tests.simulator.scenario import Scenario, chance

P = ParamSpec("P")
T = TypeVar("T")

JOB: Final = "job"
TAIL: Final = 60
#: The wall clock does not start at 0, as it never does.
EPOCH_MS: Final = 1_700_000_000_000


class Incarnation:
    """One life of a container: from its start to its end or its crash.

    Attributes:
        name: of the container; the same in all its lives.
        links: its connections, cut by a crash.
        dead: it has crashed; nothing of it has an effect any more.
        cut_off: its network is gone for ever, though it still runs.
        forgotten: the coordinator has given its tasks to others and does not say so.
        stopped: somebody asked it to end, softly or not.
        aborted_s: when somebody aborted or cancelled it for the first time: nothing it does may
            begin or be committed later. None where nobody has.
        timeout: of the user's own around its run.
        aborts: by what it was aborted, each time.
        claims: the epoch under which it has each task.
        valid_until: how long the grant of each task holds, where it has an end.
        told_lost: when it had heard that it lost a task, by task and epoch.
        children: everything that it has started on the loop.
    """

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.links: list[Memory] = []
        self.container: Container | None = None
        self.main: asyncio.Task[None] | None = None
        self.dead = False
        self.cut_off = False
        self.forgotten = False
        self.stopped = False
        self.aborted_s: float | None = None
        self.timeout = asyncio.timeout(None)
        self.aborts: list[str] = []
        self.claims: dict[str, int] = {}
        self.valid_until: dict[str, float | None] = {}
        self.told_lost: dict[tuple[str, int], float] = {}
        self.children: list[asyncio.Task[Any]] = []

    @property
    def over_before_its_timeout(self) -> bool:
        """Whether it had ended in the one turn that a user's timeout takes to strike."""
        return set(self.aborts) == {"expire"} and not self.timeout.expired()

    @property
    def running(self) -> bool:
        """Whether it has neither crashed nor ended."""
        return not self.dead and self.main is not None and not self.main.done()

    def cancel(self) -> None:
        """What a user does who holds the child that runs it."""
        assert self.main is not None
        self.main.cancel()

    def expire(self) -> None:
        """What the user's timeout does when its time is over."""
        if self.timeout.expired() or not self.running:
            return
        self.timeout.reschedule(0.0)

    def __str__(self) -> str:
        return f"{self.name}.{self.number}"


class World:
    """One simulation, as its parts know it.

    Args:
        scenario: what is played.
        keep: how many of the last lines of the trace to keep; all of it goes into its hash.
    """

    def __init__(self, scenario: Scenario, keep: int = TAIL) -> None:
        self.scenario = scenario
        self.loop: asyncio.AbstractEventLoop | None = None
        #: Decides what strikes, while it runs.
        self.chance = chance(scenario.seed, "trouble")
        #: Decides how long handlers take.
        self.pace = chance(scenario.seed, "pace")
        self.trace: deque[tuple[float, str, str]] = deque(maxlen=keep)
        self.violations: list[str] = []
        self.incarnations: list[Incarnation] = []
        self.crashes = 0
        self.lines = 0
        self._hash = hashlib.blake2b(digest_size=8)
        self._failed: asyncio.Future[None] | None = None

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return 0.0 if self.loop is None else self.loop.time()

    @property
    def troubled(self) -> bool:
        """Whether things may still go wrong on purpose."""
        return self.now < self.scenario.trouble.until_s

    # The trace -------------------------------------------------------------------------------

    def note(self, who: object, what: str) -> None:
        """Add a line to the trace."""
        line = (self.now, str(who), what)
        self.trace.append(line)
        self.lines += 1
        self._hash.update(repr(line).encode())

    @property
    def fingerprint(self) -> str:
        """The same for two runs that did the same at the same times."""
        return self._hash.hexdigest()

    # What went wrong -------------------------------------------------------------------------

    def violated(self, what: str) -> None:
        """An invariant does not hold: the simulation ends."""
        self.note("INVARIANT", what.partition("\n")[0])
        self.violations.append(what)
        if self._failed is not None and not self._failed.done():
            self._failed.set_result(None)

    def failed(self) -> asyncio.Future[None]:
        """Done at the first violation."""
        if self._failed is None:
            self._failed = asyncio.get_running_loop().create_future()
            if self.violations:
                self._failed.set_result(None)
        return self._failed

    # Containers' lives -----------------------------------------------------------------------

    def born(self, child: asyncio.Task[Any]) -> None:
        """A child was started: by whom is told by the seam in force."""
        here = self.here()
        if here is not None:
            here.children.append(child)

    def here(self) -> Incarnation | None:
        """The container whose code is running; None for the simulation's own."""
        found = seam()
        return found.incarnation if isinstance(found, VirtualSeam) else None

    def crash(self, incarnation: Incarnation, why: str) -> None:
        """End a container between two of its steps. What it does from now on has no effect."""
        if incarnation.dead or not incarnation.running:
            return
        self.note(incarnation, f"CRASH {why}")
        self.crashes += 1
        incarnation.dead = True
        for link in incarnation.links:
            link.sever(silent=True)
        assert self.loop is not None
        self.loop.call_soon(self._kill, incarnation, 0)

    def abort(self, incarnation: Incarnation, by: Callable[[], None]) -> None:
        """Have a container end at once; it has its own way out, on which it commits nothing."""
        self.note(incarnation, f"ABORT {by.__name__}")
        incarnation.stopped = True
        incarnation.aborts.append(by.__name__)
        if incarnation.aborted_s is None:
            incarnation.aborted_s = self.now
        by()

    def over(self, incarnation: Incarnation) -> bool:
        """Whether a container that was aborted has had the time to see it."""
        return incarnation.aborted_s is not None and self.now > incarnation.aborted_s

    def forget_children(self) -> None:
        """Let go of all children, and of how they were cancelled.

        CPython's tasks keep that error where its garbage collector does not look, so that the
        frames in its traceback, and through them most of the world, would never be freed.
        """
        for incarnation in self.incarnations:
            for child in incarnation.children:
                with suppress(BaseException):
                    child.exception()
            incarnation.children.clear()

    def _kill(self, incarnation: Incarnation, rounds: int) -> None:
        """Cancel what is left of a dead container until nothing is: it may still tidy up."""
        left = [child for child in incarnation.children if not child.done()]
        if not left:
            return
        if rounds > 200:
            self.violated(f"{incarnation} cannot be cancelled: {left[0]}")
            return
        if rounds % 4 == 0:
            for child in left:
                child.cancel()
        assert self.loop is not None
        self.loop.call_soon(self._kill, incarnation, rounds + 1)


class VirtualSeam(Seam):
    """Clock, chance and threads of one container in a simulation.

    Args:
        world: the simulation.
        incarnation: the container.
        near: told that it has come to a named point.
    """

    watches_loop = False

    def __init__(
        self, world: World, incarnation: Incarnation, near: Callable[[Incarnation], None]
    ) -> None:
        super().__init__()
        self.incarnation = incarnation
        self._world = world
        self._near = near
        name = f"{incarnation} jitter"
        self.random: random.Random = chance(world.scenario.seed, name)

    def now_ms(self) -> int:
        """Virtual time, as a wall clock shows it."""
        return EPOCH_MS + int(self._world.now * 1000)

    async def in_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Take a moment, then call it."""
        await asyncio.sleep(self.random.random() * 0.01)
        return fn(*args, **kwargs)

    async def in_pool(
        self, pool: Executor, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Take a moment, then call it."""
        return await self.in_thread(fn, *args, **kwargs)

    def reached(self, point: str) -> None:
        """Crash at the point that the scenario names, the first time anybody comes there."""
        world, trouble = self._world, self._world.scenario.trouble
        world.note(self.incarnation, f"at {point}")
        self._near(self.incarnation)
        if point == trouble.point and world.troubled and world.crashes <= trouble.crashes:
            chosen = world.chance.random() < 0.5
            if chosen:
                world.crash(self.incarnation, f"at {point}")
