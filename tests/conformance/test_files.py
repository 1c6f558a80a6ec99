"""Files keep every promise that they make, read from and written to a folder of their own."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path

from samza_py.connectors.files import FileInput, FileOutput, Files
from samza_py.connectors.files.paths import bucket_of
from samza_py.message import Outgoing
from samza_py.testing import Capability, ConnectorHarness, conformance_tests

LONGEST = 100_000
"""A longer line is one that cannot be decoded."""


def name_in(bucket: str) -> str:
    """The name of a file that is hashed into this partition of two."""
    names = (f"in/{number}.jsonl" for number in count())
    return next(name for name in names if bucket_of(name, 2) == int(bucket))


class FilesHarness(ConnectorHarness):
    """Two files, hashed into two partitions, and a folder for the parts that are written."""

    capabilities = (
        Capability.READS,
        Capability.WRITES,
        Capability.TWO_PHASE,
        Capability.PARTITIONS,
        Capability.ENDS,
        Capability.LINEAGE,
        Capability.TELLS_MISSING,
        Capability.TELLS_REMAINING,
        Capability.UNDECODABLE,
        Capability.REJECTS,
    )

    def __init__(self) -> None:
        self.root = Path()

    async def aopen(self) -> None:
        self.root = Path(await asyncio.to_thread(tempfile.mkdtemp))
        for bucket in ("0", "1"):
            await self.append(bucket, b"")
        async with self.admin() as admin:
            await admin.create([self.target.name])

    async def aclose(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self.root)

    @property
    def system(self) -> Files:
        return Files(str(self.root))

    @property
    def source(self) -> FileInput[bytes]:
        return self.system.jsonl(
            "orders", "in", value=bytes, max_partitions=2, max_record_bytes=LONGEST
        )

    @property
    def target(self) -> FileOutput[bytes]:
        return self.system.jsonl_output("priced", "out", value=bytes)

    @property
    def missing(self) -> FileInput[bytes]:
        return self.system.jsonl("nobody", "nowhere", value=bytes)

    async def append(self, partition: str, lines: bytes) -> None:
        def append() -> None:
            path = self.root / name_in(partition)
            path.parent.mkdir(exist_ok=True)
            with path.open("ab") as file:
                file.write(lines)

        await asyncio.to_thread(append)

    async def put(self, partition: str, messages: Sequence[Outgoing]) -> None:
        await self.append(partition, b"".join(m.value + b"\n" for m in messages))

    async def put_undecodable(self, partition: str) -> None:
        await self.append(partition, b"x" * (LONGEST + 1) + b"\n")

    async def end(self, partition: str) -> None:
        """Files always end."""

    async def recreate(self) -> None:
        await self.append("0", b'{"number": 0}\n')
        await self.append("1", b'{"number": 1}\n')

    def unacceptable(self, number: int) -> Outgoing:
        message = self.message(number)
        message.value = message.value.replace(b"{", b"{\n")
        return message

    async def arrived(self) -> Mapping[str, Sequence[Outgoing]]:
        def lines() -> list[bytes]:
            parts = sorted((self.root / "out").glob("part-*.jsonl"))
            return [line for part in parts for line in part.read_bytes().splitlines()]

        return {"0": [Outgoing("priced", None, line) for line in await asyncio.to_thread(lines)]}


test_files_keep_their_promises = conformance_tests(FilesHarness)
