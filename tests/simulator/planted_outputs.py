"""Mistakes in what is sent: held back, staged, sent again, rejected."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from samza_py.errors import UnavailableError
from samza_py.producer import Failures, Rejected, Unknown
from samza_py.runtime.failures import Failures as Policies
from samza_py.runtime.lane_outbox import LaneOutbox
from samza_py.runtime.ordered_outbox import OrderedOutbox
from samza_py.runtime.outbox import Outbox
from samza_py.runtime.outputs import Outputs
from samza_py.runtime.port import Parcel, Port
from samza_py.runtime.producing import OpenTransaction
from samza_py.runtime.task_instance import TaskInstance
from tests.simulator.planted import Ground, bug, does_nothing


@bug("what is sent behind the mark of a commit gets into it", seed=8)
def hold_missing(ground: Ground) -> None:
    ground.put(Port, "hold", does_nothing)


@bug("what was held back during a commit is dropped at its end", seed=8)
def held_dropped(ground: Ground) -> None:
    def let_go(self: Port) -> None:
        self._held = None

    ground.put(Port, "let_go", let_go)


@bug("a token whose finish has failed is forgotten", seed=90)
def token_forgotten(ground: Ground) -> None:
    async def finish(
        self: Outputs, producer: Any, name: str, tokens: list[Any], final: bool
    ) -> None:
        while tokens:
            try:
                await producer.finish(tokens.pop(0))
            except UnavailableError:
                continue
        del self._unfinished[name]

    ground.put(Outputs, "_finish", finish)


@bug("staged output is finished before the checkpoint", seed=24)
def finish_before_checkpoint(ground: Ground) -> None:
    prepare = Outputs.prepare

    async def eager(self: Outputs, draft: Any) -> None:
        await prepare(self, draft)
        for name, tokens in list(self._unfinished.items()):
            await self._finish(self._producer, name, tokens, True)  # type: ignore[arg-type]

    ground.put(Outputs, "prepare", eager)


@bug("what a checkpoint names is not finished at a start", seed=11)
def recover_skipped(ground: Ground) -> None:
    async def recover(self: Outputs, claim: Any, checkpoint: Any) -> None:
        pass

    ground.put(Outputs, "recover", recover)


@bug("an outbox sends what has failed behind what is queued", seed=38)
def resent_out_of_order(ground: Ground) -> None:
    def put_back(self: OrderedOutbox, parcels: Sequence[Parcel]) -> None:
        self._queue.extend(parcels)
        self._queued += sum(len(parcel.messages) for parcel in parcels)
        self._queued_bytes += sum(parcel.bytes for parcel in parcels)

    ground.put(OrderedOutbox, "_put_back", put_back)


@bug("of a failed batch only the first failure is sent again", seed=2)
def one_resent(ground: Ground) -> None:
    outcome = Outbox._outcome

    async def first(self: Outbox, receipt: Any, serial: int, count: int) -> Failures:
        failures = await outcome(self, receipt, serial, count)
        return dict(list(failures.items())[:1])

    ground.put(Outbox, "_outcome", first)


@bug("a message of unknown outcome is taken for written", seed=2)
def unknown_message_taken_for_written(ground: Ground) -> None:
    outcome = Outbox._outcome

    async def hopeful(self: Outbox, receipt: Any, serial: int, count: int) -> Failures:
        failures = await outcome(self, receipt, serial, count)
        return {at: one for at, one in failures.items() if not isinstance(one, Unknown)}

    ground.put(Outbox, "_outcome", hopeful)


@bug("a failed message lets go of its lane before it has been sent again", seed=104)
def lane_let_go(ground: Ground) -> None:
    settle_one = LaneOutbox._settle_one

    def careless(self: LaneOutbox, item: Any, failure: Any) -> None:
        behind = self._behind.setdefault(item.lane, deque())
        settle_one(self, item, failure)
        if failure is not None and not isinstance(failure, Rejected) and behind:
            self._ready.append(behind.popleft())

    ground.put(LaneOutbox, "_settle_one", careless)


@bug("what an output rejects late is dropped", seed=32)
def rejection_dropped(ground: Ground) -> None:
    ground.put(Policies, "rejected", does_nothing)


@bug("the dead letter of a late rejection belongs to the next commit", seed=86)
def dead_letter_late(ground: Ground) -> None:
    rejected = Policies.rejected

    def late(self: Policies, message: Any, error: Any, generation: int) -> None:
        rejected(self, message, error, self._scope.generation)

    ground.put(Policies, "rejected", late)


@bug("what was rejected in a transaction is not remembered over its rollback", seed=20)
def condemned_forgotten(ground: Ground) -> None:
    opened = TaskInstance.open

    async def forgetful(self: TaskInstance) -> None:
        self._condemned.clear()
        await opened(self)

    ground.put(TaskInstance, "open", forgetful)


@bug("a transaction stays open for the next commit after one of unknown outcome", seed=35)
def transaction_kept(ground: Ground) -> None:
    async def commit(self: OpenTransaction) -> None:
        await self.transaction.commit()

    ground.put(OpenTransaction, "commit", commit)
