"""By hand: decode, await a handler, encode, keep; one message after the other."""

from __future__ import annotations

import asyncio
import gc
import json
import sys

import msgspec

from benchmarks.orders import Order, Priced, priced, raw_orders
from benchmarks.pace import Stopwatch


class Read:
    """What the handler gets: the decoded parts of a message."""

    __slots__ = ("key", "value")

    key: str
    value: Order


async def handler(message: Read) -> Priced:
    """The user's function."""
    return priced(message.value)


async def run(records: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The loop."""
    decode, encode = msgspec.json.Decoder(Order).decode, msgspec.json.Encoder().encode
    out: list[tuple[bytes, bytes]] = []
    for key, value in records:
        message = Read()
        message.key = key.decode()
        message.value = decode(value)
        out.append((key, encode(await handler(message))))
    return out


def main(count: int) -> None:
    """Measure the loop alone."""
    records = raw_orders(count)
    gc.collect()
    gc.freeze()
    watch = Stopwatch()
    out = asyncio.run(run(records))
    watch.stop()
    if len(out) != count:
        raise SystemExit(f"{len(out)} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
