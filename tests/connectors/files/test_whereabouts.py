"""A record that failed is found by its file and line, counted only then."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from samza_py import DeadLetter, Fail, Job, Message, Skip
from samza_py.connectors.files import FileInput, Files, whereabouts
from samza_py.connectors.files.offsets import WHOLE_FILE, prefix_of, stamp_of
from samza_py.connectors.files.storage import Storage
from samza_py.connectors.local import LocalCheckpoints
from samza_py.errors import TaskFailedError
from samza_py.loading import run_in_loop
from samza_py.message import Offset
from samza_py.policies import ErrorPolicy
from samza_py.serde import Row
from tests.connectors.files.reading import SUFFIXES, key_of, packed, read_on, zipped


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of some lines are read in many pieces."""
    monkeypatch.setattr(whereabouts, "_PIECE_BYTES", 16)


async def places(stream: FileInput[Any], offsets: Sequence[str]) -> list[str]:
    """Where each offset is said to be, asked in turn."""
    async with stream.system.admin({stream.name: stream}) as admin:
        found = [await admin.place_of(key_of(stream).partition, Offset(o)) for o in offsets]
    return [str(place).removeprefix(f"{stream.system.root}/") for place in found]  # type: ignore[attr-defined]


async def places_of_all(stream: FileInput[Any], *, backwards: bool = False) -> list[str]:
    offsets = [message.offset for message in await read_on(stream)]
    if backwards:
        return (await places(stream, offsets[::-1]))[::-1]
    return await places(stream, offsets)


LINES = [f"{'x' * (number * 7 % 23)}{number}" for number in range(1, 60)]


@pytest.mark.parametrize("compression", SUFFIXES)
@pytest.mark.parametrize("backwards", [False, True])
async def test_lines_are_counted_from_one_in_any_order_and_packing(
    tmp_path: Path, compression: str, backwards: bool
) -> None:
    name = f"a.txt{SUFFIXES[compression]}"
    content = packed("\n".join(LINES).encode(), compression)
    await asyncio.to_thread((tmp_path / name).write_bytes, content)
    stream = Files(root=str(tmp_path)).text("lines", name)
    member = " member 1" if compression == "zip" else ""
    wanted = [f"{name}{member} line {number}" for number in range(1, 60)]
    assert await places_of_all(stream, backwards=backwards) == wanted


async def test_blank_lines_and_the_header_count_and_a_row_is_found_at_its_last_line(
    tmp_path: Path,
) -> None:
    files = Files(root=str(tmp_path))
    await asyncio.to_thread((tmp_path / "a.jsonl").write_bytes, b"1\n\n\r\n2\n3")
    await asyncio.to_thread((tmp_path / "a.csv").write_bytes, b'a,b\r\n1,2\r\n"1\n\n",2\n3,4\n')
    jsonl: FileInput[Any] = files.jsonl("jsonl", "a.jsonl", value=int)
    csv: FileInput[Any] = files.csv("csv", "a.csv", value=Row[Any](dict))
    assert await places_of_all(jsonl) == [f"a.jsonl line {n}" for n in (1, 4, 5)]
    assert await places_of_all(csv) == [f"a.csv line {n}" for n in (2, 5, 6)]


async def test_members_of_a_zip_have_lines_of_their_own(tmp_path: Path) -> None:
    content = zipped({"x": b"one\ntwo\n", "y": b"three\n"})
    await asyncio.to_thread((tmp_path / "a.zip").write_bytes, content)
    stream = Files(root=str(tmp_path)).text("lines", "a.zip")
    wanted = ["a.zip member 1 line 1", "a.zip member 1 line 2", "a.zip member 2 line 1"]
    assert await places_of_all(stream) == wanted


async def test_a_line_that_is_too_far_off_or_gone_is_told_by_its_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    await asyncio.to_thread(path.write_bytes, b"12345\n" * 20)
    stream = Files(root=str(tmp_path)).text("lines", "a.txt")
    offsets = [message.offset for message in await read_on(stream)]
    monkeypatch.setattr(whereabouts, "_MOST_BYTES", 60)
    assert await places(stream, [offsets[9]]) == ["a.txt line 10"]
    assert await places(stream, [offsets[10]]) == ["a.txt, up to byte 66"]
    await asyncio.to_thread(path.write_bytes, b"other\n" * 20)
    assert await places(stream, [offsets[9]]) == ["a.txt, up to byte 60"]
    await asyncio.to_thread(path.unlink)
    assert await places(stream, [offsets[9]]) == ["a.txt, up to byte 60"]


async def test_what_is_damaged_as_a_whole_has_a_file_and_no_line(tmp_path: Path) -> None:
    stream = Files(root=str(tmp_path)).text("lines", "a.gz")
    assert await places(stream, [f"{prefix_of('a.gz', '1f.00aa00bb')}{WHOLE_FILE}"]) == ["a.gz"]


async def test_failures_side_by_side_open_the_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread((tmp_path / "a.txt").write_bytes, b"1\n" * 500)
    stream = Files(root=str(tmp_path)).text("lines", "a.txt")
    offsets = [message.offset for message in await read_on(stream)]
    opened: list[str] = []
    real = Storage.open

    def counted(self: Storage, name: str) -> Any:
        opened.append(name)
        return real(self, name)

    monkeypatch.setattr(Storage, "open", counted)
    assert len(set(await places(stream, offsets))) == 500
    assert len(opened) == 2  # for its stamp, and to be read


# In a job ----------------------------------------------------------------------------------


def job_over(folder: Path, policy: ErrorPolicy, *, batch: bool = False) -> Job[Any]:
    """A job that reads numbers, one of which is none, and cannot bear a 13."""
    (folder / "in.jsonl").write_bytes(b"1\n2\nthree\n13\n5\n")
    files = Files(root=str(folder))
    kept = LocalCheckpoints(folder / "checkpoints.log")
    job = Job("numbers", on_error=policy, checkpoints=kept)
    numbers = files.jsonl("numbers", "in.jsonl", value=int)

    def refuse(message: Message[None, int]) -> None:
        if message.value == 13:
            raise ValueError("unlucky")

    def refuse_some(messages: Sequence[Message[None, int]]) -> None:
        for message in messages:
            refuse(message)

    if batch:
        job.batch_task(numbers, name="count")(refuse_some)
    else:
        job.task(numbers, name="count")(refuse)
    return job


@pytest.mark.parametrize("batch", [False, True])
async def test_a_dead_letter_names_file_and_line(tmp_path: Path, batch: bool) -> None:
    failed = Files(root=str(tmp_path), name="dead").dead_letters("failed", "failed")
    await run_in_loop(await asyncio.to_thread(job_over, tmp_path, DeadLetter(failed), batch=batch))

    def letters() -> list[dict[str, Any]]:
        (part,) = (tmp_path / "failed").glob("part-*.jsonl")
        return [json.loads(line) for line in part.read_text().splitlines()]

    found = {letter["value"]: letter["place"] for letter in await asyncio.to_thread(letters)}
    assert found == {"three": f"{tmp_path}/in.jsonl line 3", "13": f"{tmp_path}/in.jsonl line 4"}


async def test_the_error_of_a_task_names_file_and_line_and_keeps_the_offset(tmp_path: Path) -> None:
    job = await asyncio.to_thread(job_over, tmp_path, Fail())
    with pytest.raises(TaskFailedError) as failed:
        await run_in_loop(job)
    here = f"failed at {tmp_path}/in.jsonl line 3 (files.numbers[0] offset in.jsonl#"
    assert here in str(failed.value)


async def test_the_log_of_what_is_skipped_names_file_and_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = await asyncio.to_thread(job_over, tmp_path, Skip())
    with caplog.at_level(logging.WARNING):
        await run_in_loop(job)
    assert (
        f"task count/0 skipped {tmp_path}/in.jsonl line 3 (files.numbers[0] offset " in caplog.text
    )


async def test_a_root_of_the_current_folder_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.txt"
    await asyncio.to_thread(path.write_bytes, b"one\n")

    def offset() -> str:
        with path.open("rb") as file:
            return f"{prefix_of('a.txt', stamp_of(file, 4))}4"

    stream = Files(root=".").text("lines", "a.txt")
    assert await places(stream, [await asyncio.to_thread(offset)]) == ["a.txt line 1"]
