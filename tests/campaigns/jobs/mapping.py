"""The job of the campaign on Kafka: numbered records from a topic to a topic, at least once.

`CAMPAIGN_CONCURRENCY` calls at once, in the order of each partition or (`CAMPAIGN_ORDER=none`) in
none. The record `CAMPAIGN_SLOW_AT` (`PARTITION-NUMBER`) takes `CAMPAIGN_SLOW_S`. Records that
cannot be decoded, and those that are refused, go to the dead letters.
"""

from __future__ import annotations

import asyncio
import os
from typing import Literal

import msgspec

from samza_py import DeadLetter, Job, Message
from samza_py.connectors.kafka import Kafka
from samza_py.seam import seam

TOPIC = os.environ["CAMPAIGN_TOPIC"]
CONCURRENCY = int(os.environ.get("CAMPAIGN_CONCURRENCY", "1"))
ORDER: Literal["partition", "none"] = (
    "none" if os.environ.get("CAMPAIGN_ORDER") == "none" else "partition"
)
SLOW_AT = os.environ.get("CAMPAIGN_SLOW_AT", "")
SLOW_S = float(os.environ.get("CAMPAIGN_SLOW_S", "60"))
PAUSE_S = float(os.environ.get("CAMPAIGN_PAUSE_S", "0.001"))


class Record(msgspec.Struct):
    """Says itself which one it is."""

    partition: int
    number: int


kafka = Kafka(
    os.environ["CAMPAIGN_BROKERS"],
    request_timeout="5s",
    delivery_timeout=os.environ.get("CAMPAIGN_DELIVERY", "30s"),
)
records = kafka.topic("records", physical=TOPIC, key=bytes, value=Record)
mapped = kafka.topic("mapped", physical=f"{TOPIC}.mapped", key=bytes, value=Record)
dead = kafka.topic("dead", physical=f"{TOPIC}.dead")
job = Job(
    f"job-{TOPIC}", on_error=DeadLetter(dead), commit_interval="200ms", shutdown_timeout="20s"
)


@job.task(records, to=mapped, max_concurrency=CONCURRENCY, order=ORDER)
async def copy(message: Message[bytes, Record]) -> Record:
    """Pass a record on; some wait, and a negative one is refused."""
    record = message.value
    if record.number < 0:
        raise ValueError("negative")
    if f"{record.partition}-{record.number}" == SLOW_AT:
        await asyncio.sleep(SLOW_S)
    elif record.number % 50 == 0:
        await asyncio.sleep(PAUSE_S)
    seam().reached("user.called")
    return record
