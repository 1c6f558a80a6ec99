"""What is read: formats, compressions, positions."""

from __future__ import annotations

import csv
import io
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samza_py.connectors.files import FileInput, Files
from samza_py.connectors.files.offsets import compare_offsets
from samza_py.consumer import Room
from samza_py.message import Message, Undecodable
from tests.connectors.files.reading import SUFFIXES, packed, read_on, values

CONTENT = {
    "csv": b'name,note\nann,"a ""quoted"" one"\nbob,"two\nlines"\n\ncid,"crlf\r\nin it"\r\ndan,\n',
    "jsonl": b'{"a":1}\n\n{"a":"\xc3\xa9"}\r\n\n{"a":3}',
    "text": b"one\n\ntwo\r\nthree \n last",
}
EXPECTED: dict[str, list[Any]] = {
    "csv": [
        {"name": "ann", "note": 'a "quoted" one'},
        {"name": "bob", "note": "two\nlines"},
        {"name": "cid", "note": "crlf\r\nin it"},
        {"name": "dan", "note": ""},
    ],
    "jsonl": [b'{"a":1}', b'{"a":"\xc3\xa9"}', b'{"a":3}'],
    "text": [b"one", b"", b"two", b"three ", b" last"],
}


def declared(root: Path, form: str, path: str) -> FileInput[Any]:
    files = Files(root=str(root))
    if form == "csv":
        return files.csv("input", path, value=dict[str, str])
    if form == "jsonl":
        return files.jsonl("input", path, value=dict[str, str])
    return files.text("input", path)


@pytest.mark.parametrize("compression", SUFFIXES)
@pytest.mark.parametrize("form", CONTENT)
async def test_each_format_is_read_in_each_compression(
    form: str, compression: str, tmp_path: Path
) -> None:
    name = f"data.{form}{SUFFIXES[compression]}"
    (tmp_path / name).write_bytes(packed(CONTENT[form], compression))

    messages = await read_on(declared(tmp_path, form, name))

    assert values(messages) == EXPECTED[form]


@pytest.mark.parametrize("compression", SUFFIXES)
@pytest.mark.parametrize("form", CONTENT)
async def test_reading_resumes_behind_each_record(
    form: str, compression: str, tmp_path: Path
) -> None:
    name = f"data.{form}{SUFFIXES[compression]}"
    (tmp_path / name).write_bytes(packed(CONTENT[form], compression))
    stream = declared(tmp_path, form, name)
    messages = await read_on(stream)

    for index, message in enumerate(messages):
        rest = await read_on(stream, message.offset)
        assert values(rest) == EXPECTED[form][index + 1 :]
        assert [m.offset for m in rest] == [m.offset for m in messages[index + 1 :]]


async def test_offsets_grow_from_record_to_record(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x\n" * 20)

    offsets = [m.offset for m in await read_on(declared(tmp_path, "text", "a.txt"))]

    for first, second in pairwise(offsets):
        assert compare_offsets(first, second) < 0
        assert compare_offsets(second, first) > 0
        assert compare_offsets(first, first) == 0


async def test_a_byte_order_mark_is_no_part_of_csv_or_json(tmp_path: Path) -> None:
    for form in ("csv", "jsonl"):
        (tmp_path / form).write_bytes(b"\xef\xbb\xbf" + CONTENT[form])
        stream = declared(tmp_path, form, form)
        messages = await read_on(stream)
        assert values(messages) == EXPECTED[form]
        assert values(await read_on(stream, messages[0].offset)) == EXPECTED[form][1:]


@pytest.mark.parametrize("form", CONTENT)
async def test_an_empty_file_has_no_records(form: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")

    assert await read_on(declared(tmp_path, form, "empty")) == []


async def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b")

    assert await read_on(declared(tmp_path, "csv", "a.csv")) == []


async def test_another_delimiter_can_be_declared(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a;b\n1,5;2\n")
    stream = Files(root=str(tmp_path)).csv("input", "a.csv", value=dict[str, str], delimiter=";")

    assert values(await read_on(stream)) == [{"a": "1,5", "b": "2"}]


async def test_bad_rows_are_told_apart_and_the_others_are_read(tmp_path: Path) -> None:
    content = b'a,b\n1,2\n3\n4,\xff\n5,6,7\n"8"x,9\n10,"un\nquoted\n'
    (tmp_path / "a.csv").write_bytes(content + b'11"\n12,13\n')
    stream = declared(tmp_path, "csv", "a.csv")

    messages = await read_on(stream)

    assert values(messages) == [
        {"a": "1", "b": "2"},
        "the row has 1 fields, the header 2",
        "the row is not UTF-8",
        "the row has 3 fields, the header 2",
        "',' expected after '\"'",
        {"a": "10", "b": "un\nquoted\n11"},
        {"a": "12", "b": "13"},
    ]
    raws = [m.raw_value for m in messages if isinstance(m, Undecodable)]
    assert raws == [b"3\n", b"4,\xff\n", b"5,6,7\n", b'"8"x,9\n']
    for index, message in enumerate(messages):
        assert values(await read_on(stream, message.offset)) == values(messages[index + 1 :])


async def test_a_quote_that_is_never_closed_costs_the_rest_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'a,b\n1,2\n3,"4\n5,6\n')

    messages = await read_on(declared(tmp_path, "csv", "a.csv"))

    assert values(messages) == [{"a": "1", "b": "2"}, "unexpected end of data"]


@pytest.mark.parametrize("header", [b"a,a\n1,2\n", b'"a"b,c\n1,2\n', b"\xff,b\n1,2\n"])
async def test_a_header_that_cannot_be_one_costs_its_file(header: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(header)
    stream = declared(tmp_path, "csv", "a.csv")

    messages = await read_on(stream)

    assert len(messages) == 1
    assert "a.csv: its header" in values(messages)[0]
    assert await read_on(stream, messages[0].offset) == []


FIELDS = st.text(st.sampled_from('ab,"\n\r é\0'), max_size=6)


@st.composite
def csv_files(draw: st.DrawFn) -> tuple[bytes, list[dict[str, str]]]:
    """A CSV file as some program may have written it, and its rows."""
    rows = draw(st.lists(st.tuples(FIELDS, FIELDS), max_size=8))
    text = io.StringIO(newline="")
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    # Python 3.11 leaves a carriage return bare where it need not quote, which is no CSV.
    bare = draw(st.booleans()) and not any("\r" in field for row in rows for field in row)
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL if bare else csv.QUOTE_ALL
    writer = csv.writer(text, lineterminator=ending, quoting=quoting)
    writer.writerow(("x", "y"))
    for row in rows:
        if draw(st.booleans()):
            text.write(ending)
        writer.writerow(row)
    content = text.getvalue()
    if draw(st.booleans()):
        content = content.removesuffix(ending)
    mark = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    return mark + content.encode(), [{"x": x, "y": y} for x, y in rows]


@given(file=csv_files(), compression=st.sampled_from(list(SUFFIXES)), most=st.integers(1, 3))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_csv_is_read_and_resumed_behind_each_row(
    file: tuple[bytes, list[dict[str, str]]], compression: str, most: int, tmp_path: Path
) -> None:
    content, rows = file
    name = f"a.csv{SUFFIXES[compression]}"
    (tmp_path / name).write_bytes(packed(content, compression))
    stream = declared(tmp_path, "csv", name)

    messages = await read_on(stream, room=Room(most, 1 << 20))

    assert values(messages) == rows
    for index, message in enumerate(messages):
        assert values(await read_on(stream, message.offset)) == rows[index + 1 :]


ANY_BYTES = st.binary(max_size=200) | st.text('ab,"\n\r', max_size=80).map(str.encode)


@given(content=ANY_BYTES, form=st.sampled_from(list(CONTENT)), limit=st.integers(1, 40))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_whatever_the_bytes_each_position_resumes_to_the_same_rest(
    content: bytes, form: str, limit: int, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(content)
    stream = declared(tmp_path, form, "a")
    stream.max_record_bytes = limit

    messages = await read_on(stream)

    for index, message in enumerate(messages):
        rest = await read_on(stream, message.offset)
        assert values(rest) == values(messages[index + 1 :])


async def test_a_csv_is_read_the_same_however_it_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"x": f"{n}\n" * (n % 5), "y": '"' * (n % 3)} for n in range(300)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("x", "y"))
    writer.writerows(row.values() for row in rows)
    (tmp_path / "a.csv").write_text(text.getvalue(), newline="")
    stream = declared(tmp_path, "csv", "a.csv")

    for size in (1, 7, 64, 1000):
        monkeypatch.setattr("samza_py.connectors.files.reader.CHUNK_BYTES", size)
        monkeypatch.setattr("samza_py.connectors.files.rows.RowCutter.block_bytes", size)
        messages = await read_on(stream)
        assert values(messages) == rows
        assert values(await read_on(stream, messages[149].offset)) == rows[150:]


async def test_a_poll_keeps_to_its_room(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"0123456789\n" * 1000)
    stream = declared(tmp_path, "text", "a.txt")
    messages = await read_on(stream, room=Room(1, 1 << 20))
    assert len(messages) == 1000
    assert all(isinstance(m, Message) for m in messages)
    assert len(await read_on(stream, room=Room(1000, 1))) == 1000
