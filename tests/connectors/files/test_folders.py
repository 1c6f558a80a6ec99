"""Which files an input reads, which partition they are in, and what it refuses."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

from samza_py.admin import AtOffset, AtTime, Newest, Oldest
from samza_py.connectors.files import Files
from samza_py.connectors.files.offsets import START
from samza_py.connectors.files.paths import bucket_of
from samza_py.errors import ConfigError, ConnectorError, CorruptCheckpointError, PositionLostError
from samza_py.message import END, Offset, Partition
from tests.connectors.files.reading import CLAIM as OWNER
from tests.connectors.files.reading import (
    consumer_of,
    drained,
    fill,
    key_of,
    partitions_of,
    read_all,
    read_on,
    text,
    values,
)


async def test_a_single_file_is_one_partition(tmp_path: Path) -> None:
    fill(tmp_path, "a/b.txt")

    assert [p.id for p in await partitions_of(text(tmp_path, "a/b.txt"))] == ["0"]
    assert values(await read_all(text(tmp_path, "a/b.txt"))) == [b"a/b.txt"]


async def test_a_folder_is_a_fixed_number_of_partitions(tmp_path: Path) -> None:
    names = [f"in/{n % 3}/{n}.txt" for n in range(40)]
    fill(tmp_path, *names)
    stream = text(tmp_path, "in", max_partitions=5)

    partitions = await partitions_of(stream)

    assert [p.id for p in partitions] == ["0", "1", "2", "3", "4"]
    for partition in partitions:
        found = [v.decode() for v in values(await read_on(stream, partition=partition.id))]
        own = [name for name in names if bucket_of(name, 5) == int(partition.id)]
        assert found == sorted(own)


def test_a_file_keeps_its_bucket_for_ever() -> None:
    assert [bucket_of(f"in/{n}.csv", 16) for n in range(8)] == [3, 2, 15, 12, 12, 12, 10, 7]
    assert bucket_of("in/\udcff.csv", 16) == bucket_of("in/\udcff.csv", 16)


async def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    fill(tmp_path, "in/a", "in/.b", "in/_SUCCESS", "in/.staged/c", "in/_tmp/d", "in/e/f", "in/g/.h")

    assert sorted(values(await read_all(text(tmp_path, "in")))) == [b"in/a", b"in/e/f"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("in/*.csv", ["in/a.csv", "in/b.csv"]),
        ("in/[ab].csv", ["in/a.csv", "in/b.csv"]),
        ("in/**/*.csv", ["in/a.csv", "in/b.csv", "in/x/c.csv", "in/x/y/d.csv"]),
        ("*/x/*", ["in/x/c.csv", "in/x/e.txt"]),
        ("in/?.txt", []),
        ("**", ["in/a.csv", "in/b.csv", "in/x/c.csv", "in/x/e.txt", "in/x/y/d.csv"]),
    ],
)
async def test_a_pattern_chooses_files(pattern: str, found: list[str], tmp_path: Path) -> None:
    fill(tmp_path, "in/a.csv", "in/b.csv", "in/x/c.csv", "in/x/y/d.csv", "in/x/e.txt", "in/.f.csv")

    messages = await read_all(text(tmp_path, pattern, max_partitions=3))

    assert sorted(v.decode() for v in values(messages)) == found


async def test_a_file_whose_name_has_a_bracket_can_be_read(tmp_path: Path) -> None:
    fill(tmp_path, "a[1].txt")

    assert values(await read_all(text(tmp_path, "a[1].txt"))) == [b"a[1].txt"]


async def test_a_pattern_without_files_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert await read_all(text(tmp_path, "*.csv")) == []
    assert "files.input: there are no files at *.csv" in caplog.text


async def test_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    fill(tmp_path, "in/a")
    (tmp_path / "in/b").symlink_to("c")

    with pytest.raises(ConnectorError, match="in/b is a link to nothing"):
        await read_all(text(tmp_path, "in"))


async def test_names_with_any_characters_resume(tmp_path: Path) -> None:
    names = ["a b#c:1%2.txt", "tab\there\nline", "é\u2028", os.fsdecode(b"\xff\xfe")]
    for name in names:
        (tmp_path / name).write_text("one\ntwo\n")
    stream = text(tmp_path, ".", max_partitions=1)

    messages = await read_on(stream)

    assert values(messages) == [b"one", b"two"] * 4
    for index, message in enumerate(messages):
        message.offset.encode()  # goes into checkpoints
        assert message.offset.isprintable()
        assert len(await read_on(stream, message.offset)) == 7 - index


@pytest.mark.parametrize(
    "path",
    ["../up", "a/../../b", "..", "/etc/passwd", "a\0b", "~root", "file:///etc", "", "s3://b"],
)
def test_a_path_must_stay_below_the_root(path: str) -> None:
    files = Files(root="data")
    with pytest.raises(ConfigError, match=r"input\.path"):
        files.text("input", path)
    with pytest.raises(ConfigError, match=r"output\.path"):
        files.jsonl_output("output", path, value=int)


@pytest.mark.parametrize(
    "root", ["http://169.254.169.254/x", "s3://bucket", "memory://", "", "a\0b"]
)
def test_a_root_must_be_of_an_allowed_protocol(root: str) -> None:
    with pytest.raises(ConfigError, match=r"systems\.files\.root"):
        Files(root=root)


async def test_a_link_must_not_lead_out_of_the_root(tmp_path: Path) -> None:
    fill(tmp_path, "secret", "root/in/a")
    (tmp_path / "root/link").symlink_to("../secret")
    (tmp_path / "root/folder").symlink_to("..")
    (tmp_path / "root/in/b").symlink_to("../../secret")
    root = tmp_path / "root"

    for path in ("link", "folder", "folder/secret", "in"):
        with pytest.raises(ConnectorError, match="leads out of"):
            await read_all(text(root, path))
    output = Files(root=str(root)).jsonl_output("output", "folder/out", value=int)
    with pytest.raises(ConnectorError, match="leads out of"):
        async with output.system.producer({"output": output}, OWNER):
            pass
    assert sorted(os.listdir(tmp_path)) == ["root", "secret"]


async def test_a_link_below_the_root_is_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, "data/a", "data/in/b")
    (tmp_path / "data/in/again").symlink_to("..")
    (tmp_path / "data/in/c").symlink_to("../a")

    assert sorted(values(await read_all(text(tmp_path, "data/in")))) == [
        b"data/a",
        b"data/a",
        b"data/in/b",
    ]


async def test_a_link_that_is_changed_later_is_checked_again(tmp_path: Path) -> None:
    fill(tmp_path, "secret", "root/in/a", "root/real")
    (tmp_path / "root/in/b").symlink_to("../real")
    stream = text(tmp_path / "root", "in", max_partitions=1)
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(OWNER, {key: START})
        (tmp_path / "root/in/b").unlink()
        (tmp_path / "root/in/b").symlink_to("../../secret")
        with pytest.raises(ConnectorError, match=r"in/b: .*leads out of"):
            await drained(consumer, key)


async def test_what_is_missing_is_named_with_what_is_there_instead(tmp_path: Path) -> None:
    fill(tmp_path, "flights/2013.csv")

    with pytest.raises(ConnectorError, match=r"files\.input: there is no flihgts in .*flights\?"):
        await partitions_of(text(tmp_path, "flihgts/2013.csv"))
    with pytest.raises(
        ConnectorError, match=r"no 2014\.csv in .*/flights; did you mean 2013\.csv\?"
    ):
        await partitions_of(text(tmp_path, "flights/2014.csv"))
    with pytest.raises(ConnectorError, match="there is no flight in"):
        await partitions_of(text(tmp_path, "flight/*.csv"))
    with pytest.raises(ConnectorError, match="there is no x"):
        await partitions_of(text(tmp_path / "nowhere", "x"))


async def test_control_characters_are_escaped_in_messages(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError) as caught:
        await partitions_of(text(tmp_path, "a\x1b]0;\nred"))
    assert str(caught.value).isprintable()


async def test_a_start_is_resolved(tmp_path: Path) -> None:
    fill(tmp_path, "a")
    stream = text(tmp_path, "a")
    here = Partition("files", "input", "0")
    (message,) = await read_on(stream)
    async with stream.system.admin({"input": stream}) as admin:
        assert await admin.start_position(here, Oldest()) == START
        assert await admin.start_position(here, Newest()) is END
        at = AtOffset({"0": message.offset})
        assert await admin.start_position(here, at) == message.offset
        assert await admin.start_position(here, AtOffset({"1": message.offset})) == START
        assert (await admin.bounds([here]))[here] == (START, END)
        with pytest.raises(ConnectorError, match="cannot start at a time"):
            await admin.start_position(here, AtTime(0))
        for wrong in ("nonsense", message.offset.replace("a#", "b#")):
            with pytest.raises(PositionLostError):
                await admin.start_position(here, AtOffset({"0": wrong}))
        with pytest.raises(CorruptCheckpointError):
            admin.compare(Offset("nonsense"), START)


async def test_folders_of_outputs_are_made_and_inputs_are_not(tmp_path: Path) -> None:
    files = Files(root=str(tmp_path / "root"))
    output = files.jsonl_output("out", "a/b", value=int)
    source = files.text("in", "missing")
    async with files.admin({"out": output, "in": source}) as admin:
        assert await admin.create(["out", "in"]) == ["out"]
        assert await admin.create(["out", "in"]) == []
        assert [p.id for p in await admin.partitions("out")] == ["0"]
    assert (tmp_path / "root/a/b").is_dir()


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_partitions": 0},
        {"max_partitions": 5000},
        {"compression": "lzma"},
        {"max_record_bytes": 0},
        {"max_decompressed_bytes": "much"},
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(ConfigError, match=rf"input\.{name}"):
        text("data", "a", **wrong)


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "é"])
def test_a_wrong_delimiter_is_named(delimiter: str) -> None:
    with pytest.raises(ConfigError, match=r"input\.delimiter"):
        Files(root="data").csv("input", "a", value=dict[str, str], delimiter=delimiter)


async def test_what_is_no_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in/pipe")  # passed over: reading it would wait for ever
    fill(tmp_path, "in/b")
    assert values(await read_all(text(tmp_path, "in"))) == [b"in/b"]


async def test_files_in_memory_are_read_too() -> None:
    fsspec: Any = importlib.import_module("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/inputs/a.txt", b"one\ntwo\n")
    try:
        stream = text("memory://inputs", "a.txt")
        messages = await read_all(stream)
        assert values(messages) == [b"one", b"two"]
        assert values(await read_on(stream, messages[0].offset)) == [b"two"]
    finally:
        memory.rm("/inputs", recursive=True)
