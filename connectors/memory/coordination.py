"""A coordination that does what a test says: who is granted what, revoked, lost, handed over."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence

from samza_py.checkpoint import Grant, Role
from samza_py.connectors.memory.broker import Link
from samza_py.connectors.memory.system import Memory
from samza_py.coordination import Coordination, Coordinator, Event, Granted, Lost, Revoked


class _Member:
    """What the script has to say to one container."""

    def __init__(self) -> None:
        self.events: deque[Event] = deque()
        self.waiter: asyncio.Future[None] | None = None

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.wake()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)


class Script:
    """Decides who owns which task of one job, as it is told to by method calls.

    A task has one owner at a time. Granted to a second container it waits until the first one has
    released it, has left, was lost, is over its deadline, or is declared gone. Containers go by
    the client names of their connections:

        script = Script()
        one = memory.connect("one")
        job = Job("pricing", coordinator=script.container(one), ...)
        script.grant("one")
    """

    def __init__(self) -> None:
        self._tasks: tuple[str, ...] = ()
        self._rest_to: str | None = None
        self._members: dict[str, _Member] = {}
        self._owners: dict[str, str] = {}
        self._next: dict[str, deque[tuple[str, Grant]]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._valid_until: dict[str, float] = {}
        self._revoked: set[str] = set()
        self._changed: list[asyncio.Future[None]] = []

    def container(self, memory: Memory) -> ScriptedCoordination:
        """The coordination to give to the job of one container."""
        return ScriptedCoordination(self, memory.link)

    def owner(self, task: str) -> str | None:
        """Who owns a task now."""
        return self._owners.get(task)

    def grant(
        self,
        container: str,
        tasks: Collection[str] | None = None,
        *,
        role: Role = Role.ACTIVE,
        valid_for_s: float | None = None,
    ) -> None:
        """Give tasks to a container, now or as soon as their owner has given them up.

        Args:
            container: whom.
            tasks: their names; None for all of the job's that nobody owns.
            role: a standby owns nothing.
            valid_for_s: after so many seconds it is lost, unless granted again before.
        """
        if tasks is None:
            if not self._tasks:  # no container has said yet which tasks there are
                self._rest_to = container
            tasks = [task for task in self._tasks if task not in self._owners]
        until = None if valid_for_s is None else _now() + valid_for_s
        given: list[Grant] = []
        for task in tasks:
            grant = Grant(task, role, until)
            owner = self._owners.get(task)
            if role is Role.STANDBY or owner is None or self._is_renewal(container, task):
                given.append(grant)
                if role is Role.ACTIVE:
                    self._own(container, grant)
            else:
                self._next.setdefault(task, deque()).append((container, grant))
        if given:
            self._tell(container, Granted(tuple(given)))

    def revoke(
        self, container: str, tasks: Collection[str] | None = None, *, deadline_s: float = 30.0
    ) -> None:
        """Ask for tasks back; what is not released within the deadline is lost."""
        names = self._owned(container) if tasks is None else tuple(tasks)
        deadline = _now() + deadline_s
        for task in names:
            if self._owners.get(task) == container:
                self._revoked.add(task)
                self._expire_at(task, deadline)
        self._tell(container, Revoked(names, deadline))

    def lose(self, container: str, tasks: Collection[str] | None = None) -> None:
        """Take tasks away at once: whoever waits for them gets them before the container hears."""
        names = self._owned(container) if tasks is None else tuple(tasks)
        self._tell(container, Lost(names))
        for task in names:
            self._free(container, task)

    def hand_over(self, task: str, to: str, *, deadline_s: float = 30.0) -> None:
        """Revoke a task from its owner and let another container have it next."""
        owner = self._owners.get(task)
        if owner == to:
            return
        self.grant(to, (task,))
        if owner is not None:
            self.revoke(owner, (task,), deadline_s=deadline_s)

    def spread(self, *containers: str) -> None:
        """Share all tasks out in turn; those that are elsewhere are handed over."""
        for at, task in enumerate(self._tasks):
            self.hand_over(task, containers[at % len(containers)])

    def gone(self, container: str) -> None:
        """Declare a container dead: its tasks are free, and it is told nothing any more."""
        self._members.pop(container, None)
        for task in self._owned(container):
            self._free(container, task)

    async def wait_for_owner(self, task: str, container: str | None) -> None:
        """Wait until a task belongs to a container, or to none."""
        await self.wait_until(lambda: self._owners.get(task) == container)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so; it is asked again whenever a task changes hands."""
        while not condition():
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._changed.append(changed)
            await changed

    def join(self, container: str) -> _Member:
        """A container comes up, perhaps anew: it is told what it owns, and nothing older."""
        member = self._members[container] = _Member()
        owned = [t for t in self._owned(container) if t not in self._revoked]
        if owned:
            grants = (Grant(task, valid_until=self._valid_until.get(task)) for task in owned)
            member.tell(Granted(tuple(grants)))
        return member

    def name_tasks(self, tasks: Sequence[str]) -> None:
        """Learn which tasks the job has; a container may not know yet what others have named."""
        self._tasks = tuple(dict.fromkeys((*self._tasks, *tasks)))
        if self._rest_to is not None:
            container, self._rest_to = self._rest_to, None
            self.grant(container)

    def release(self, container: str, tasks: Collection[str]) -> None:
        """A container gives tasks up; those that it was not asked for are passed over."""
        for task in tasks:
            if task in self._revoked:
                self._free(container, task)

    def leave(self, container: str, member: _Member) -> None:
        """A container's coordinator is closed: what it still owns is free."""
        if self._members.get(container) is member:  # else it has come up anew meanwhile
            self.gone(container)

    def _owned(self, container: str) -> tuple[str, ...]:
        return tuple(task for task, owner in self._owners.items() if owner == container)

    def _is_renewal(self, container: str, task: str) -> bool:
        return self._owners.get(task) == container and task not in self._revoked

    def _own(self, container: str, grant: Grant) -> None:
        self._owners[grant.task] = container
        if grant.valid_until is not None:
            self._valid_until[grant.task] = grant.valid_until
            self._expire_at(grant.task, grant.valid_until)
        self._notice()

    def _expire_at(self, task: str, deadline: float) -> None:
        before = self._timers.pop(task, None)
        if before is not None:
            before.cancel()
        loop = asyncio.get_running_loop()
        self._timers[task] = loop.call_at(deadline, self._expire, self._owners[task], task)

    def _expire(self, container: str, task: str) -> None:
        self.lose(container, (task,))

    def _free(self, container: str, task: str) -> None:
        if self._owners.get(task) != container:
            return
        del self._owners[task]
        self._revoked.discard(task)
        self._valid_until.pop(task, None)
        timer = self._timers.pop(task, None)
        if timer is not None:
            timer.cancel()
        queue = self._next.get(task)
        if queue:
            successor, grant = queue.popleft()
            self._own(successor, grant)
            self._tell(successor, Granted((grant,)))
        self._notice()

    def _tell(self, container: str, event: Event) -> None:
        member = self._members.get(container)
        if member is not None:  # one that is not up yet is told what it owns when it joins
            member.tell(event)

    def _notice(self) -> None:
        changed, self._changed = self._changed, []
        for waiter in changed:
            if not waiter.done():
                waiter.set_result(None)


class ScriptedCoordination(Coordination):
    """One container's part in a script; made by ``Script.container``."""

    several = True
    fenced = True

    def __init__(self, script: Script, link: Link) -> None:
        self._script = script
        self._link = link

    def coordinator(self, job: str, tasks: Sequence[str]) -> Coordinator:
        """A new, unopened line to the script."""
        return ScriptedCoordinator(self._script, self._link, tasks)

    def __str__(self) -> str:
        return f"scripted, as container {self._link.client}"


class ScriptedCoordinator(Coordinator):
    """A container's line to a script, over its connection to the broker."""

    def __init__(self, script: Script, link: Link, tasks: Sequence[str]) -> None:
        self._script = script
        self._link = link
        self._tasks = tasks
        self._member: _Member | None = None
        self._closed = False

    async def aopen(self) -> None:
        """Join: what the container owns already is granted to it first."""
        await self._link.before("open")
        self._member = self._script.join(self._link.client)
        self._script.name_tasks(self._tasks)

    async def aclose(self) -> None:
        """Leave: what was not released is free. A severed container cannot say so."""
        self._closed = True
        if self._member is not None:
            self._member.wake()
            if not self._link.severed:
                self._script.leave(self._link.client, self._member)

    async def events(self) -> AsyncIterator[Event]:
        """What the script says, in order, until the coordinator is closed."""
        member = self._member
        assert member is not None, "opened before it is iterated"
        while not self._closed:
            await self._link.before("events")
            if member.events:
                yield member.events.popleft()
                continue
            member.waiter = asyncio.get_running_loop().create_future()
            await self._link.wait(member.waiter)

    async def name_tasks(self, tasks: Sequence[str]) -> None:
        """Tell the script which tasks there are now; who gets them it says when it is told to."""
        await self._link.before("name_tasks")
        self._script.name_tasks(tasks)

    async def release(self, tasks: Collection[str]) -> None:
        """Give tasks up; who waits for them has them when this returns."""
        await self._link.before("release_tasks")
        self._script.release(self._link.client, tasks)
        if self._link.watched:
            await self._link.after("release_tasks")

    async def owns(self, task: str) -> bool:
        """Whether the script still says so."""
        await self._link.before("owns")
        return self._script.owner(task) == self._link.client


def _now() -> float:
    return asyncio.get_running_loop().time()
