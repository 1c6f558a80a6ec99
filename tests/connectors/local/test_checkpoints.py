"""What a local file promises as a checkpoint store, and what it says where it cannot."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from samza_py.checkpoint import Checkpoint, Grant
from samza_py.connectors.local import LocalCheckpoints
from samza_py.errors import CheckpointError, ConfigError, CorruptCheckpointError, FencedError
from samza_py.seam import Seam, use_seam
from samza_py.transaction import Transaction
from tests.connectors.local.on_disk import content, flip_a_bit_in_the_middle, move, names, put, size
from tests.connectors.local.workload import JOB, checkpoint, commit, restored, state

TASK = "price/0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints.log"


async def write_some(path: Path, commits: int = 5) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, found = await store.open(Grant(TASK))
        first = found.number + 1 if found else 1
        for number in range(first, first + commits):
            await commit(store, claim, number)


async def opened(path: Path) -> Checkpoint | None:
    async with LocalCheckpoints(path).store(JOB) as store:
        return (await store.open(Grant(TASK)))[1]


async def test_a_commit_comes_back_with_its_entries(path: Path) -> None:
    await write_some(path, 60)
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, found = await store.open(Grant(TASK))
        assert found is not None
        older = claim.epoch - 1
        assert found == checkpoint(type(claim)(TASK, older), 60)
        assert await restored(store, claim, found.stores) == state(TASK, 60)


async def test_a_write_of_an_older_claim_takes_no_effect(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        older, _ = await store.open(Grant(TASK))
        await commit(store, older, 1)
        newer, _ = await store.open(Grant(TASK))
        assert newer.epoch == older.epoch + 1
        before = size(path)
        with pytest.raises(FencedError, match=f"epoch {older.epoch} is no longer"):
            await commit(store, older, 2)
        with pytest.raises(FencedError):
            await restored(store, older, {"counts": "1"})
        assert size(path) == before
        await commit(store, newer, 2)
        assert (await store.read([TASK]))[TASK].epoch == newer.epoch


async def test_a_claim_of_an_earlier_run_is_fenced_too(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        older, _ = await store.open(Grant(TASK))
    async with LocalCheckpoints(path).store(JOB) as store:
        await store.open(Grant(TASK))
        with pytest.raises(FencedError):
            await commit(store, older, 1)


async def test_a_file_made_anew_repeats_no_epoch(path: Path) -> None:
    class Clock(Seam):
        now = 1_000_000

        def now_ms(self) -> int:
            return self.now

    clock = Clock()
    with use_seam(clock):
        async with LocalCheckpoints(path).store(JOB) as store:
            epochs = [(await store.open(Grant(TASK)))[0].epoch for _ in range(3)]
        assert await asyncio.to_thread(LocalCheckpoints(path).set_aside, JOB)
        clock.now += 60_000
        async with LocalCheckpoints(path).store(JOB) as store:
            epochs.append((await store.open(Grant(TASK)))[0].epoch)
    assert epochs == [1001, 1002, 1003, 1061]


async def test_only_the_newest_marker_can_be_restored(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        assert await restored(store, claim, {"counts": ""}) == {"counts": {}}
        for number in (1, 2):
            await commit(store, claim, number)
        for marker in ("", "1", "3"):
            with pytest.raises(CheckpointError, match="as of marker '2' alone"):
                await restored(store, claim, {"counts": marker})


async def test_entries_of_a_store_without_a_marker_are_forgotten(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        await commit(store, claim, 1)
        await store.write(claim, Checkpoint(claim.epoch, 2))
        again = Checkpoint(claim.epoch, 3, stores={"counts": "3"})
        await store.write(claim, again, {"counts": [(b"new", b"1")]})
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        assert await restored(store, claim, {"counts": "3"}) == {"counts": {b"new": b"1"}}


async def test_changes_without_a_marker_are_refused(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        with pytest.raises(CheckpointError, match="no marker for its changed stores counts"):
            await store.write(claim, Checkpoint(claim.epoch, 1), {"counts": [(b"a", b"1")]})
        with pytest.raises(CheckpointError, match="under a claim of epoch"):
            await store.write(claim, Checkpoint(claim.epoch + 1, 1))
        assert await store.read() == {}


async def test_a_transaction_is_refused(path: Path) -> None:
    class Foreign(Transaction):
        async def begin(self) -> None: ...
        async def commit(self) -> None: ...
        async def abort(self) -> None: ...

    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        with pytest.raises(CheckpointError, match="no transaction"):
            await store.write(claim, Checkpoint(claim.epoch, 1), None, Foreign())


async def test_a_write_cut_short_is_removed_with_one_warning(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await write_some(path)
    before = size(path)
    await write_some(path, 1)
    put(path, content(path)[:-1])
    found = await opened(path)
    assert found is not None
    assert found.number == 5
    [warning] = caplog.records
    assert f"{path}: the last write was cut short by a crash" in warning.getMessage()
    caplog.clear()
    await write_some(path, 1)
    found = await opened(path)
    assert (found and found.number, caplog.records) == (6, [])
    assert size(path) > before


async def test_damage_before_the_end_names_path_and_byte_and_a_way_out(path: Path) -> None:
    await write_some(path)
    data = flip_a_bit_in_the_middle(path)
    with pytest.raises(CorruptCheckpointError) as refused:
        await opened(path)
    told = str(refused.value)
    assert str(path) in told
    assert "damaged at byte " in told
    assert "--ignore-checkpoint" in told
    assert content(path) == data
    with pytest.raises(CorruptCheckpointError):
        async with LocalCheckpoints(path).store(JOB) as store:
            await store.read()


@pytest.mark.parametrize("held", [b"", b"\0" * 100, b"{}", b"\x93samza"])
async def test_another_content_is_never_taken_for_a_new_file(path: Path, held: bytes) -> None:
    put(path, held)
    with pytest.raises(CorruptCheckpointError, match="byte 0"):
        await opened(path)
    assert content(path) == held


async def test_a_newer_format_version_is_named(path: Path) -> None:
    await write_some(path)
    data = bytearray(content(path))
    data[8:12] = (99).to_bytes(4, "little")
    put(path, data)
    with pytest.raises(CorruptCheckpointError, match=r"has format version 99 .* reads up to 1"):
        await opened(path)


async def test_a_file_of_another_job_is_refused(path: Path) -> None:
    await write_some(path)
    async with LocalCheckpoints(path).store("bar") as store:
        with pytest.raises(CheckpointError, match="of job 'shop', not of 'bar'"):
            await store.open(Grant(TASK))


async def test_a_file_that_was_set_aside_is_kept_and_the_next_run_starts_over(path: Path) -> None:
    checkpoints = LocalCheckpoints(path)
    assert await asyncio.to_thread(checkpoints.set_aside, JOB) is None
    for number in (1, 2):
        await write_some(path)
        data = content(path)
        aside = await asyncio.to_thread(checkpoints.set_aside, JOB)
        assert aside == f"{path}.set-aside-{number}"
        assert content(Path(aside or "")) == data
    assert await opened(path) is None


async def test_a_file_in_use_is_not_set_aside(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        await store.open(Grant(TASK))
        with pytest.raises(CheckpointError, match=f"in use by another run in this.*{os.getpid()}"):
            await asyncio.to_thread(LocalCheckpoints(path).set_aside, JOB)


async def test_file_and_folder_are_private(tmp_path: Path) -> None:
    path = tmp_path / "state" / "shop" / "checkpoints.log"
    before = os.umask(0)
    try:
        await write_some(path)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(one.stat().st_mode) for one in (path.parent.parent, path.parent, path)]
    assert modes == [0o700, 0o700, 0o600]
    assert stat.S_IMODE(path.with_name("checkpoints.log.lock").stat().st_mode) == 0o600


async def test_links_and_folders_are_refused(path: Path, tmp_path: Path) -> None:
    await write_some(tmp_path / "real")
    os.symlink(tmp_path / "real", path)
    with pytest.raises(CheckpointError, match="is a symbolic link"):
        await opened(path)
    with pytest.raises(CheckpointError, match="is a folder"):
        await opened(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="is not a file"):
        await opened(tmp_path / "pipe")


async def test_reading_makes_no_file(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        assert await store.read() == {}
    assert not names(path.parent)


async def test_a_file_that_is_moved_away_takes_no_more_commits(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
        await commit(store, claim, 1)
        move(path, path.with_name("moved"))
        with pytest.raises(CheckpointError, match="was moved or removed while it was in use"):
            await commit(store, claim, 2)
        move(path.with_name("moved"), path)
        with pytest.raises(CheckpointError, match="was moved or removed"):
            await commit(store, claim, 2)


async def test_a_lock_that_is_removed_ends_the_writing(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as first:
        claim, _ = await first.open(Grant(TASK))
        await commit(first, claim, 1)
        os.unlink(f"{path}.lock")
        async with LocalCheckpoints(path).store(JOB) as second:
            newer, _ = await second.open(Grant(TASK))
            with pytest.raises(CheckpointError, match=r"\.lock was removed while it was in use"):
                await commit(first, claim, 2)
            await commit(second, newer, 2)
    found = await opened(path)
    assert found is not None
    assert (found.epoch, found.number) == (newer.epoch, 2)


async def test_a_closed_store_writes_nothing(path: Path) -> None:
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant(TASK))
    with pytest.raises(CheckpointError, match="is not open"):
        await commit(store, claim, 1)
    with pytest.raises(CheckpointError, match="is closed"):
        await store.open(Grant(TASK))


def test_without_a_path_it_is_in_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/ann")
    checkpoints = LocalCheckpoints()
    assert checkpoints.path_of("shop") == Path("/var/ann/samza-py/shop/checkpoints.log")
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    assert checkpoints.location("shop") == "/home/ann/.local/state/samza-py/shop/checkpoints.log"


def test_a_given_path_is_made_absolute_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.chdir(tmp_path)
    checkpoints = LocalCheckpoints("state/../shop.log")
    monkeypatch.chdir("/")
    assert checkpoints.location("shop") == str(tmp_path / "shop.log")
    assert LocalCheckpoints("~/shop.log").location("shop") == "/home/ann/shop.log"


@pytest.mark.parametrize("path", ["", "state/", "a\0b"])
def test_a_path_that_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match=r"LocalCheckpoints\.path"):
        LocalCheckpoints(path)


def test_it_serves_one_container_and_lasts() -> None:
    assert (LocalCheckpoints.shared, LocalCheckpoints.durable) == (False, True)
