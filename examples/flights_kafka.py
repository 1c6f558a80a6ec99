"""The flights once more, from Kafka to Kafka: how late, in which weather, on which plane?

    make demo-kafka                           a broker, the flights, this job with kill -9, a count
    samza-py run examples/flights_kafka.py    the job alone, against localhost:9092

``SAMZA_SYSTEMS__KAFKA__BOOTSTRAP_SERVERS`` names other brokers. The topics that are missing are
made by the start. Where the job stands is kept in the cluster, in the topic
``flights-kafka.checkpoints``; what it finished after the last checkpoint is done again after a
crash: at least once.

The key of a flight is the tail number of its plane, so that the flights of a plane stay in order.
"""

from __future__ import annotations

from examples.flights_enriching import Cancelled, Delay, Flight, Lookup, enriched, lookups
from samza_py import DeadLetter, Job, Message, TaskContext
from samza_py.connectors.kafka import Kafka

kafka = Kafka("localhost:9092")
flights = kafka.topic("flights", key=str, value=Flight, partitions=4)
delays = kafka.topic("delays", key=str, value=Delay, partitions=4)
cancelled = kafka.topic("cancelled", key=str, value=Cancelled, partitions=4)
incomplete = kafka.topic("incomplete", partitions=1)

job = Job("flights-kafka", lifespan=lookups, commit_interval="200ms")


@job.task(
    flights,
    to=delays,
    outputs=[cancelled],
    max_concurrency=256,
    on_error=DeadLetter(incomplete),
)
async def enrich(flight: Message[str, Flight], ctx: TaskContext[Lookup]) -> Delay | None:
    """One flight in; a delay, a cancelled flight or a dead letter out, each with the same key."""
    f = flight.value
    row = enriched(f, await ctx.resources.find(f.origin, f.time_hour, f.tailnum))
    if isinstance(row, Cancelled):
        ctx.send(cancelled, row, key=flight.key)
        return None
    return row


if __name__ == "__main__":
    job.run()
