"""The job of the crash campaign: counts and sums by key, from real files into real files.

`CAMPAIGN_VARIANT` chooses how it runs: one call at a time, sixteen at once, a task for each
partition, or batches. Each is built so that a checker who sees only input and output can tell
whether anything was lost, doubled, put out of order or counted from a wrong state. The named points
in user code are between every two things that a handler does.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Literal

import msgspec

from samza_py import BatchFailed, DeadLetter, Job, Message, Record, Retry, StreamTask, TaskContext
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints
from samza_py.seam import seam

FOLDER = os.environ["CAMPAIGN_FOLDER"]
VARIANT = os.environ.get("CAMPAIGN_VARIANT", "serial")
#: Every so many records a handler awaits; 0 never.
PAUSE_EVERY = int(os.environ.get("CAMPAIGN_PAUSE_EVERY", "50"))
PAUSE_S = float(os.environ.get("CAMPAIGN_PAUSE_S", "0.001"))
#: The record, as `PARTITION-NUMBER`, whose handler never returns, and the one that blocks the loop.
HANG_AT = os.environ.get("CAMPAIGN_HANG_AT", "")
BLOCK_AT = os.environ.get("CAMPAIGN_BLOCK_AT", "")
BLOCK_S = float(os.environ.get("CAMPAIGN_BLOCK_S", "3"))
CONCURRENCY = int(os.environ.get("CAMPAIGN_CONCURRENCY", "16"))
ORDER: Literal["partition", "none"] = (
    "none" if os.environ.get("CAMPAIGN_ORDER") == "none" else "partition"
)
#: Every call takes up to this long, at random.
JITTER_S = float(os.environ.get("CAMPAIGN_JITTER_S", "0"))
COMPACT_ABOVE = os.environ.get("CAMPAIGN_COMPACT_ABOVE", "2KiB")
LARGE = 90
FLAKY_EVERY = 97
TIMER_EVERY = 40


class Entry(msgspec.Struct):
    """A record of the input."""

    partition: int
    number: int
    key: str
    amount: int


class Total(msgspec.Struct):
    """The state of a key."""

    count: int
    total: int


class Counted(msgspec.Struct):
    """A record of the output: which one it was, and the state of its key behind it."""

    partition: int
    number: int
    key: str
    count: int | None = None
    total: int | None = None


class KeyTotal(msgspec.Struct):
    """The last word on a key, said at the end of the input."""

    key: str
    count: int
    total: int


files = Files(root=FOLDER)
entries = files.jsonl("entries", "in", value=Entry, max_partitions=4)
counted = files.jsonl_output("counted", "out/counted", value=Counted)
large = files.jsonl_output("large", "out/large", value=Entry)
totals = files.jsonl_output("totals", "out/totals", value=KeyTotal)
timers = files.jsonl_output("timers", "out/timers", value=str)
dead = files.jsonl_output("dead", "out/dead", value=bytes)
job = Job(
    "counting",
    checkpoints=LocalCheckpoints(f"{FOLDER}/state/checkpoints.log", compact_above=COMPACT_ABOVE),
    guarantee="exactly_once",
    commit_interval=os.environ.get("CAMPAIGN_COMMIT_INTERVAL", "10ms"),
    on_error=Retry(2, backoff="1ms", then=DeadLetter(dead)),
)
state = job.store("state", key=str, value=Total, shared=True)


async def pause(entry: Entry) -> None:
    """Wait for a moment, now and then: for what else is a handler awaited."""
    place = f"{entry.partition}-{entry.number}"
    if place == HANG_AT:
        print("-- it hangs now --", flush=True)
        await asyncio.Event().wait()
    if place == BLOCK_AT:
        until = time.monotonic() + BLOCK_S
        while time.monotonic() < until:
            pass
    if JITTER_S:
        await asyncio.sleep(random.uniform(0.001, JITTER_S))
    elif PAUSE_EVERY and entry.number % PAUSE_EVERY == 0:
        await asyncio.sleep(PAUSE_S)


def fail_if_asked(entry: Entry, attempt: int) -> None:
    """Raise, for ever or at the first attempt: nothing that was done before may be seen then."""
    if entry.amount < 0:
        raise ValueError("poison")
    if attempt == 1 and entry.number % FLAKY_EVERY == FLAKY_EVERY - 1:
        raise RuntimeError("only the first attempt fails")


class Counting(StreamTask[None, Entry, None]):
    """Counts by key, in one task, so that the state of a key is in one place."""

    async def process(self, message: Message[None, Entry], ctx: TaskContext[None]) -> Counted:
        """Count a record, behind points between every two steps."""
        entry = message.value
        seam().reached("user.called")
        if entry.amount >= LARGE:
            ctx.send(large, entry)
        seam().reached("user.sent")
        store = ctx.store(state)
        before = store.get(entry.key) or Total(0, 0)
        await pause(entry)
        seam().reached("user.awaited")
        after = Total(before.count + 1, before.total + entry.amount)
        store.put(entry.key, after)
        if entry.number % TIMER_EVERY == 0:
            ctx.set_timer(f"{entry.partition}-{entry.number}", after=0.005)
        seam().reached("user.stored")
        fail_if_asked(entry, ctx.attempt)
        return Counted(entry.partition, entry.number, entry.key, after.count, after.total)

    async def on_timer(self, name: str, ctx: TaskContext[None]) -> None:
        """Say that a timer has run."""
        ctx.send(timers, name)
        seam().reached("user.timer")

    async def on_end(self, ctx: TaskContext[None]) -> None:
        """Say the whole state, once for ever."""
        for number in range(int(os.environ.get("CAMPAIGN_KEYS", "20"))):
            key = f"k{number:02d}"
            total = ctx.store(state).get(key)
            if total is not None:
                ctx.send(totals, KeyTotal(key, total.count, total.total))
        seam().reached("user.end")


if VARIANT in ("serial", "concurrent"):
    job.add(
        Counting,
        entries,
        to=counted,
        name="count",
        outputs=[large, totals, timers],
        stores=[state],
        grouping="all",
        order=ORDER,
        max_concurrency=CONCURRENCY if VARIANT == "concurrent" else 1,
    )
elif VARIANT == "spread":

    @job.task(
        entries,
        to=counted,
        outputs=[large],
        grouping="partition",
        order="partition",
        max_concurrency=16,
    )
    async def spread(
        message: Message[None, Entry], ctx: TaskContext[None]
    ) -> AsyncIterator[Counted]:
        """Pass a record on, in a task for each partition: many commits at once."""
        entry = message.value
        seam().reached("user.called")
        if entry.amount >= LARGE:
            ctx.send(large, entry)
        seam().reached("user.sent")
        yield Counted(entry.partition, entry.number, entry.key)
        await pause(entry)
        seam().reached("user.awaited")
        fail_if_asked(entry, ctx.attempt)

elif VARIANT == "batch":

    @job.batch_task(
        entries,
        to=counted,
        outputs=[large],
        stores=[state],
        grouping="all",
        order="partition",
        batch_messages=40,
    )
    async def batch(
        messages: Sequence[Message[None, Entry]], ctx: TaskContext[None]
    ) -> list[Record[None, Counted]]:
        """Count a batch; what fails in it is named, and the others are run again without it."""
        store = ctx.store(state)
        results: list[Record[None, Counted]] = []
        failed: dict[int, Exception] = {}
        seam().reached("user.called")
        for index, message in enumerate(messages):
            entry = message.value
            before = store.get(entry.key) or Total(0, 0)
            after = Total(before.count + 1, before.total + entry.amount)
            store.put(entry.key, after)
            if entry.amount >= LARGE:
                ctx.send(large, entry, source=message)
            seam().reached("user.stored")
            try:
                fail_if_asked(entry, ctx.attempt)
            except Exception as error:
                failed[index] = error
            value = Counted(entry.partition, entry.number, entry.key, after.count, after.total)
            results.append(Record(value, source=message))
        seam().reached("user.sent")
        if len(messages) > 1:
            await pause(messages[0].value)
        seam().reached("user.awaited")
        if failed:
            raise BatchFailed(failed)
        return results

else:
    raise SystemExit(f"CAMPAIGN_VARIANT={VARIANT} is not one of serial, concurrent, spread, batch")
