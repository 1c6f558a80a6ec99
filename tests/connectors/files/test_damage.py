"""Files that are damaged, too large, or made to do harm."""

from __future__ import annotations

import gzip
import json
import resource
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cramjam import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samza_py.connectors.files import FileInput, Files
from samza_py.connectors.files import zstandard as zstandard_module
from samza_py.errors import ConnectorError
from samza_py.message import Undecodable
from tests.connectors.files.reading import SUFFIXES, packed, read_all, read_on, values, zipped

LINES = b"".join(b"line %d\n" % n for n in range(5000))


def text(root: Path, path: str, **settings: Any) -> FileInput[str]:
    return Files(root=str(root)).text("input", path, **settings)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_what_is_in_front_of_a_missing_end_is_read(compression: str, tmp_path: Path) -> None:
    content = packed(LINES, compression)
    name = "a.txt" + SUFFIXES[compression]
    (tmp_path / name).write_bytes(content[:-20])

    messages = await read_on(text(tmp_path, name))

    assert isinstance(messages[-1], Undecodable)
    assert f"{name}: it ends in the middle of its compressed data" in str(messages[-1].error)
    good = values(messages)[:-1]
    assert good == LINES.splitlines()[: len(good)]
    assert len(good) >= 2000


async def test_all_records_in_front_of_damage_are_read_wherever_reading_began(
    tmp_path: Path,
) -> None:
    content = bytearray(gzip.compress(LINES))
    content[-8] ^= 1  # the checksum: all of the content is good
    (tmp_path / "a.gz").write_bytes(content)
    stream = text(tmp_path, "a.gz")

    messages = await read_on(stream)

    assert values(messages)[:-1] == LINES.splitlines()[:-1]
    assert "incorrect data check" in values(messages)[-1]
    for index in (0, 2500, 4998):
        assert (
            values(await read_on(stream, messages[index].offset)) == values(messages)[index + 1 :]
        )


@pytest.mark.parametrize("compression", ["gzip", "zstd", "zip"])
async def test_damage_costs_its_file_and_the_next_one_is_read(
    compression: str, tmp_path: Path
) -> None:
    content = bytearray(packed(LINES, compression))
    # Zstandard content without a checksum is only known to be damaged where a frame begins.
    at = content.rindex(b"\x28\xb5\x2f\xfd") if compression == "zstd" else len(content) // 3
    content[at] ^= 0xFF
    (tmp_path / f"a{SUFFIXES[compression]}").write_bytes(content)
    (tmp_path / f"b{SUFFIXES[compression]}").write_bytes(packed(b"good\n", compression))
    stream = text(tmp_path, ".", max_partitions=1)

    messages = await read_on(stream)

    bad = [m for m in messages if isinstance(m, Undecodable)]
    assert len(bad) == 1
    assert f"a{SUFFIXES[compression]}" in str(bad[0].error)
    assert messages[-1].raw_value == b"good"
    # Skipped by the policy, it is not met again.
    assert values(await read_on(stream, bad[0].offset)) == [b"good"]


@pytest.mark.parametrize(
    ("compression", "why"),
    [
        ("gzip", "incorrect header check"),
        ("zstd", "its compressed data is damaged"),
        ("zip", "its zip directory cannot be read (File is not a zip file)"),
    ],
)
async def test_what_is_not_compressed_at_all_is_told(
    compression: str, why: str, tmp_path: Path
) -> None:
    name = "a" + SUFFIXES[compression]
    (tmp_path / name).write_bytes(b"just text\n" * 9)

    messages = await read_on(text(tmp_path, name))

    assert [type(m) for m in messages] == [Undecodable]
    told = str(messages[0].error)  # type: ignore[union-attr]
    assert told.startswith(f"{name}: ")
    assert why in told


@given(
    content=st.binary(max_size=60),
    compression=st.sampled_from(["gzip", "zstd", "zip"]),
    cut=st.integers(0, 40),
    change=st.tuples(st.integers(0, 200), st.integers(1, 255)),
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_no_damage_is_worse_than_undecodable(
    content: bytes, compression: str, cut: int, change: tuple[int, int], tmp_path: Path
) -> None:
    stored = bytearray(packed(content * 3, compression))
    if stored:
        stored[change[0] % len(stored)] ^= change[1]
    name = "a" + SUFFIXES[compression]
    (tmp_path / name).write_bytes(stored[: len(stored) - cut])
    stream = text(tmp_path, name)

    messages = await read_on(stream)

    for index, message in enumerate(messages):
        assert values(await read_on(stream, message.offset)) == values(messages)[index + 1 :]


async def test_zip_members_are_read_in_their_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    members = {"b.txt": b"1\n2", "__MACOSX/._b.txt": b"no", "d/": b"", "a/a.txt": b"3\n", "e": b""}
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED):
        (tmp_path / "a.zip").write_bytes(zipped(members, method))
        stream = text(tmp_path, "a.zip")
        messages = await read_on(stream)
        assert values(messages) == [b"1", b"2", b"3"]
        assert values(await read_on(stream, messages[0].offset)) == [b"2", b"3"]
        assert values(await read_on(stream, messages[1].offset)) == [b"3"]


async def test_a_zip_member_that_cannot_be_read_does_not_cost_the_others(tmp_path: Path) -> None:
    content = bytearray(zipped({"a": b"one\n", "b": b"two\n"}, zipfile.ZIP_STORED))
    content[content.index(b"one")] ^= 1
    (tmp_path / "a.zip").write_bytes(content)

    found = values(await read_on(text(tmp_path, "a.zip")))

    assert found == [b"nne", "a.zip: the checksum of a in it is wrong", b"two"]


async def test_a_zip_by_another_method_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"a.txt": b"one\n"}, zipfile.ZIP_BZIP2))

    found = values(await read_on(text(tmp_path, "a.zip")))

    assert found == ["a.zip: a.txt in it is compressed by method 12"]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "zip"])
async def test_a_bomb_is_refused(compression: str, tmp_path: Path) -> None:
    zeros = b"\0" * (80 << 20)
    if compression == "gzip":
        stored = gzip.compress(zeros, 1)
    elif compression == "zstd":
        stored = b"".join(bytes(zstd.compress(zeros[: 8 << 20])) for _ in range(10))
    else:
        stored = zipped({"bomb": zeros})
    name = "a" + SUFFIXES[compression]
    (tmp_path / name).write_bytes(stored)
    del zeros
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(ConnectorError, match=rf"{name}.*max_decompressed_bytes"):
        await read_on(text(tmp_path, name))

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100 << 10  # KiB: nothing near what it unpacks to is held


async def test_the_cap_holds_for_all_members_of_a_zip_together(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({str(n): b"x" * 1000 for n in range(10)}))

    with pytest.raises(ConnectorError, match=r"more than 4\.9 KiB"):
        await read_on(text(tmp_path, "a.zip", max_decompressed_bytes=5000))
    assert len(await read_on(text(tmp_path, "a.zip", max_decompressed_bytes="10kB"))) == 10


async def test_records_of_10_mb_get_through(tmp_path: Path) -> None:
    large = b"x" * (10 << 20)
    (tmp_path / "a.txt").write_bytes(b"a\n" + large + b"\nb\n")
    (tmp_path / "a.csv").write_bytes(b'k,v\n1,"' + large + b'\n"\n2,b\n')

    assert values(await read_on(text(tmp_path, "a.txt"))) == [b"a", large, b"b"]
    rows = await read_on(Files(root=str(tmp_path)).csv("input", "a.csv", value=dict[str, str]))
    assert [len(row["v"]) for row in values(rows)] == [len(large) + 1, 1]


async def test_a_record_over_the_limit_is_passed_over_without_being_held(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as file:
        file.write(b"first\n")
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\nlast")
    with (tmp_path / "a.csv").open("wb") as file:
        file.write(b'k,v\n1,"')
        for _ in range(100):
            file.write(b"x\n" * (1 << 19))
        file.write(b'"\n2,b\n')
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    lines = await read_on(text(tmp_path, "a.txt", max_record_bytes="1MiB"))
    csv = Files(root=str(tmp_path)).csv(
        "input", "a.csv", value=dict[str, str], max_record_bytes="1MiB"
    )
    rows = await read_on(csv)

    told = "a record of 104857601 bytes is over max_record_bytes (1048576)"
    assert values(lines) == [b"first", told, b"last"]
    assert values(rows) == [told.replace("601", "605"), {"k": "2", "v": "b"}]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60 << 10
    assert values(await read_on(csv, rows[0].offset)) == values(rows)[1:]


async def test_an_oversized_record_at_the_very_end_is_told_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 3_000_000)

    found = await read_on(text(tmp_path, "a.txt", max_record_bytes=1000))

    assert [type(m) for m in found] == [Undecodable]


async def test_deep_nesting_is_an_error_of_the_serde_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"[" * 100_000 + b"]" * 100_000 + b"\n")
    stream = Files(root=str(tmp_path)).jsonl("input", "a.jsonl", value=list[Any])

    (message,) = await read_on(stream)

    with pytest.raises((RecursionError, ValueError)):
        stream.value_serde.decoder()(message.raw_value)


async def test_an_object_of_100_000_fields_is_one_record(tmp_path: Path) -> None:
    wide = json.dumps({str(n): n for n in range(100_000)}).encode()
    (tmp_path / "a.jsonl").write_bytes(wide + b"\n")
    stream = Files(root=str(tmp_path)).jsonl("input", "a.jsonl", value=dict[str, int])

    (message,) = await read_all(stream)

    assert len(stream.value_serde.decoder()(message.raw_value)) == 100_000


async def test_gzip_may_be_padded_with_zeros(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"a\n") + b"\0" * 600)

    assert values(await read_on(text(tmp_path, "a.gz"))) == [b"a"]


async def test_zstd_without_a_library_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zst").write_bytes(bytes(zstd.compress(b"a\n")))

    def loaded(name: str) -> None:
        return None

    monkeypatch.setattr(zstandard_module, "_loaded", loaded)

    with pytest.raises(ConnectorError, match=r'pip install "samza-py\[zstd\]"'):
        await read_on(text(tmp_path, "a.zst"))


async def test_a_large_zstd_frame_wants_a_library_that_unpacks_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zst").write_bytes(bytes(zstd.compress(LINES * 100)))
    monkeypatch.setattr(zstandard_module, "FRAME_BYTES", 1 << 18)
    cramjam = zstandard_module._loaded("cramjam")

    def loaded(name: str) -> object:
        return cramjam if name == "cramjam" else None

    monkeypatch.setattr(zstandard_module, "_loaded", loaded)

    with pytest.raises(ConnectorError, match="zstd frame of more than"):
        await read_on(text(tmp_path, "a.zst"))
