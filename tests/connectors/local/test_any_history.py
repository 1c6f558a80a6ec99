"""Any history of claims, commits, restarts and compactions ends in the state it should."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samza_py.checkpoint import Change, Checkpoint, CheckpointStore, Claim, Grant
from samza_py.connectors.local import LocalCheckpoints, log
from tests.connectors.local.workload import JOB, apply, restored

TASKS = ("a/0", "b/ü")
STORES = ("counts", "names")

Commit: TypeAlias = tuple[str, dict[str, Sequence[Change]], set[str]]
"""The task, its changes, and the stores whose markers it keeps."""

keys = st.sampled_from([b"", b"k", b"\0", b"long key " * 9, b"z"])
changed: st.SearchStrategy[Sequence[Change]] = st.lists(
    st.tuples(keys, st.none() | st.binary(max_size=40)), max_size=5, unique_by=lambda c: c[0]
)
commits: st.SearchStrategy[Commit] = st.tuples(
    st.sampled_from(TASKS),
    st.dictionaries(st.sampled_from(STORES), changed, max_size=2),
    st.sets(st.sampled_from(STORES)),
)
steps: st.SearchStrategy[list[Commit | str]] = st.lists(
    st.one_of(commits, st.just("restart"), st.sampled_from(TASKS)), min_size=1, max_size=15
)


class Model:
    """What should be there."""

    def __init__(self) -> None:
        self.claims: dict[str, Claim] = {}
        self.epochs: dict[str, int] = {}
        self.newest: dict[str, Checkpoint] = {}
        self.entries: dict[tuple[str, str], dict[bytes, bytes]] = {}
        self.number = 0

    async def claim(self, store: CheckpointStore, task: str) -> None:
        claim, found = await store.open(Grant(task))
        assert found == self.newest.get(task)
        assert claim.epoch > self.epochs.get(task, 0)
        self.claims[task], self.epochs[task] = claim, claim.epoch
        markers: Mapping[str, str] = found.stores if found else {}
        for name, marker in markers.items():
            entries = await restored(store, claim, {name: marker})
            assert entries == {name: self.entries.get((task, name), {})}

    async def commit(self, store: CheckpointStore, step: Commit) -> None:
        task, changes, kept = step
        if task not in self.claims:
            await self.claim(store, task)
        self.number += 1
        old: Mapping[str, str] = self.newest[task].stores if task in self.newest else {}
        markers = {name: marker for name, marker in old.items() if name in kept}
        markers |= {name: str(self.number) for name in changes}
        checkpoint = Checkpoint(self.claims[task].epoch, self.number, stores=markers)
        await store.write(self.claims[task], checkpoint, changes)
        self.newest[task] = checkpoint
        for name in STORES:
            if name not in markers:
                self.entries.pop((task, name), None)
        for name, some in changes.items():
            apply(self.entries.setdefault((task, name), {}), some)


@settings(deadline=None, max_examples=25)
@given(steps, st.sampled_from(["1", "1KiB", "1MiB"]))
def test_any_history_ends_in_the_state_it_should(steps: list[Commit | str], above: str) -> None:
    """Compactions are begun with a commit and ended with a later one, or by the restart."""

    async def run(folder: str) -> None:
        checkpoints = LocalCheckpoints(Path(folder, "checkpoints.log"), compact_above=above)
        model = Model()
        store = checkpoints.store(JOB)
        for step in [*steps, "restart", *TASKS]:
            if step == "restart":
                await store.aclose()
                store = checkpoints.store(JOB)
                model.claims.clear()
            elif isinstance(step, tuple):
                await model.commit(store, step)
            else:
                await model.claim(store, step)
        assert await store.read() == model.newest
        await store.aclose()

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(log, "SLICE_BYTES", 1)
        asyncio.run(run(folder))
