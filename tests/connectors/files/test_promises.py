"""The outputs keep every promise of the protocol: the conformance suite, over a real folder."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from samza_py.connectors.files import FileOutput, Files
from samza_py.message import Outgoing
from samza_py.testing import Capability, ConnectorHarness, conformance_tests


class FilesHarness(ConnectorHarness):
    """A folder of its own.

    Files are read as they were when reading began, so that the checks of reading, which put
    messages into an open stream, have no place here.
    """

    capabilities = frozenset({Capability.WRITES, Capability.TWO_PHASE, Capability.REJECTS})
    quiet_s = 0.02

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    async def aopen(self) -> None:
        self._folder = await asyncio.to_thread(tempfile.TemporaryDirectory)

    async def aclose(self) -> None:
        await asyncio.to_thread(self.folder.cleanup)

    @property
    def folder(self) -> tempfile.TemporaryDirectory[str]:
        assert self._folder is not None
        return self._folder

    @property
    def system(self) -> Files:
        return Files(root=self.folder.name)

    @property
    def source(self) -> FileOutput[object]:  # type: ignore[override]  # only its name is asked for
        return self.target

    @property
    def target(self) -> FileOutput[object]:
        return self.system.jsonl_output("parts", "out/parts", value=object)

    async def arrived(self) -> Mapping[str, Sequence[Outgoing]]:
        return {"0": await asyncio.to_thread(lines_below, Path(self.folder.name))}

    def unacceptable(self, number: int) -> Outgoing:
        message = self.message(number)
        message.value = b'{"two":\n"lines"}'
        return message


def lines_below(folder: Path) -> list[Outgoing]:
    """What a reader of the final names sees."""
    lines: list[Outgoing] = []
    for part in sorted(folder.glob("out/parts/part-*.jsonl")):
        content = part.read_bytes()
        assert content.endswith(b"\n")
        lines += [Outgoing("parts", None, line) for line in content.splitlines()]
    return lines


test_outputs_keep_their_promises = conformance_tests(FilesHarness)
