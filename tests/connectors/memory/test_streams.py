"""What the declaration of a memory stream says to people and to type checkers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_type

import pytest

from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.errors import SerdeError
from samza_py.message import Message
from samza_py.serde import Json, Raw, Text


@dataclass
class Order:
    sku: str
    amount: int


def test_types_are_inferred_from_the_declaration() -> None:
    memory = Memory()
    raw = assert_type(memory.stream("raw"), MemoryStream[bytes, bytes])
    keyed = assert_type(memory.stream("keyed", key=str), MemoryStream[str, bytes])
    valued = assert_type(memory.stream("valued", value=Order), MemoryStream[bytes, Order])
    both = assert_type(
        memory.stream("both", key=str, value=Json[Order](), partitions=2), MemoryStream[str, Order]
    )
    memory.put(both, "k", Order("a", 1))
    assert_type(memory.read(both), list[Message[str, Order]])
    assert isinstance(raw.key_serde, Raw)
    assert isinstance(keyed.key_serde, Text)
    assert valued.value_serde == Json(Order)


def test_what_is_put_in_is_read_out_decoded() -> None:
    memory = Memory()
    orders = memory.stream("orders", key=str, value=Order)
    memory.put(orders, "k", Order("a", 1), timestamp_ms=7)
    memory.put_all(orders, [("l", Order("b", 2))])
    memory.put(orders, "k", None)
    found = memory.read(orders)
    assert [(m.key, m.value) for m in found[:2]] == [("k", Order("a", 1)), ("l", Order("b", 2))]
    assert (found[0].timestamp_ms, found[2].raw_value) == (7, None)


def test_what_no_serde_can_read_can_be_put_and_seen_raw() -> None:
    memory = Memory()
    orders = memory.stream("orders", value=Order)
    memory.put_raw(orders, b"k", b"{")
    assert [m.raw_value for m in memory.read_raw(orders)] == [b"{"]
    with pytest.raises(Exception, match="truncated") as caught:
        memory.read(orders)
    assert not isinstance(caught.value, SerdeError)  # the runner, not the serde, makes it one
