"""Mistakes in being cancelled, and in reading on where a fetch was broken off."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Coroutine
from typing import Any

from samza_py.consumer import Fetched
from samza_py.message import TaskPartition
from samza_py.runtime import container, supervisor
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.container import Container
from samza_py.runtime.intake import Intake
from tests.simulator.planted import Ground, bug


@bug("a run that is cancelled returns as if it had ended", seed=1, only="cancels")
def cancel_swallowed(ground: Ground) -> None:
    def stopped(self: Container) -> bool:
        return not self._aborted

    ground.put(Container, "_was_stopped_while_opening", stopped)


@bug("a run that is cancelled again leaves behind what still tidies up", seed=1, only="cancels")
def cancel_again_cuts_off(ground: Ground) -> None:
    async def cut_off(closing: Coroutine[Any, Any, Any]) -> None:
        await closing

    ground.put(container, "to_its_end", cut_off)
    ground.put(supervisor, "to_its_end", cut_off)


@bug("a fetch that was broken off is read again from its start", seed=1, only="broken_off")
def broken_off_read_again(ground: Ground) -> None:
    fill = PartitionBuffer.fill

    def from_its_start(self: PartitionBuffer, fetched: Fetched, unit: str) -> bool:
        before = self.read_to
        filled = fill(self, fetched, unit)
        if fetched.error is not None:
            self.read_to = before
        return filled

    ground.put(PartitionBuffer, "fill", from_its_start)


@bug("what a fetch has brought before it was broken off is dropped", seed=1, only="broken_off")
def broken_off_dropped(ground: Ground) -> None:
    fill = PartitionBuffer.fill

    def emptied(self: PartitionBuffer, fetched: Fetched, unit: str) -> bool:
        if fetched.error is not None:
            fetched = dataclasses.replace(fetched, messages=())
        return fill(self, fetched, unit)

    ground.put(PartitionBuffer, "fill", emptied)


@bug("the seek of a partition that failed outlives the task's instance", seed=401)
def seek_outlives_its_task(ground: Ground) -> None:
    async def revoke(self: Intake, keys: Collection[TaskPartition]) -> None:
        for key in keys:
            self._reading.pop(key, None)
        await self._consumer.revoke(keys)
        self._wakeup.wake()

    ground.put(Intake, "revoke", revoke)
