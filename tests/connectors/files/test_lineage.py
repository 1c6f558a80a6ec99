"""What a checkpoint keeps of the files that it speaks of, and which others are refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samza_py import Job, Message
from samza_py.connectors.files import FileInput, Files
from samza_py.connectors.files import listing as listings
from samza_py.connectors.files.paths import bucket_of
from samza_py.connectors.files.storage import Entry, storage_at
from samza_py.connectors.local import LocalCheckpoints
from samza_py.errors import PositionLostError, UnavailableError
from samza_py.message import Partition
from tests.connectors.files.reading import fill, partitions_of, text


async def test_the_same_files_have_the_same_lineage(tmp_path: Path) -> None:
    fill(tmp_path, "in/a", "in/b")
    stream = text(tmp_path, "in", max_partitions=1)
    before = await partitions_of(stream)
    os.utime(tmp_path / "in/a", (0, 0))  # copied files are the same files

    assert await partitions_of(stream) == before
    (lineage,) = before.values()
    assert lineage.startswith("files/2 TextLines() infer in in 1 partitions: in/a (5 bytes, ")


async def test_the_lineage_of_many_files_stays_short(tmp_path: Path) -> None:
    fill(tmp_path, *(f"in/{n:04}" for n in range(500)))

    (lineage,) = (await partitions_of(text(tmp_path, "in", max_partitions=1))).values()

    assert ": 500 files, 4000 bytes, " in lineage
    assert len(lineage) < 300


@pytest.mark.parametrize("change", ["new in front", "new behind", "gone", "larger", "renamed"])
async def test_another_set_of_files_has_another_lineage(change: str, tmp_path: Path) -> None:
    fill(tmp_path, "in/b", "in/c")
    stream = text(tmp_path, "in", max_partitions=1)
    before = await partitions_of(stream)

    if change == "new in front":
        fill(tmp_path, "in/a")
    elif change == "new behind":
        fill(tmp_path, "in/d")
    elif change == "gone":
        (tmp_path / "in/c").unlink()
    elif change == "larger":
        (tmp_path / "in/b").write_text("in/b and more\n")
    else:
        (tmp_path / "in/b").rename(tmp_path / "in/x")

    assert set((await partitions_of(stream)).values()).isdisjoint(before.values())


async def test_what_changed_is_told_in_the_words_of_the_declaration(tmp_path: Path) -> None:
    fill(tmp_path, "in/b", "in/c, d", "in/e")
    stream = text(tmp_path, "in", max_partitions=1)
    (before,) = (await partitions_of(stream)).values()
    (tmp_path / "in/b").write_text("in/b and more\n")
    (tmp_path / "in/e").unlink()
    fill(tmp_path, "in/a")
    (now,) = (await partitions_of(stream)).values()
    assert stream.changed(before, now) == (
        "its set of files: in/a is new, in/b had 5 bytes and has 14, in/e is gone"
    )
    other = text(tmp_path, "in", max_partitions=1, compression="none")
    (declared,) = (await partitions_of(other)).values()
    assert stream.changed(now, declared) == "its declaration: compression was infer and is none"


async def test_many_files_are_told_by_their_number(tmp_path: Path) -> None:
    fill(tmp_path, *(f"in/{n:04}" for n in range(500)))
    stream = text(tmp_path, "in", max_partitions=1)
    (before,) = (await partitions_of(stream)).values()
    fill(tmp_path, "in/more")
    (now,) = (await partitions_of(stream)).values()
    told = "its set of files: it was 500 files, 4000 bytes and is 501 files, 4008 bytes"
    assert stream.changed(before, now) == told


async def test_a_new_file_changes_the_lineage_of_its_own_partition_only(tmp_path: Path) -> None:
    fill(tmp_path, "in/a")
    stream = text(tmp_path, "in", max_partitions=8)
    before = await partitions_of(stream)
    fill(tmp_path, "in/b")

    after = await partitions_of(stream)

    changed = [p.id for p in before if before[p] != after[p]]
    assert changed == [str(bucket_of("in/b", 8))]


async def test_other_settings_have_another_lineage(tmp_path: Path) -> None:
    fill(tmp_path, "in/a")
    files = Files(root=str(tmp_path))
    streams: list[FileInput[Any]] = [
        files.text("input", "in", max_partitions=1),
        files.text("input", "in", max_partitions=2),
        files.text("input", "in", max_partitions=1, compression="gzip"),
        files.jsonl("input", "in", value=int, max_partitions=1),
        files.csv("input", "in", value=dict[str, str], max_partitions=1),
        files.csv("input", "in", value=dict[str, str], max_partitions=1, delimiter=";"),
    ]
    lineages = [
        (await partitions_of(stream))[Partition("files", "input", "0")] for stream in streams
    ]
    assert len(set(lineages)) == len(lineages)


# Content -------------------------------------------------------------------------------------


async def test_other_content_of_the_same_size_is_another_lineage(tmp_path: Path) -> None:
    fill(tmp_path, "in/a", "in/b")
    stream = text(tmp_path, "in", max_partitions=1)
    (before,) = (await partitions_of(stream)).values()
    (tmp_path / "in/b").write_text("IN/B\n")
    (now,) = (await partitions_of(stream)).values()
    assert stream.changed(before, now) == "its files: in/b has other content"


async def test_many_files_with_other_content_are_not_named(tmp_path: Path) -> None:
    fill(tmp_path, *(f"in/{n:04}" for n in range(500)))
    stream = text(tmp_path, "in", max_partitions=1)
    (before,) = (await partitions_of(stream)).values()
    (tmp_path / "in/0007").write_text("IN/0007\n")
    (now,) = (await partitions_of(stream)).values()
    assert stream.changed(before, now) == "its files: one or more have other content"


@pytest.mark.parametrize(("at", "seen"), [(0, True), (4095, True), (50_000, False), (-1, True)])
async def test_of_a_large_file_both_ends_are_compared(at: int, seen: bool, tmp_path: Path) -> None:
    content = bytearray(b"line\n" * 20_000)
    (tmp_path / "a").write_bytes(content)
    before = await partitions_of(text(tmp_path, "a"))
    content[at] = ord("X")
    (tmp_path / "a").write_bytes(content)
    assert (await partitions_of(text(tmp_path, "a")) != before) is seen


def version_1(lineage: str) -> str:
    """The same set of files as version 1 wrote it: by names and sizes."""
    shorter = re.sub(r" bytes, [0-9a-f]{8}\)", " bytes)", lineage.replace("files/2", "files/1"))
    return shorter.rpartition(".")[0]


async def test_a_lineage_of_version_1_is_compared_by_names_and_sizes(tmp_path: Path) -> None:
    fill(tmp_path, "in/a", "in/b")
    stream = text(tmp_path, "in", max_partitions=1)
    (lineage,) = (await partitions_of(stream)).values()
    before = version_1(lineage)
    (tmp_path / "in/b").write_text("IN/B\n")
    (now,) = (await partitions_of(stream)).values()
    assert now != lineage
    assert stream.changed(before, now) == ""
    (tmp_path / "in/b").write_text("longer\n")
    (now,) = (await partitions_of(stream)).values()
    assert stream.changed(before, now) == "its set of files: in/b had 5 bytes and has 7"


def test_a_file_that_goes_before_it_is_looked_into_is_listed_again(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="gone is gone since the files were listed"):
        listings.stamps_of(storage_at(str(tmp_path)), [Entry("gone", 5)])


# Jobs ----------------------------------------------------------------------------------------


async def copied(root: Path, state: Path) -> list[str]:
    """What a job reads of `in.txt` in this run."""
    read: list[str] = []
    source = Files(root=str(root)).text("lines", "in.txt")
    job = Job("copying", checkpoints=LocalCheckpoints(state))

    @job.task(source)
    async def copy(line: Message[None, str]) -> None:
        read.append(line.value)

    await job.arun()
    return read


async def test_a_finished_file_that_was_edited_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("count 3\n")
    state = tmp_path / "state.log"
    assert await copied(tmp_path, state) == ["count 3"]
    assert await copied(tmp_path, state) == []
    (tmp_path / "in.txt").write_text("count 4\n")
    told = r"files\.lines\[0\] has changed .* task copy/0: its files: in\.txt has other content"
    with pytest.raises(PositionLostError, match=told):
        await copied(tmp_path, state)


async def test_two_roots_do_not_share_progress_by_a_jobs_name(tmp_path: Path) -> None:
    for root in ("one", "other", "copy"):
        (tmp_path / root).mkdir()
        (tmp_path / root / "in.txt").write_text("other\n" if root == "other" else "first\n")
    state = tmp_path / "state.log"
    assert await copied(tmp_path / "one", state) == ["first"]
    with pytest.raises(PositionLostError, match=r"in\.txt has other content"):
        await copied(tmp_path / "other", state)
    assert await copied(tmp_path / "copy", state) == []


async def test_a_checkpoint_of_version_1_holds_contents_from_its_next_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.txt").write_text("count 3\n")
    state = tmp_path / "state.log"

    def names_and_sizes(*given: Any) -> str:
        return version_1(listings.lineage_of(*given))

    with monkeypatch.context() as earlier:
        earlier.setattr("samza_py.connectors.files.admin.lineage_of", names_and_sizes)
        assert await copied(tmp_path, state) == ["count 3"]
    assert await copied(tmp_path, state) == []
    (tmp_path / "in.txt").write_text("count 4\n")
    with pytest.raises(PositionLostError, match=r"in\.txt has other content"):
        await copied(tmp_path, state)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "samza_py", *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_the_command_ends_with_1_where_an_input_was_edited(tmp_path: Path) -> None:
    assert command(tmp_path, "new", "job.py").returncode == 0
    assert command(tmp_path, "run", "job.py").returncode == 0
    data = tmp_path / "job-input.jsonl"
    edited = data.read_text().replace('"count": 3', '"count": 4')
    assert edited != data.read_text()
    data.write_text(edited)
    ended = command(tmp_path, "run", "job.py")
    assert ended.returncode == 1
    assert "job-input.jsonl has other content" in ended.stderr
    assert command(tmp_path, "run", "job.py", "--ignore-checkpoint").returncode == 0
