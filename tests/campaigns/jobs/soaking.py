"""The job of the soak on Kafka: counts numbered records by key, at least once.

Some calls wait, some records fail at the first attempt, those of two keys end as dead letters: they
cannot be decoded, or are refused. `CAMPAIGN_VITALS` names a file that says how many children the
loop has, and how many records were counted. `CAMPAIGN_LEAK` plants leaks, for the soak to find:
`memory`, `files`, `children`, with commas between them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

import msgspec

from samza_py import DeadLetter, Job, Message, Retry, TaskContext
from samza_py.connectors.kafka import Kafka

TOPIC = os.environ["CAMPAIGN_TOPIC"]
LEAKS = frozenset(filter(None, os.environ.get("CAMPAIGN_LEAK", "").split(",")))
VITALS = os.open(os.environ["CAMPAIGN_VITALS"], os.O_WRONLY | os.O_CREAT, 0o600)
TELL_EVERY = 200
SLOW_EVERY, SLOW_S = 10, 0.005
FLAKY_EVERY = 500
LEAKED_BYTES, LEAK_EVERY = 1024, 1_000


class Record(msgspec.Struct):
    """Says itself which one it is."""

    partition: int
    number: int
    amount: int = 0


class Counted(msgspec.Struct):
    """The same, and how many of its key there were."""

    partition: int
    number: int
    count: int


kafka = Kafka(os.environ["CAMPAIGN_BROKERS"], request_timeout="5s", delivery_timeout="60s")
records = kafka.topic("records", physical=TOPIC, key=str, value=Record)
mapped = kafka.topic("mapped", physical=f"{TOPIC}.mapped", key=str, value=Counted)
dead = kafka.topic("dead", physical=f"{TOPIC}.dead")
job = Job(
    f"job-{TOPIC}",
    on_error=Retry(2, backoff="1ms", then=DeadLetter(dead)),
    commit_interval="200ms",
    shutdown_timeout="20s",
)
counts = job.store("counts", key=str, value=int)
handled = itertools.count(1)
kept: list[Any] = []


def look_after_it(number: int) -> None:
    """Say how it goes, now and then, and leak what was asked for."""
    count = next(handled)
    if count % TELL_EVERY == 0:
        os.pwrite(VITALS, f"{len(asyncio.all_tasks()):8d} {count:12d}".encode(), 0)
    if "memory" in LEAKS:
        kept.append(bytearray(LEAKED_BYTES))
    if "files" in LEAKS and number % LEAK_EVERY == 0:
        kept.append(os.open(os.devnull, os.O_RDONLY))
    if "children" in LEAKS and number % LEAK_EVERY == 0:
        kept.append(asyncio.ensure_future(asyncio.Event().wait()))


@job.task(records, to=mapped, stores=[counts], order="key", max_concurrency=16)
async def count(message: Message[str, Record], ctx: TaskContext[None]) -> Counted:
    """Count a record of its key."""
    record = message.value
    if record.amount < 0:
        raise ValueError("refused")
    look_after_it(record.number)
    if record.number % SLOW_EVERY == 0:
        await asyncio.sleep(SLOW_S)
    before = ctx.store(counts).get(message.key) or 0
    ctx.store(counts).put(message.key, before + 1)
    if record.number % FLAKY_EVERY == 0 and ctx.attempt == 1:
        raise RuntimeError("only the first attempt fails")
    return Counted(record.partition, record.number, before + 1)
