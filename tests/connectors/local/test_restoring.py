"""A reader that goes away frees its file, and never under a thread that still reads it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from samza_py.checkpoint import Change, Grant
from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.local.framing import Place
from samza_py.connectors.local.view import View
from tests.connectors.local.workload import JOB, commit

FOLDER_OF_DESCRIPTORS = Path("/dev/fd")


def descriptors() -> int:
    return len(os.listdir(FOLDER_OF_DESCRIPTORS))


async def test_a_cancelled_reader_frees_its_file_once_its_thread_is_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go, through = threading.Event(), threading.Event(), threading.Event()
    closed_while_reading: list[bool] = []
    real = View.changes

    def slow(self: View, place: Place, store: str) -> Sequence[Change]:
        reading.set()
        assert go.wait(20)
        try:
            return real(self, place, store)  # raises where the descriptor is closed
        finally:
            closed_while_reading.append(closed.is_set())

    closed = threading.Event()
    real_close = View.close

    def noted(self: View) -> None:
        real_close(self)
        if reading.is_set():
            closed.set()
            through.set()

    async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        await commit(store, claim, 1)
        before = await asyncio.to_thread(descriptors)
        monkeypatch.setattr(View, "changes", slow)
        monkeypatch.setattr(View, "close", noted)

        async def read() -> None:
            async for _ in store.restore(claim, "counts", "1"):
                pass

        child = asyncio.create_task(read())
        assert await asyncio.to_thread(reading.wait, 20)
        child.cancel()
        await asyncio.gather(child, return_exceptions=True)
        assert not closed.is_set()
        go.set()
        assert await asyncio.to_thread(through.wait, 20)
        assert closed_while_reading == [False]
        assert await asyncio.to_thread(descriptors) == before


async def test_a_reader_that_stops_early_frees_its_file(tmp_path: Path) -> None:
    async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        await commit(store, claim, 1)
        before = await asyncio.to_thread(descriptors)
        reading = store.restore(claim, "counts", "1")
        assert await anext(reading)
        assert await asyncio.to_thread(descriptors) == before + 1
        await reading.aclose()
        assert await asyncio.to_thread(descriptors) == before
