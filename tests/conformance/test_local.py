"""The checkpoint file keeps every promise of a checkpoint store for one container."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path

from samza_py.checkpoint import Checkpoints
from samza_py.connectors.local import LocalCheckpoints
from samza_py.testing import Capability, CheckpointsHarness, conformance_tests


class LocalHarness(CheckpointsHarness):
    """A folder of its own; each job has its file there."""

    capabilities = (Capability.REOPENS, Capability.CHANGELOG, Capability.DAMAGE)

    def __init__(self) -> None:
        self.folder = Path()

    async def aopen(self) -> None:
        self.folder = Path(await asyncio.to_thread(tempfile.mkdtemp))

    async def aclose(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.folder)

    @property
    def checkpoints(self) -> Checkpoints:
        return LocalCheckpoints(self.folder / "checkpoints.log")

    async def damage(self, job: str) -> None:
        def damage() -> None:
            path = self.folder / "checkpoints.log"
            stored = bytearray(path.read_bytes())
            middle = len(stored) // 2
            stored[middle] ^= 0xFF
            path.write_bytes(stored)

        await asyncio.to_thread(damage)


test_the_file_keeps_its_promises = conformance_tests(LocalHarness)
