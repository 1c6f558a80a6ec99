"""What earlier versions wrote is read: its bytes are kept here for ever.

A new format version adds its files and its rows, and changes none of those that are there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from samza_py import checkpoint_format
from samza_py.checkpoint import Change, Checkpoint, CheckpointStore, Claim, Grant
from samza_py.checkpoint_format import decode_checkpoint
from samza_py.connectors.local import LocalCheckpoints, framing
from tests.compat import write_version_1 as v1

WRITTEN = Path(__file__).parent / "written"
FLOOR = 1_700_000_000


async def entries(store: CheckpointStore, claim: Claim, name: str, marker: str) -> list[Change]:
    found: dict[bytes, bytes | None] = {}
    async for batch in store.restore(claim, name, marker):
        found.update(batch)
    return sorted((key, value) for key, value in found.items() if value is not None)


def test_a_checkpoint_of_version_1_is_read() -> None:
    data = (WRITTEN / v1.CHECKPOINT).read_bytes()
    assert decode_checkpoint(data, "here") == v1.full(7, 12)


@pytest.mark.parametrize("name", [v1.LOG, v1.COMPACTED])
async def test_a_local_file_of_version_1_is_read_and_written_on(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    shutil.copy(WRITTEN / name, path)
    for restart in range(2):
        async with LocalCheckpoints(path).store(v1.JOB) as store:
            idle, nothing = await store.open(Grant(v1.IDLE))
            assert (idle.epoch, nothing) == (FLOOR + 2 + restart, None)
            claim, found = await store.open(Grant(v1.FULL))
            assert claim.epoch == FLOOR + 3 + restart
            assert found == v1.full(FLOOR + 2 + restart, 8 + restart)
            counts = {b"k0": b"v5", b"k1": b"v6", b"k2": b"v7", b"k3": b"v8", b"k4": b"v4"}
            counts |= {b"k4": b"v9"} if restart else {}
            assert await entries(store, claim, "counts", str(8 + restart)) == sorted(counts.items())
            assert await entries(store, claim, "seen", "1") == [(b"\x00\xff", b"")]
            assert (await store.read())[v1.BUSY] == Checkpoint(FLOOR + 1, 3)
            await v1.commit(store, claim, 9 + restart)


@pytest.mark.skipif(
    (checkpoint_format.VERSION, framing.VERSION) != (1, 1), reason="version 1 is written no more"
)
def test_the_bytes_written_today_are_those_of_version_1(tmp_path: Path) -> None:
    v1.write(tmp_path)
    for name in (v1.CHECKPOINT, v1.LOG, v1.COMPACTED):
        assert (tmp_path / name).read_bytes() == (WRITTEN / name).read_bytes(), (
            f"{name} is written differently now: that needs a format version of its own"
        )
