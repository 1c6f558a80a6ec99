"""Checks every checkpoint at the moment it takes effect, and everything once all is over.

Nothing here asks the runtime: a stored checkpoint is read as the JSON that it is, outputs as what
lies in their logs, and what must be there is worked out from the input messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from samza_py.connectors.memory import Broker
from samza_py.connectors.memory.kept import Kept
from tests.simulator.calls import Calls, task_of
from tests.simulator.handling import Source
from tests.simulator.judge import Evidence, Judge
from tests.simulator.records import Records
from tests.simulator.scenario import Given, HandlerPlan
from tests.simulator.snapshots import Snapshot
from tests.simulator.world import JOB, World


class Ledger:
    """What was committed, task by task.

    Args:
        world: the simulation.
        broker: where everything is.
        given: what was put into the input.
        calls: told which partitions have ended.

    Attributes:
        newest: the newest checkpoint of each task.
    """

    def __init__(
        self, world: World, broker: Broker, given: dict[Source, Given], calls: Calls
    ) -> None:
        self.newest: dict[str, Snapshot] = {}
        self._world = world
        self._broker = broker
        self._calls = calls
        self._plans = {plan.name: plan for plan in world.scenario.handlers}
        self._records = Records(world.scenario, broker)
        self._given = given
        self._judge = Judge(world.scenario, given)

    # At each checkpoint ----------------------------------------------------------------------

    def checkpointed(self, task: str, data: bytes, kept: Kept) -> None:
        """A checkpoint has taken effect: whatever it covers must be durable by now."""
        ends = {name: log.end for name, log in self._broker.topic("in").logs.items()}
        found = Snapshot(data, ends)
        before = self.newest.get(task)
        self.newest[task] = found
        what = f"checkpoint {found.number} of epoch {found.epoch}"
        self._world.note(task, f"{what} covers {len(found.covered)}")
        plan = self._plan(task)
        self._calls.ended.update((plan.name, partition) for partition in found.ended)
        self._follows(task, before, found)
        self._owned(task, found)
        for problem in self._judge.problems(self._evidence(task, found, kept)):
            self._world.violated(f"checkpoint {found.number} of {task}: {problem}")
            return

    def _follows(self, task: str, before: Snapshot | None, found: Snapshot) -> None:
        if before is None:
            return
        say = self._world.violated
        if found.epoch < before.epoch:
            say(f"{task}: epoch {found.epoch} wrote after epoch {before.epoch}")
        again = found.epoch == before.epoch and found.number == before.number
        if found.number != before.number + 1 and not again:
            say(f"{task}: checkpoint {found.number} follows {before.number}")
        gone = (before.covered - found.covered) & self._given.keys()
        if gone:
            say(f"{task}: checkpoint {found.number} no longer covers {sorted(gone)[:3]}")

    def _owned(self, task: str, found: Snapshot) -> None:
        """The writer must not have been told before that the task is not its own any more."""
        here = self._world.here()
        if here is None:
            return
        if self._world.over(here):
            self._world.violated(f"{here} wrote for {task}, although it was aborted")
        lost = here.told_lost.get((task, found.epoch))
        if lost is not None and self._world.now > lost:
            self._world.violated(f"{here} wrote for {task}, although it was told at {lost:g}")
        until = here.valid_until.get(task)
        if until is not None and self._world.now > until:
            self._world.violated(f"{here} wrote for {task}, which was granted until {until:g}")

    def _plan(self, task: str) -> HandlerPlan:
        return self._plans[task.partition("/")[0]]

    def _evidence(self, task: str, found: Snapshot, kept: Kept) -> Evidence:
        plan = self._plan(task)
        have = self._records.count(plan.name, found.tokens)
        return Evidence(plan, found, have, self._state(task, found, kept))

    def _state(self, task: str, found: Snapshot, kept: Kept) -> dict[str, list[str]]:
        """The entries that a restore to this checkpoint would give."""
        store = f"store_{self._plan(task).name}"
        marker = found.stores.get(store)
        log = kept.changelogs.get((task, store))
        if marker is None or log is None:
            return {}
        entries: dict[bytes, bytes | None] = {}
        for batch in log.until(marker):
            entries.update(batch)
        return {k.decode(): json.loads(v) for k, v in entries.items() if v is not None}

    # At the end ------------------------------------------------------------------------------

    @property
    def all_read(self) -> bool:
        """Whether every task's checkpoint says that all of its input is read and it has ended."""
        partitions = self._broker.topic("in").logs
        return all(
            (found := self.newest.get(task_of(plan, partition))) is not None
            and partition in found.ended
            and found.over
            for plan in self._plans.values()
            for partition in partitions
        )

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do: all is read, and what was staged is finished."""
        return self.all_read and not any(
            self._records.staged(found.tokens) for found in self.newest.values()
        )

    def finished(self) -> Iterator[str]:
        """What is wrong when all is over."""
        kept = self._broker.jobs[JOB]
        for task, found in sorted(self.newest.items()):
            for problem in self._judge.problems(self._evidence(task, found, kept)):
                yield f"in the end, {task}: {problem}"
            yield from self._end_hook(task)
        for plan in self._plans.values():
            for output in "AB":
                for names in self._records.sequences(plan.name, output):
                    yield from self._judge.disorder(plan, names, f"output {output}")
        yield from self._records.leftovers()

    def _end_hook(self, task: str) -> Iterator[str]:
        plan = self._plan(task)
        if not plan.timers:
            return
        count = self._records.count(plan.name, {})["B"][f"{plan.name}|{task}|E"]
        if count < 1 or (count > 1 and self._world.scenario.atomic("B")):
            yield f"what on_end of {task} sends is there {count} times"
