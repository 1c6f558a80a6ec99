"""Mistakes in seeing partitions that come while a job runs."""

from __future__ import annotations

import asyncio

from samza_py.assignment import PlannedTask
from samza_py.runtime.own_tasks import OwnTasks
from samza_py.runtime.supervisor import Supervisor
from samza_py.runtime.task_plan import TaskPlan
from tests.simulator.planted import Ground, always, bug, does_nothing


@bug("partitions are read once, at the start", seed=44)
def never_asked_again(ground: Ground) -> None:
    async def watch(self: TaskPlan, on_growth: object) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.complete = True
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    ground.put(TaskPlan, "watch", watch)


@bug("the end of the inputs is believed without asking for what has come", seed=119)
def end_believed(ground: Ground) -> None:
    ground.put(TaskPlan, "at_end", does_nothing)


@bug("a task that may get more partitions does not ask for them before its end", seed=447)
def ended_too_early(ground: Ground) -> None:
    ground.put(PlannedTask, "may_get_more", property(always(False)))


@bug("a task that has got more partitions is stopped for them and not opened again", seed=140)
def stopped_for_good(ground: Ground) -> None:
    ground.put(Supervisor, "_is_outgrown", always(False))


@bug("the coordinator is not told of new tasks", seed=73)
def new_tasks_kept_secret(ground: Ground) -> None:
    async def on_growth(self: OwnTasks, changed: list[PlannedTask]) -> None:
        for task in changed:
            if task.name in self.supervisors:
                self._extend(task, self.supervisors[task.name])

    ground.put(OwnTasks, "_on_growth", on_growth)
