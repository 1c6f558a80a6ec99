"""Messages, partitions and records: what they say of themselves, and what they count."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# What is called here stands in tables of lambdas, whose types nobody needs.

from __future__ import annotations

import gc

import pytest
from msgspec import UNSET

from samza_py import Message, Partition, Record
from samza_py.errors import SerdeError
from samza_py.message import (
    END,
    End,
    Offset,
    Outgoing,
    TaskPartition,
    Undecodable,
    key_shown,
    size_of,
)

PLACE = Partition("memory", "orders", "3")


def test_a_partition_is_shown_as_people_say_it_and_compares_by_its_parts() -> None:
    assert str(PLACE) == "memory.orders[3]"
    assert Partition("memory", "orders", "3") == PLACE
    assert len({PLACE, Partition("memory", "orders", "3")}) == 1
    assert sorted([PLACE, Partition("a", "z", "9")])[0].system == "a"
    with pytest.raises(AttributeError):
        PLACE.id = "4"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("raw", "key", "shown"),
    [
        (None, None, ""),
        (b"A17", "A17", ", key 'A17'"),
        (b"17", 17, ", key '17'"),
        (b"A17", b"A17", ", key 'A17'"),
        (b"not decoded", None, ", key 'not decoded'"),
        (b"\xff\n", None, r", key '\\xff\n'"),
        (b"k" * 1000, None, f", key '{'k' * 80}'"),
    ],
)
def test_a_key_is_shown_escaped_and_cut(raw: bytes | None, key: object, shown: str) -> None:
    assert key_shown(Message(PLACE, 1, raw, b"", key=key)) == shown
    offset, error = Offset("1"), SerdeError("damaged")
    damaged = Undecodable(PLACE, offset, offset, b"", error, raw)
    assert (key_shown(damaged) == "") is (raw is None)


def test_a_message_says_where_it_stands() -> None:
    message: Message[str, int] = Message(PLACE, Offset("881"), b"k", b"5")
    assert message.where == "memory.orders[3] offset 881"
    decoded: object = (message.key, message.value, message.timestamp_ms)
    assert decoded == (None, None, -1)
    in_file: Message[None, str] = Message(PLACE, 881, None, b"v", prefix="orders.csv#1f.9c3b11aa:")
    assert in_file.offset == "orders.csv#1f.9c3b11aa:881"
    broken = Undecodable(PLACE, Offset("9"), Offset("7"), b"?", SerdeError("no"))
    assert broken.where == "memory.orders[3] offset 9"


def test_two_messages_of_the_same_content_are_two() -> None:
    def made() -> Message[bytes, bytes]:
        return Message(PLACE, Offset("1"), b"k", b"v")

    assert made() != made()
    assert len({made(), made()}) == 2


def test_the_garbage_collector_does_not_look_at_messages() -> None:
    assert not gc.is_tracked(Message(PLACE, Offset("1"), b"k", b"v"))
    assert not gc.is_tracked(Outgoing("out", b"k", b"v"))
    assert not gc.is_tracked(PLACE)


def test_a_record_tells_a_key_that_was_left_out_from_none() -> None:
    assert Record(1).key is UNSET
    assert Record(1, key=None).key is None
    assert Record(1, key="k") == Record(1, key="k")
    assert Record(1) != Record(1, key=None)


def test_what_goes_out_counts_key_and_value() -> None:
    assert Outgoing("out", b"key", b"value").size == 8
    assert Outgoing("out", None, b"value").size == 5
    assert Outgoing("out", b"key", None).size == 3
    assert Outgoing("out", None, {"a": 1}).size == 64


def test_what_comes_in_counts_its_headers_and_an_envelope() -> None:
    plain: Message[bytes, bytes] = Message(PLACE, Offset("1"), None, None)
    full: Message[bytes, bytes] = Message(PLACE, Offset("1"), b"k", b"v" * 10, 5, [("ab", b"cd")])
    assert size_of(full) - size_of(plain) == 1 + 10 + 4
    row: Message[bytes, bytes] = Message(PLACE, Offset("1"), None, {"a": 1})
    assert size_of(row) > size_of(plain)


def test_the_end_is_one_value_and_no_offset() -> None:
    assert END is End.END
    text: object = "end"
    assert text != END


def test_a_task_partition_is_the_pair() -> None:
    assert TaskPartition("work/3", PLACE) == ("work/3", PLACE)
