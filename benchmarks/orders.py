"""The messages of the benchmarks: 200 bytes of JSON, read into a typed value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec


class Item(msgspec.Struct):
    """One line of an order."""

    sku: str
    count: int


class Order(msgspec.Struct):
    """An order, as it comes in."""

    number: int
    customer: str
    amount: float
    items: list[Item]
    note: str


class Priced(msgspec.Struct):
    """What is made of an order."""

    number: int
    customer: str
    total: float


def raw_orders(count: int) -> list[tuple[bytes, bytes]]:
    """Encoded keys and values."""
    encode = msgspec.json.Encoder().encode
    items = [Item("A-1734", 2), Item("B-9921", 1)]
    return [
        (
            f"customer-{number % 1000}".encode(),
            encode(Order(number, f"customer-{number % 1000}", 12.5, items, "n" * 60)),
        )
        for number in range(count)
    ]


def priced(order: Order) -> Priced:
    """The handler's work."""
    return Priced(order.number, order.customer, order.amount * 1.2)


def priced_dict(order: dict[str, Any]) -> dict[str, Any]:
    """The same for a value that was read into a dict."""
    number, customer = order["number"], order["customer"]
    return {"number": number, "customer": customer, "total": order["amount"] * 1.2}


def written_orders(folder: Path, count: int) -> Path:
    """A file with one order a line."""
    path = folder / "orders.jsonl"
    path.write_bytes(b"\n".join(value for _, value in raw_orders(count)) + b"\n")
    return path
