"""A year of flights out of New York: how late, in which weather, on which plane?

    python -m examples.flights              the demo: prepares, runs this job, counts and checks
    python -m examples.flights --crash      the same, with kill -9 on the way
    samza-py run examples/flights.py        the job alone; a second run finds nothing left to do

A zipped CSV is the stream. Each flight waits for a look-up of weather and plane, hundreds of them
at once. What flew goes to ``delays``, what was cancelled to an output of its own, and a row that
lacks its delay to a dead letter output. Every row comes out exactly once, also when the process is
killed on the way.
"""

from __future__ import annotations

import sys

from examples.flights_enriching import (
    WORK,
    Cancelled,
    Delay,
    Flight,
    Lookup,
    data_folder,
    enriched,
    lookups,
)
from samza_py import DeadLetter, Job, Message, Row, TaskContext
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints

nyc = Files(root=str(data_folder()), name="nyc")
out = Files(root=str(WORK), name="out")
flights = nyc.csv("flights", "flights.csv.zip", value=Row(Flight, missing="NA"))
delays = out.jsonl_output("delays", "delays", value=Delay)
cancelled = out.jsonl_output("cancelled", "cancelled", value=Cancelled)
incomplete = out.dead_letters("incomplete", "incomplete")

job = Job(
    "flights",
    lifespan=lookups,
    checkpoints=LocalCheckpoints(WORK / "checkpoints.log"),
    guarantee="exactly_once",
    commit_interval="500ms",
)


@job.task(
    flights,
    to=delays,
    outputs=[cancelled],
    max_concurrency=256,
    on_error=DeadLetter(incomplete),
)
async def enrich(flight: Message[None, Flight], ctx: TaskContext[Lookup]) -> Delay | None:
    """One flight in; a delay, a cancelled flight or a dead letter out."""
    f = flight.value
    row = enriched(f, await ctx.resources.find(f.origin, f.time_hour, f.tailnum))
    if isinstance(row, Cancelled):
        ctx.send(cancelled, row)
        return None
    return row


if __name__ == "__main__":
    from examples.flights_demo import main

    sys.exit(main())
