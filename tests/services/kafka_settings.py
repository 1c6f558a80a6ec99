"""The settings of a broker of the tests: small, quick to start, quick to notice what died."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.kafka_listeners import PLAINTEXT, Certificates, Listener
from tests.services.ports import LOOPBACK

CONTROLLER = "CONTROLLER"

QUICK = {
    # Nobody waits for members that may still come, for the dead, or for the next look at a log.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "broker.heartbeat.interval.ms": 300,
    "broker.session.timeout.ms": 2_000,
    "controller.quorum.election.timeout.ms": 500,
    "controller.quorum.fetch.timeout.ms": 1_000,
    "controller.quorum.election.backoff.max.ms": 200,
    # Tests write messages of any time, and each look would delete those that are a week old.
    "log.retention.ms": -1,
    "log.initial.task.delay.ms": 500,
    "log.retention.check.interval.ms": 1_000,
    "log.segment.delete.delay.ms": 1_000,
    "log.cleaner.backoff.ms": 200,
    "controlled.shutdown.retry.backoff.ms": 200,
}

SMALL = {
    "num.network.threads": 2,
    "num.io.threads": 2,
    "background.threads": 2,
    "num.recovery.threads.per.data.dir": 1,
    "log.cleaner.dedupe.buffer.size": 4 * 2**20,
    "log.index.size.max.bytes": 2**20,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.num.partitions": 1,
}

REPLICATED = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
)

LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss.SSS} %p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""
"""Warnings and errors to standard output, which is the server's log."""


@dataclass(frozen=True)
class NodePlan:
    """What one node is to be, before it exists.

    Args:
        number: its `node.id`.
        folder: of its files.
        controller: the port of its controller.
        ports: that of each listener.
    """

    number: int
    folder: Path
    controller: int
    ports: Mapping[Listener, int]

    @property
    def data(self) -> Path:
        """The folder of its logs."""
        return self.folder / "data"


@dataclass(frozen=True)
class ClusterPlan:
    """What all nodes agree on.

    Args:
        identity: the `cluster.id`.
        nodes: all of them.
        certificates: for the encrypted listeners.
        more: settings of the test, over those from here.
    """

    identity: str
    nodes: Sequence[NodePlan]
    certificates: Certificates | None = None
    more: Mapping[str, str] = field(default_factory=dict[str, str])

    def properties(self, node: NodePlan) -> dict[str, str]:
        """Everything that stands in a node's `server.properties`."""
        addresses = {listener.name: f"{LOOPBACK}:{port}" for listener, port in node.ports.items()}
        protocols = {listener.name: listener.protocol for listener in node.ports}
        voters = ",".join(f"{n.number}@{LOOPBACK}:{n.controller}" for n in self.nodes)
        found = {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": voters,
            "controller.listener.names": CONTROLLER,
            "listeners": joined(
                {**addresses, CONTROLLER: f"{LOOPBACK}:{node.controller}"}, between="://"
            ),
            "advertised.listeners": joined(addresses, between="://"),
            "listener.security.protocol.map": joined({**protocols, CONTROLLER: "PLAINTEXT"}),
            "inter.broker.listener.name": PLAINTEXT.name,
            "log.dirs": str(node.data),
            "auto.create.topics.enable": "false",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.min.isr": "1",
            **dict.fromkeys(REPLICATED, str(len(self.nodes))),
            **{name: str(value) for name, value in {**QUICK, **SMALL}.items()},
        }
        for listener in node.ports:
            found |= listener.properties(self.certificates)
        return {**found, **self.more}


def joined(pairs: Mapping[str, str], between: str = ":") -> str:
    """Write pairs as Kafka's settings list them."""
    return ",".join(f"{name}{between}{value}" for name, value in pairs.items())


def written(properties: Mapping[str, str], file: Path) -> Path:
    """Write a file of properties; backslashes in values are kept."""
    lines = (f"{name}={value}\n".replace("\\", "\\\\") for name, value in properties.items())
    file.write_text("".join(lines))
    return file
