"""By hand: a call of 10 ms for each message, by bare workers or by a task and a semaphore each.

The workers are the ceiling of the wall clock; the semaphore loop is what people write.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections import deque

import msgspec

from benchmarks.orders import Order, priced, raw_orders

CALL_S = 0.01

Records = list[tuple[bytes, bytes]]


async def workers(records: Records, concurrency: int) -> Records:
    """So many workers on one deque."""
    decode, encode = msgspec.json.Decoder(Order).decode, msgspec.json.Encoder().encode
    left = deque(records)
    out: Records = []

    async def work() -> None:
        while left:
            key, value = left.popleft()
            order = decode(value)
            await asyncio.sleep(CALL_S)
            out.append((key, encode(priced(order))))

    await asyncio.gather(*(work() for _ in range(concurrency)))
    return out


async def semaphore(records: Records, concurrency: int) -> Records:
    """A task a message, held by a semaphore."""
    decode, encode = msgspec.json.Decoder(Order).decode, msgspec.json.Encoder().encode
    limit = asyncio.Semaphore(concurrency)
    out: Records = []
    running: set[asyncio.Task[None]] = set()

    async def call(key: bytes, value: bytes) -> None:
        try:
            order = decode(value)
            await asyncio.sleep(CALL_S)
            out.append((key, encode(priced(order))))
        finally:
            limit.release()

    for key, value in records:
        await limit.acquire()
        child = asyncio.create_task(call(key, value))
        running.add(child)
        child.add_done_callback(running.discard)
    await asyncio.gather(*running)
    return out


def main(kind: str, concurrency: int, count: int) -> None:
    """Measure one of the loops."""
    records = raw_orders(count)
    run = workers if kind == "workers" else semaphore
    gc.collect()
    gc.freeze()
    began, at = time.process_time(), time.perf_counter()
    out = asyncio.run(run(records, concurrency))
    cpu_s, wall_s = time.process_time() - began, time.perf_counter() - at
    if len(out) != count:
        raise SystemExit(f"{len(out)} of {count} came out")
    print(json.dumps({"us": cpu_s / count * 1e6, "per_s": count / wall_s}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
