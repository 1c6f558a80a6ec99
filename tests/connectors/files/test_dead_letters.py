"""Dead letters in files keep their reason, and whatever bytes they came as."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from samza_py import DeadLetter, Job, Message
from samza_py.checkpoint import Claim
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints
from samza_py.loading import run_in_loop
from samza_py.message import Headers, Outgoing
from samza_py.producer import TwoPhaseProducer

OURS: Headers = (("samza-source", b"files.orders[0]"), ("samza-error-type", b"ValueError"))


async def written(folder: Path, message: Outgoing) -> Any:
    """The line that a message becomes."""
    files = Files(root=str(folder))
    failed = files.dead_letters("failed", "failed")
    producer = files.producer({"failed": failed}, Claim("price/0", 1))
    assert isinstance(producer, TwoPhaseProducer)
    async with producer:
        await producer.write([message])
        for tokens in (await producer.stage()).values():
            for token in tokens:
                await producer.finish(token)
    return await asyncio.to_thread(only_line, folder / "failed")


def only_line(folder: Path) -> Any:
    (part,) = folder.glob("part-*.jsonl")
    (line,) = part.read_text().splitlines()
    return json.loads(line)


async def test_a_line_has_the_source_and_the_reason_beside_the_value(tmp_path: Path) -> None:
    line = await written(
        tmp_path, Outgoing("failed", None, b'{"id": 1}', 5, headers=OURS, dead=True)
    )
    assert line == {
        "source": "files.orders[0]",
        "error_type": "ValueError",
        "timestamp_ms": 5,
        "key": None,
        "value": '{"id": 1}',
    }


async def test_the_sources_own_headers_stay_in_order_and_may_repeat(tmp_path: Path) -> None:
    headers = (("trace", b"1"), *OURS, ("trace", b"\xff"))
    line = await written(tmp_path, Outgoing("failed", b"k", b"v", headers=headers))
    assert line["headers"] == [["trace", "1"], ["trace", {"base64": "/w=="}]]


async def test_no_header_takes_the_place_of_the_value(tmp_path: Path) -> None:
    headers = (("samza-value", b"forged"), ("samza-key", b"forged"))
    line = await written(tmp_path, Outgoing("failed", b"k", b"v", headers=headers))
    assert (line["key"], line["value"]) == ("k", "v")


async def test_a_file_that_is_no_zip_is_one_letter_which_names_it_and_says_why(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt.zip").write_bytes(b"just text\n" * 9)
    (tmp_path / "in" / "b.txt").write_bytes(b"good\n")
    files, read = Files(root=str(tmp_path)), list[str]()
    failed = files.dead_letters("failed", "failed")
    kept = LocalCheckpoints(tmp_path / "checkpoints.log")
    job = Job("reading", on_error=DeadLetter(failed), checkpoints=kept)

    @job.task(files.text("lines", "in", max_partitions=1))
    async def take(line: Message[None, str]) -> None:
        read.append(line.value)

    await run_in_loop(job)
    letter = await asyncio.to_thread(only_line, tmp_path / "failed")
    assert "a.txt.zip: its zip directory cannot be read (File is not a zip" in letter["error"]
    assert read == ["good"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (b"two\nlines", "two\nlines"),
        (b"\xff\x00", {"base64": "/wA="}),
    ],
)
async def test_any_bytes_are_one_line(value: bytes | None, shown: Any, tmp_path: Path) -> None:
    assert (await written(tmp_path, Outgoing("failed", None, value)))["value"] == shown
