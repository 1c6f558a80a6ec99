"""The counting job's input into a sink that is slow, stops for a while, fails, and may repeat.

The sink is a system of its own, written as third parties write theirs: it appends lines to a file
and promises at least once. What is in that file was acknowledged; nothing else was.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from samza_py import Job, Message, Output, Skip, System
from samza_py.admin import Admin, Bounds, PartitionInfo, StartAt
from samza_py.checkpoint import Claim
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints
from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Offset, Outgoing, Partition, Position
from samza_py.producer import Limits, Producer, Receipt, Settled
from samza_py.serde import Json, Raw
from samza_py.system import AnyStream
from samza_py.transaction import Transaction

FOLDER = os.environ["CAMPAIGN_FOLDER"]
DELAY_S = float(os.environ.get("CAMPAIGN_SINK_DELAY_S", "0"))
#: Behind so many messages the sink stands still for so long, once a process.
STOPS_AFTER = int(os.environ.get("CAMPAIGN_SINK_STOPS_AFTER", "0"))
STOPS_S = float(os.environ.get("CAMPAIGN_SINK_STOPS_S", "0"))
#: Every so many writes the sink is away: the write surely did not happen.
FAILS_EVERY = int(os.environ.get("CAMPAIGN_SINK_FAILS_EVERY", "0"))


class Entry(msgspec.Struct):
    """A record of the input."""

    partition: int
    number: int
    key: str
    amount: int
    padding: str = ""


class NothingToSay(Admin):
    """An output needs none of an admin's answers."""

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        """One."""
        return {Partition("sink", stream, "0"): PartitionInfo()}

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        """Never asked of an output."""
        raise ConnectorError("the sink cannot be read")

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        """Never asked of an output."""
        raise ConnectorError("the sink cannot be read")

    def compare(self, first: Offset, second: Offset) -> int:
        """Never asked of an output."""
        raise ConnectorError("the sink cannot be read")


class SlowProducer(Producer):
    """Appends to a file, and takes its time."""

    limits = Limits(messages=500, bytes=1 << 20, in_flight=1)
    written = 0
    writes = 0
    stopped = False

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        """Accept a batch; the receipt comes when it is in the file."""
        self.writes += 1
        if FAILS_EVERY and self.writes % FAILS_EVERY == 0:
            raise UnavailableError("the sink is away for a moment")
        return Settled(asyncio.ensure_future(self._write([message.value for message in batch])))

    async def _write(self, lines: list[bytes]) -> dict[int, Any]:
        await asyncio.sleep(DELAY_S)
        if STOPS_AFTER and not self.stopped and self.written >= STOPS_AFTER:
            self.stopped = True
            print("-- the sink stands still --", flush=True)
            await asyncio.sleep(STOPS_S)
            print("-- the sink goes on --", flush=True)
        await asyncio.to_thread(append, lines)
        self.written += len(lines)
        return {}


def append(lines: list[bytes]) -> None:
    """Add whole lines to the file, at once: what a kill leaves is whole lines too."""
    with open(f"{FOLDER}/out/counted/part-sink-0-0-0.jsonl", "ab", buffering=0) as file:
        file.write(b"".join(line + b"\n" for line in lines))


@dataclass(frozen=True)
class SlowSink(System):
    """The system."""

    name: str = "sink"

    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        """Knows nothing."""
        return NothingToSay()

    def producer(self, outputs: Mapping[str, Output[Any, Any]], claim: Claim | None) -> Producer:
        """One for the container."""
        return SlowProducer()


@asynccontextmanager
async def folder() -> AsyncGenerator[None]:
    """The folder of the sink's file."""
    os.makedirs(f"{FOLDER}/out/counted", exist_ok=True)
    yield None


files = Files(root=FOLDER)
entries = files.jsonl("entries", "in", value=Entry, max_partitions=4)
out: Output[bytes, Entry] = Output(SlowSink(), "out", Raw(), Json(Entry))
job = Job(
    "slow-sink",
    lifespan=folder,
    checkpoints=LocalCheckpoints(f"{FOLDER}/state/checkpoints.log"),
    commit_interval="50ms",
    on_error=Skip(),
    **msgspec.json.decode(os.environ.get("CAMPAIGN_OPTIONS", "{}")),
)
taken = itertools.count(1)


@job.task(entries, to=out, grouping="partition", order="partition")
async def echo(message: Message[None, Entry]) -> Entry:
    """Pass a record on, and say how many have been: that is what backpressure bounds."""
    number = next(taken)
    if number % 1000 == 0:
        print(f"taken {number}", flush=True)
    return message.value
