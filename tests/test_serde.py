"""How bytes become values and back, and what does not."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# What is called here stands in tables of lambdas, whose types nobody needs.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from samza_py import Json, Raw, Row, Text
from samza_py.errors import ConfigError
from samza_py.serde import Serde, admits_none, serde_for


class Order(msgspec.Struct):
    sku: str
    count: int = 1


class Refund(msgspec.Struct, tag=True):
    sku: str


class Sale(msgspec.Struct, tag=True):
    sku: str


@dataclass
class Line:
    sku: str
    count: int


class Entry(TypedDict):
    sku: str
    count: int


class Model(pydantic.BaseModel):
    sku: str
    count: int = pydantic.Field(ge=1)


@pytest.mark.parametrize(
    ("of", "value", "data"),
    [
        (str, "grün", "grün".encode()),
        (bytes, b"\x00\xff", b"\x00\xff"),
        (int, 5, b"5"),
        (list[int], [1, 2], b"[1,2]"),
        (Order, Order("a", 2), b'{"sku":"a","count":2}'),
        (Line, Line("a", 2), b'{"sku":"a","count":2}'),
        (Entry, {"sku": "a", "count": 2}, b'{"sku":"a","count":2}'),
        (Model, Model(sku="a", count=2), b'{"sku":"a","count":2}'),
        (list[Model], [Model(sku="a", count=2)], b'[{"sku":"a","count":2}]'),
        (dict[str, Model], {"x": Model(sku="a", count=2)}, b'{"x":{"sku":"a","count":2}}'),
        (str | None, None, b"null"),
        (Json[Sale | Refund](), Refund("a"), b'{"type":"Refund","sku":"a"}'),
        (Json(Order), Order("a"), b'{"sku":"a","count":1}'),
        (Json(), {"any": [1]}, b'{"any":[1]}'),
        (Text(), "a", b"a"),
        (Raw(), b"a", b"a"),
    ],
)
def test_a_value_goes_out_and_comes_back(of: Any, value: object, data: bytes) -> None:
    serde = serde_for(of)
    assert serde.encoder()(value) == data
    assert serde.decoder()(data) == value


@pytest.mark.parametrize(
    ("of", "data"),
    [
        (str, b"\xff"),
        (int, b"no"),
        (Order, b'{"count":1}'),
        (Order, b'{"sku":5}'),
        (Model, b'{"sku":"a","count":0}'),
        (Json[Sale | Refund](), b'{"type":"Other","sku":"a"}'),
        (Order, b""),
        (list[int], b"[1"),
    ],
)
def test_bytes_that_are_something_else_raise(of: Any, data: bytes) -> None:
    with pytest.raises(Exception, match=r"."):
        serde_for(of).decoder()(data)


@pytest.mark.parametrize(
    ("of", "nullable"),
    [
        (bytes, True),
        (str, False),
        (Order, False),
        (Order | None, True),
        (Any, True),
        (Json(), True),
        (Json[Order](), False),
        (Json[Order | None](), True),
    ],
)
def test_a_tombstone_is_a_value_only_where_the_type_admits_none(of: Any, nullable: bool) -> None:
    assert serde_for(of).nullable is nullable


def test_none_is_admitted_in_every_way_to_write_it() -> None:
    assert all(admits_none(of) for of in (None, type(None), Any, int | None, None | int))
    assert not any(admits_none(of) for of in (int, int | str, list[None]))


def test_a_serde_is_taken_as_it_is_and_what_is_none_is_refused() -> None:
    own = Text()
    assert serde_for(own) is own
    wrong: Any = 5
    with pytest.raises(ConfigError, match="must be a type or a serde"):
        serde_for(wrong)


def test_a_type_that_json_cannot_hold_is_refused_when_it_is_declared_to_be_read() -> None:
    untagged: Any = Order | Line
    with pytest.raises(ConfigError, match="cannot be read: Type unions"):
        serde_for(untagged).decoder()


def test_a_class_without_declared_fields_is_refused_wherever_it_is_declared() -> None:
    class Plain:
        sku: str

    for make in (Json(Plain).decoder, Json(Plain).encoder, Row(Plain).decoder):
        with pytest.raises(ConfigError, match="Plain is a class without declared fields; put @da"):
            make()


def test_a_row_without_a_field_names_the_columns_that_there_are() -> None:
    decode = Row(Order).decoder()
    with pytest.raises(msgspec.ValidationError, match=r"field `sku`; the columns are: sku;count$"):
        decode({"sku;count": "apple;3"})
    with pytest.raises(msgspec.ValidationError, match=r"at `\$.count`$"):
        decode({"sku": "apple", "count": "many"})


def test_raw_outputs_take_bytes_alone_and_say_what_came() -> None:
    encode = Raw().encoder()
    wrong: Any = "text"
    nothing: Any = None
    assert encode(nothing) is None
    with pytest.raises(TypeError, match="takes bytes, not str"):
        encode(wrong)


def test_json_serdes_of_one_type_are_equal_and_name_it() -> None:
    assert Json(Order) == Json[Order]()
    assert Json(Order) != Json(Line)
    assert hash(Json(Order)) == hash(Json[Order]())
    assert repr(Json(Order)) == "Json(Order)"


def test_a_row_is_read_by_the_types_of_its_fields() -> None:
    class Flight(msgspec.Struct):
        number: int
        delay: float | None
        carrier: str
        note: str | None = None

    decode = Row(Flight).decoder()
    row = {"number": "7", "delay": "", "carrier": "", "note": "x"}
    assert decode(row) == Flight(7, None, "", "x")
    assert row["delay"] == ""  # what a dead letter would hold
    with pytest.raises(msgspec.ValidationError):
        decode({"number": "", "delay": "1", "carrier": "AA"})
    assert Row(Flight, missing="NA").decoder()(
        {"number": "7", "delay": "NA", "carrier": "NA"}
    ) == Flight(7, None, "NA")
    assert Row(Flight).encoder()(Flight(7, 1.5, "AA")) == {
        "number": 7, "delay": 1.5, "carrier": "AA", "note": None
    }  # fmt: skip


def test_a_row_may_be_a_pydantic_model_or_stay_a_dict() -> None:
    assert Row(Model).decoder()({"sku": "a", "count": "3"}) == Model(sku="a", count=3)
    assert Row(dict).decoder()({"a": "b"}) == {"a": "b"}
    with pytest.raises(ConfigError, match=r"Row\.missing"):
        Row(Model, missing="NA")


def test_a_serde_of_ones_own_needs_two_functions() -> None:
    class Reversed(Serde[str]):
        def decoder(self) -> Any:
            return lambda data: data.decode()[::-1]

        def encoder(self) -> Any:
            return lambda value: value[::-1].encode()

    serde = Reversed()
    assert serde.decoder()(serde.encoder()("abc")) == "abc"
    assert serde.content is None
    assert not serde.nullable
