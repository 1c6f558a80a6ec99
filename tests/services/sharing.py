"""One Kafka for all processes of a test session: the first starts it, the last one ends it.

No process is in charge. Whoever comes takes a share of the running cluster's lease, or starts
another where there is none. A process that is killed lets go of its share, like all others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter

from tests.services.caching import locked
from tests.services.kafka import Cluster
from tests.services.kafka_listeners import Kafka, Listener
from tests.services.lease import Lease

ADDRESS = "address.json"
KAFKA = TypeAdapter(Kafka)

Share = Callable[[], None]
"""Lets go of a share of a cluster."""


@contextmanager
def shared_kafka(folder: Path, listeners: Sequence[Listener] = ()) -> Generator[Kafka]:
    """Hold a share of the one broker that belongs to a folder.

    Args:
        folder: the same for all who share; it belongs to nothing else.
        listeners: the ways in, beside the open one; the same for all who share.

    Yields:
        The broker, ready.

    Raises:
        ServiceError: it cannot be had.
    """
    with locked(folder / "lock"):
        runs = sorted(folder.glob("run-*"), key=lambda run: int(run.name.partition("-")[2]))
        joined = join(runs[-1]) if runs else None
        kafka, let_go = joined or begin(folder / f"run-{len(runs) + 1}", listeners)
    try:
        yield kafka
    finally:
        let_go()


def join(run: Path) -> tuple[Kafka, Share] | None:
    """Take a share of a cluster that was started by somebody else, if it still runs."""
    address = run / ADDRESS
    lease = Lease.join(run / "node-1") if address.exists() else None
    return (KAFKA.validate_json(address.read_bytes()), lease.let_go) if lease else None


def begin(run: Path, listeners: Sequence[Listener]) -> tuple[Kafka, Share]:
    """Start a cluster that others can join."""
    cluster = Cluster(run, listeners=listeners)
    try:
        cluster.start()
    except BaseException:
        cluster.close()
        raise
    (run / ADDRESS).write_bytes(KAFKA.dump_json(cluster.address))
    return cluster.address, cluster.give_up
