"""By hand: read a file of JSON lines, decode, await a handler, encode, keep."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.orders import Order, Priced, priced, written_orders
from benchmarks.pace import Stopwatch


class Read:
    """What the handler gets: the decoded value of a line."""

    __slots__ = ("value",)

    value: Order


async def handler(message: Read) -> Priced:
    """The user's function."""
    return priced(message.value)


async def run(path: Path) -> list[bytes]:
    """The loop."""
    decode, encode = msgspec.json.Decoder(Order).decode, msgspec.json.Encoder().encode
    out: list[bytes] = []
    with path.open("rb") as lines:
        for line in lines:
            message = Read()
            message.value = decode(line)
            out.append(encode(await handler(message)))
    return out


def main(count: int) -> None:
    """Measure the loop alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = written_orders(Path(folder), count)
        gc.collect()
        gc.freeze()
        watch = Stopwatch()
        out = asyncio.run(run(path))
        watch.stop()
    if len(out) != count:
        raise SystemExit(f"{len(out)} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
