"""Full disks, folders that may not be written to, and checkpoints that are not what they were."""

from __future__ import annotations

import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.campaigns.driving import Counting, chance_of
from tests.campaigns.launching import KILLED
from tests.campaigns.numbered import Load
from tests.campaigns.small_disks import NoSmallDiskError, SmallDisk, small_disk

# A task goes back to its checkpoint ten times, with growing waits, before it gives up.
pytestmark = [pytest.mark.campaign, pytest.mark.timeout(300)]

GROWING = {"CAMPAIGN_COMPACT_ABOVE": "1GiB"}
"""The file of checkpoints is never made smaller, so that a small disk is soon full."""


@contextmanager
def mounted(folder: Path, size: str) -> Generator[SmallDisk]:
    """A small disk; the test is skipped where this user may not mount one."""
    try:
        with small_disk(folder, size) as disk:
            yield disk
    except NoSmallDiskError as error:
        pytest.skip(f"needs root to mount a small disk: {error}")


def refused_with(campaign: Counting, *words: str) -> None:
    """One start that ends with 1, and says this without a traceback."""
    assert campaign.run() == 1, campaign.log()
    log = campaign.log()
    assert "Traceback" not in log, log
    for word in words:
        assert word in log, log


# A disk that is full -------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["serial", "spread"])
def test_a_full_disk_under_the_state_is_named_and_a_start_after_it_is_right(
    tmp_path: Path, variant: str, seed: int
) -> None:
    with mounted(tmp_path / "job" / "state", "8k") as disk:
        load = Load(records=400)
        campaign = Counting(tmp_path / "job", variant, seed, load, settings=dict(GROWING))
        refused_with(campaign, "checkpoints.log", "ENOSPC", "free there")
        refused_with(campaign, "checkpoints.log")
        disk.remount("size=8m")
        campaign.finish()
        campaign.check()


@pytest.mark.parametrize("output", ["out", "out/large"])
def test_a_full_disk_under_an_output_shows_no_torn_file_and_a_start_after_it_is_right(
    tmp_path: Path, output: str, seed: int
) -> None:
    with mounted(tmp_path / "job" / output, "48k" if output == "out" else "12k") as disk:
        campaign = Counting(tmp_path / "job", "serial", seed, Load(records=600))
        refused_with(campaign, "cannot write out/", "No space left on device", "free there)")
        assert "GiB free" not in campaign.log(), "that is another disk"
        for part in (tmp_path / "job" / "out").rglob("part-*.jsonl"):
            assert part.read_bytes().endswith(b"\n"), f"{part} is torn"
        disk.remount("size=8m")
        campaign.finish()
        campaign.check()


@pytest.mark.parametrize("limit", [6_000, 20_000])
def test_a_file_that_may_not_grow_further_ends_the_job_and_a_start_after_it_is_right(
    tmp_path: Path, limit: int, seed: int
) -> None:
    """For users who may mount nothing: the operating system refuses in the same place."""
    campaign = Counting(tmp_path, "serial", seed, Load(records=400), settings=dict(GROWING))
    campaign.settings["CAMPAIGN_FILE_LIMIT"] = str(limit)
    assert campaign.run() == 1, campaign.log()
    assert "File too large" in campaign.log()
    assert "Traceback" not in campaign.log()
    del campaign.settings["CAMPAIGN_FILE_LIMIT"]
    campaign.finish()
    campaign.check()


# A folder that may not be written to ---------------------------------------------------------


def test_an_output_that_may_not_be_written_to_is_named_and_a_start_after_it_is_right(
    tmp_path: Path, seed: int
) -> None:
    with mounted(tmp_path / "job" / "out" / "counted", "8m") as disk:
        campaign = Counting(tmp_path / "job", "serial", seed)
        assert campaign.run("commit.finishing:2") == KILLED
        disk.remount("ro")
        refused_with(campaign, "out/counted", "Read-only file system")
        disk.remount("rw")
        campaign.finish()
        campaign.check()


def test_a_state_folder_that_may_not_be_written_to_is_named(tmp_path: Path, seed: int) -> None:
    with mounted(tmp_path / "job" / "state", "8m") as disk:
        campaign = Counting(tmp_path / "job", "serial", seed)
        assert campaign.run("commit.written:2") == KILLED
        disk.remount("ro")
        refused_with(campaign, "checkpoints.log", "Read-only file system")
        disk.remount("rw")
        campaign.finish()
        campaign.check()


# Checkpoints that are not what they were -----------------------------------------------------


def killed_in_the_middle(folder: Path, seed: int) -> Counting:
    """A job with some commits behind it and some before it."""
    campaign = Counting(folder, "serial", seed, Load(records=400), 1.0, settings=dict(GROWING))
    assert campaign.run("commit.written:4") == KILLED, campaign.log()
    return campaign


def test_a_damaged_checkpoint_is_refused_by_its_place_and_nothing_is_read(
    tmp_path: Path, seed: int
) -> None:
    campaign = killed_in_the_middle(tmp_path, seed)
    chance = chance_of(seed, "damage")
    whole = campaign.checkpoints.read_bytes()
    for _ in range(3):
        damaged = bytearray(whole)
        # Before the last frame: what is damaged there cannot be a write cut short by a crash.
        damaged[chance.randrange(20, whole.rindex(b"\x93frm"))] ^= 1 << chance.randrange(8)
        campaign.checkpoints.write_bytes(bytes(damaged))
        parts = campaign.parts()
        refused_with(campaign, "checkpoints.log", "--ignore-checkpoint")
        assert campaign.parts() == parts
        assert campaign.checkpoints.read_bytes() == bytes(damaged), "a refused file was changed"
    campaign.checkpoints.write_bytes(whole)
    campaign.finish()
    campaign.check()


def test_a_checkpoint_of_a_future_version_is_refused(tmp_path: Path, seed: int) -> None:
    campaign = killed_in_the_middle(tmp_path, seed)
    whole = campaign.checkpoints.read_bytes()
    campaign.checkpoints.write_bytes(whole[:8] + struct.pack("<I", 99) + whole[12:])
    refused_with(campaign, "version 99", "run a newer samza-py", "--ignore-checkpoint")
    campaign.checkpoints.write_bytes(whole)
    campaign.finish()
    campaign.check()


def test_ignoring_a_damaged_checkpoint_sets_it_aside_and_starts_over(
    tmp_path: Path, seed: int
) -> None:
    campaign = killed_in_the_middle(tmp_path, seed)
    campaign.checkpoints.write_bytes(b"not a checkpoint\n")
    for part in (tmp_path / "out").rglob("part-*.jsonl"):
        part.unlink()  # a start from the beginning writes all of it again
    assert campaign.run(arguments=("--ignore-checkpoint",)) == 0, campaign.log()
    assert "set aside" in campaign.log()
    kept = [path for path in campaign.checkpoints.parent.iterdir() if "set-aside" in path.name]
    assert [path.read_bytes() for path in kept] == [b"not a checkpoint\n"]
    campaign.check()


def test_two_processes_on_one_state_are_one_and_a_clear_line(tmp_path: Path, seed: int) -> None:
    campaign = Counting(tmp_path, "serial", seed, Load(records=600), 3.0)
    first = campaign.start()
    first_log = campaign.log_file(1)
    try:
        while "starts at the oldest" not in first_log.read_text():
            assert first.poll() is None, first_log.read_text()
        assert campaign.run() == 1, campaign.log()
        assert f"pid {first.pid}" in campaign.log()
        assert "Traceback" not in campaign.log()
    finally:
        code = campaign.ended(first, "the first of two")
    assert code == 0
    campaign.finish()
    campaign.check()
