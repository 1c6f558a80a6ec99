"""Prices orders, from topic to topic: the job that compose.yaml runs.

docker compose up --build           docs/deploy.md says how to send it an order
samza-py run deploy/pricing.py      without containers, against localhost:9092
"""

from dataclasses import dataclass

from samza_py import DeadLetter, Job, Message
from samza_py.connectors.kafka import Kafka

CENTS = {"apple": 40, "pear": 50}


@dataclass
class Order:
    """What is ordered, and how much of it."""

    sku: str
    count: int


@dataclass
class Priced:
    """What it costs."""

    sku: str
    cents: int


kafka = Kafka("localhost:9092")
orders = kafka.topic("orders", key=str, value=Order, partitions=4)
priced = kafka.topic("priced", key=str, value=Priced, partitions=4)
failed = kafka.topic("failed", partitions=1)
job = Job("pricing", on_error=DeadLetter(failed))


@job.task(orders, to=priced)
async def price(order: Message[str, Order]) -> Priced:
    """One order in, its price out, with the same key."""
    return Priced(order.value.sku, order.value.count * CENTS[order.value.sku])


if __name__ == "__main__":
    job.run()
