"""Disks that are full, broken or forbidden: said with path and free bytes, never half a commit."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from samza_py.checkpoint import Checkpoint, CheckpointStore, Claim, Grant
from samza_py.connectors.local import LocalCheckpoints, disk
from samza_py.errors import CheckpointError
from tests.connectors.local.on_disk import names, put, size
from tests.connectors.local.workload import JOB, commit, restored, state

TASK = "price/0"
NOBODY = 65534

LIMITED = """
import asyncio, resource, sys
from samza_py.checkpoint import Grant
from samza_py.connectors.local import LocalCheckpoints
from samza_py.errors import CheckpointError
from tests.connectors.local.workload import JOB, commit

async def main():
    async with LocalCheckpoints(sys.argv[1]).store(JOB) as store:
        claim, found = await store.open(Grant("price/0"))
        number = found.number if found else 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, -1))
        try:
            while True:
                await commit(store, claim, number + 1)
                number += 1
        except CheckpointError as error:
            print(number, error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        await commit(store, claim, number + 1)
        print(number + 1)

asyncio.run(main())
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB, where this user may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def plain(epoch: int, number: int) -> Checkpoint:
    return Checkpoint(epoch, number, stores={"counts": str(number)})


async def until_refused(store: CheckpointStore, claim: Claim) -> tuple[int, CheckpointError]:
    """Commit until it fails; gives the last number that was acknowledged.

    Every key is new, so that no compaction makes room.
    """
    for number in range(1, 5000):
        changes = {"counts": [(b"k%d" % number, b"x" * 200)]}
        try:
            await store.write(claim, plain(claim.epoch, number), changes)
        except CheckpointError as error:
            return number - 1, error
    raise AssertionError("nothing was ever refused")


async def found(path: Path) -> int:
    """The number of the newest commit, its entries checked."""
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, newest = await store.open(Grant(TASK))
        assert newest is not None
        assert await restored(store, claim, newest.stores) == state(TASK, newest.number)
        return newest.number


async def test_a_file_that_cannot_grow_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    command = [sys.executable, "-c", LIMITED, str(path)]
    root = Path(__file__).parents[3]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=50, check=False, cwd=root
    )
    assert ended.returncode == 0, ended.stderr
    failed, after = ended.stdout.splitlines()
    number, told = failed.split(" ", 1)
    assert told.startswith(f"cannot write {path}: File too large (EFBIG); ")
    assert told.endswith(" free there")
    assert int(after) == int(number) + 1
    assert await found(path) == int(after)


async def test_a_full_disk_is_said_and_a_run_with_room_is_right(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = small_disk / "checkpoints.log"
    put(small_disk / "other", b"x" * (120 << 10))
    async with LocalCheckpoints(path, compact_above="16KiB").store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        number, error = await until_refused(store, claim)
        assert re.match(rf"cannot write {path}: No space .*ENOSPC.* free there", str(error))
        caplog.clear()
    os.unlink(small_disk / "other")
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, newest = await store.open(Grant(TASK))
        assert newest is not None
        assert newest.number == number
        assert not caplog.records, "half a commit was left behind"
        entries = await restored(store, claim, newest.stores)
        assert len(entries["counts"]) == number
        await store.write(claim, plain(claim.epoch, number + 1), None)


async def test_a_compaction_without_room_does_not_fail_the_job(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = small_disk / "checkpoints.log"
    async with LocalCheckpoints(path, compact_above="160KiB").store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        number = 0
        while not caplog.records:
            number += 1
            await store.write(
                claim,
                plain(claim.epoch, number),
                {"counts": [(f"k{number}".encode(), os.urandom(2000))]},
            )
            assert number < 100
        [warning] = caplog.records
        assert f"cannot compact {path}: No space" in warning.getMessage()
    assert names(small_disk) == {path.name, path.name + ".lock"}
    async with LocalCheckpoints(path).store(JOB) as store:
        assert (await store.read())[TASK].number == number


async def test_after_a_failed_fsync_nothing_more_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints.log"
    real = disk.sync

    def broken(fd: int) -> None:
        monkeypatch.setattr(disk, "sync", real)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        await commit(store, claim, 1)
        before = size(path)
        monkeypatch.setattr(disk, "sync", broken)
        with pytest.raises(CheckpointError, match=rf"cannot write {path}: Input/output error"):
            await commit(store, claim, 2)
        assert size(path) == before
        # The next fsync would say that all is well.
        with pytest.raises(CheckpointError, match="could not be brought to the disk earlier"):
            await commit(store, claim, 2)
        with pytest.raises(CheckpointError, match="could not be brought to the disk earlier"):
            await store.open(Grant(TASK))
    assert await found(path) == 1


async def test_a_folder_that_cannot_be_synced_after_an_exchange_ends_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoints.log"
    async with LocalCheckpoints(path, compact_above="4KiB").store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))

        def broken(_: Path) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(disk, "sync_folder", broken)
        number, error = await until_refused(store, claim)
        assert f"cannot compact {path}: Input/output error" in str(error)
    monkeypatch.undo()
    async with LocalCheckpoints(path).store(JOB) as store:
        assert (await store.read())[TASK].number == number


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder to read only; root, who may write everywhere, is nobody meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(NOBODY)
        yield Path(folder)
        os.seteuid(user)


async def test_a_folder_without_permission_is_named(forbidden: Path) -> None:
    async with LocalCheckpoints(forbidden / "new" / "checkpoints.log").store(JOB) as store:
        with pytest.raises(CheckpointError, match=r"cannot open .*Permission denied \(EACCES\)"):
            await store.open(Grant(TASK))


async def test_a_folder_below_a_file_is_named(tmp_path: Path) -> None:
    put(tmp_path / "file", b"")
    with pytest.raises(CheckpointError, match=r"cannot read .*file/checkpoints.log: Not a dir"):
        async with LocalCheckpoints(tmp_path / "file" / "checkpoints.log").store(JOB):
            pass
