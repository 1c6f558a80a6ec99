"""A local file keeps every promise of a checkpoint store that serves one container."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from samza_py.checkpoint import Checkpoints
from samza_py.connectors.local import LocalCheckpoints
from samza_py.testing import Capability, CheckpointsHarness, conformance_tests
from tests.connectors.local.on_disk import flip_a_bit_in_the_middle


class FilePerJob(LocalCheckpoints):
    """As without a path, in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(compact_above="4KiB")
        self.folder = folder

    def path_of(self, job: str) -> Path:
        return self.folder / job / "checkpoints.log"


class LocalHarness(CheckpointsHarness):
    """A folder of its own."""

    capabilities = frozenset({Capability.REOPENS, Capability.CHANGELOG, Capability.DAMAGE})

    async def aopen(self) -> None:
        self._folder = await asyncio.to_thread(tempfile.TemporaryDirectory[str])
        self._checkpoints = FilePerJob(Path(self._folder.name))

    async def aclose(self) -> None:
        await asyncio.to_thread(self._folder.cleanup)

    @property
    def checkpoints(self) -> Checkpoints:
        return self._checkpoints

    async def damage(self, job: str) -> None:
        path = self._checkpoints.path_of(job)
        await asyncio.to_thread(flip_a_bit_in_the_middle, path)


test_it_keeps_its_promises = conformance_tests(LocalHarness)
