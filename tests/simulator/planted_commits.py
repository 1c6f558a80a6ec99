"""Mistakes in commits, checkpoints, state and ownership."""

from __future__ import annotations

import dataclasses
from typing import Any

from samza_py.errors import FencedError
from samza_py.runtime.backoff import Backoff, retried
from samza_py.runtime.commit import Committer, Draft
from samza_py.runtime.outputs import Outputs
from samza_py.runtime.overlay import Overlay
from samza_py.runtime.own_tasks import OwnTasks
from samza_py.runtime.participants import Ending, Inputs, Stores, Timers
from samza_py.runtime.progress import Progress
from samza_py.runtime.runner import Runner
from samza_py.runtime.supervisor import Supervisor
from tests.simulator.planted import Ground, always, bug, does_nothing


@bug("the checkpoint is written before the outputs are settled", seed=1)
def checkpoint_before_outputs(ground: Ground) -> None:
    ground.put(Outputs, "settled", always(True))


@bug("the cut leaves what is finished but not handed over to the next commit", seed=1)
def cut_without_hand_over(ground: Ground) -> None:
    def cut(self: Runner) -> None:
        self.scope.generation += 1
        self.scope.dirty = False

    ground.put(Runner, "cut", cut)


@bug("what is finished beyond the oldest unfinished message is left out of the checkpoint", seed=17)
def done_dropped(ground: Ground) -> None:
    snapshot = Progress.snapshot

    def without(self: Progress) -> Any:
        return dataclasses.replace(snapshot(self), done=())

    ground.put(Progress, "snapshot", without)


@bug("what a checkpoint has as done is handed out again", seed=17)
def done_ignored(ground: Ground) -> None:
    ground.put(Progress, "resuming", property(always(False)))


@bug("runs of an earlier checkpoint are forgotten as soon as they are read past", seed=17)
def done_forgotten(ground: Ground) -> None:
    snapshot = Progress.snapshot

    def without(self: Progress) -> Any:
        self._read_past.clear()
        return snapshot(self)

    ground.put(Progress, "snapshot", without)


@bug("the checkpoint has what was read, not what was finished", seed=1)
def position_as_read(ground: Ground) -> None:
    def cut(self: Inputs, draft: Draft) -> None:
        for buffer in self._buffers:
            read = dataclasses.replace(buffer.progress.snapshot(), after=buffer.read_to, done=())
            draft.inputs[buffer.key.partition] = read

    ground.put(Inputs, "cut", cut)


@bug("the newest finished message is taken for the oldest unfinished one", seed=2)
def newest_finished(ground: Ground) -> None:
    def finish(self: Progress, seq: int, offset: Any) -> None:
        self._base = max(self._base, seq + 1)
        self._after = offset

    ground.put(Progress, "finish", finish)


@bug("the state of a commit is taken at its end, not at its cut", seed=1)
def state_cut_late(ground: Ground) -> None:
    cut = Stores.cut

    async def prepare(self: Stores, draft: Draft) -> None:
        cut(self, draft)

    ground.put(Stores, "cut", does_nothing)
    setattr_prepare(ground, prepare)


def setattr_prepare(ground: Ground, prepare: Any) -> None:
    """``Stores`` inherits its ``prepare``, so it is put into the class by way of its base."""
    from samza_py.runtime.commit import Participant

    inherited = Participant.prepare

    async def dispatch(self: Any, draft: Draft) -> None:
        if isinstance(self, Stores):
            await prepare(self, draft)
        else:
            await inherited(self, draft)

    ground.put(Participant, "prepare", dispatch)


@bug("what is written to a store during a commit is lost at its end", seed=1)
def state_behind_cut_lost(ground: Ground) -> None:
    def committed(self: Overlay[Any, Any], marker: str) -> None:
        self.engine.apply(self._cut.items(), marker)
        self._cut, self._current = {}, {}

    ground.put(Overlay, "committed", committed)


@bug("a commit without changes forgets the marker of the state", seed=1)
def marker_forgotten(ground: Ground) -> None:
    def cut(self: Stores, draft: Draft) -> None:
        for name, overlay in self._overlays.items():
            changes = overlay.cut()
            if changes:
                draft.changes[name] = list(changes.items())
                draft.stores[name] = str(draft.number)

    ground.put(Stores, "cut", cut)


@bug("the state is not restored at a start", seed=9)
def restore_skipped(ground: Ground) -> None:
    async def recover(self: Stores, claim: Any, checkpoint: Any) -> None:
        self._markers = dict(checkpoint.stores) if checkpoint is not None else {}

    ground.put(Stores, "recover", recover)


@bug("timers do not survive a restart", seed=9)
def timers_forgotten(ground: Ground) -> None:
    ground.put(Timers, "cut", does_nothing)


@bug("a finished job that is started again ends a second time", seed=9)
def end_twice(ground: Ground) -> None:
    async def recover(self: Ending, claim: Any, checkpoint: Any) -> None:
        pass

    ground.put(Ending, "recover", recover)


@bug("a checkpoint of unknown outcome is taken for written", seed=6)
def unknown_taken_for_written(ground: Ground) -> None:
    async def took_effect(self: Committer, number: int, error: Any, backoff: Backoff) -> bool:
        return True

    ground.put(Committer, "_took_effect", took_effect)


@bug("after a failed transaction the checkpoint is written again, in another one", seed=26)
def checkpoint_again_in_new_transaction(ground: Ground) -> None:
    write = Committer._write

    async def stubborn(self: Committer, draft: Draft) -> None:
        while True:
            try:
                await write(self, draft)
            except FencedError:
                raise
            except Exception:
                continue
            return

    ground.put(Committer, "_write", stubborn)


@bug("a fenced write is passed over", seed=57)
def fence_ignored(ground: Ground) -> None:
    write = Committer._write

    async def careless(self: Committer, draft: Draft) -> None:
        try:
            await write(self, draft)
        except FencedError:
            return

    ground.put(Committer, "_write", careless)


@bug("a task that was lost is stopped in good order, with a last commit", seed=42)
def lost_like_revoked(ground: Ground) -> None:
    ground.put(Supervisor, "drop", Supervisor.stop)


@bug("a revoked task is released while it still runs", seed=57)
def released_too_early(ground: Ground) -> None:
    give_up = OwnTasks._give_up

    async def early(self: OwnTasks, task: str, supervisor: Any, deadline: float) -> None:
        await retried("releasing too early", lambda: self._coordinator.release((task,)))
        await give_up(self, task, supervisor, deadline)

    ground.put(OwnTasks, "_give_up", early)


@bug("a task granted again while it is still being dropped is taken for running", seed=57)
def grant_after_loss_ignored(ground: Ground) -> None:
    ground.put(Supervisor, "leaving", property(always(False)))


@bug("a grant that is not renewed does not end", seed=56)
def lease_ignored(ground: Ground) -> None:
    ground.put(Supervisor, "_expired", does_nothing)
