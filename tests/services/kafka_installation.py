"""Apache Kafka as it lies in this user's cache: its jars, and what makes it start in a second.

Two things are made once for each Java, by one start of a broker: an archive of the classes that a
start needs, already parsed (class-data sharing); and the first snapshot of a formatted folder,
which is the same for all nodes and spares each of them a Java that writes it.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.java import Java
from tests.services.caching import filled
from tests.services.failing import ServiceError, tail
from tests.services.jvm import QUICK, class_path, needed_java
from tests.services.kafka_listeners import PASSWORD, PLAINTEXT, USER
from tests.services.kafka_settings import LOG4J, ClusterPlan, NodePlan, written
from tests.services.maven import Jars
from tests.services.ports import Ports, answers
from tests.services.server import Server

JARS = Jars(
    "kafka-4.4.0",
    ("org.apache.kafka:kafka_2.13:4.4.0", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5"),
)
OPTIONS = ("-Xms64m", "-Xmx256m", *QUICK, "-Dlog4j2.disableJmx=true")
RECIPE = hashlib.sha256("\0".join([*OPTIONS, LOG4J, "1"]).encode()).hexdigest()[:8]
"""Changes with what a prepared start depends on."""

ARCHIVE = "classes.jsa"
SNAPSHOT = Path("__cluster_metadata-0") / "00000000000000000000-0000000000.checkpoint"
FORMAT_S = 60


@dataclass(frozen=True)
class Installation:
    """What nodes are started from.

    Args:
        java: that runs them.
        jars: the folder of the jars.
        prepared: the folder of the archive and the snapshot; none while they are made.
    """

    java: Java
    jars: Path
    prepared: Path | None = None

    def command(self, plan: ClusterPlan, node: NodePlan, more: Sequence[str] = ()) -> list[str]:
        """Write a node's settings; the command that starts it."""
        node.folder.mkdir(parents=True, exist_ok=True)
        properties = written(plan.properties(node), node.folder / "server.properties")
        log4j = node.folder / "log4j2.properties"
        log4j.write_text(LOG4J)
        archive = self.prepared / ARCHIVE if self.prepared else None
        shared = [f"-XX:SharedArchiveFile={archive}"] if archive and archive.exists() else []
        java = [str(self.java.program), *OPTIONS, *shared, *more]
        logging = f"-Dlog4j2.configurationFile={log4j}"
        return [*java, logging, "-cp", class_path(self.jars), "kafka.Kafka", str(properties)]

    def format(self, plan: ClusterPlan, node: NodePlan) -> None:
        """Make a node's folder of data, as it has to be before its first start.

        Users of SCRAM are stored in it, so with them it is Kafka's own tool that writes it.

        Raises:
            ServiceError: the tool failed.
        """
        scram = sorted({way.mechanism for way in node.ports if way.mechanism.startswith("SCRAM")})
        if self.prepared is None or scram:
            self._format_by_tool(plan, node, scram)
            return
        (node.data / SNAPSHOT).parent.mkdir(parents=True)
        shutil.copy(self.prepared / SNAPSHOT.name, node.data / SNAPSHOT)
        meta = {"version": "1", "node.id": str(node.number), "cluster.id": plan.identity}
        written({**meta, "directory.id": new_identity()}, node.data / "meta.properties")

    def _format_by_tool(self, plan: ClusterPlan, node: NodePlan, scram: Sequence[str]) -> None:
        properties = written(plan.properties(node), node.folder / "format.properties")
        users = [f"{mechanism}=[name={USER},password={PASSWORD}]" for mechanism in scram]
        tool = ["kafka.tools.StorageTool", "format", "-t", plan.identity, "-c", str(properties)]
        java = [str(self.java.program), *OPTIONS, "-cp", class_path(self.jars)]
        said = node.folder / "format.log"
        try:
            with said.open("wb") as log:
                subprocess.run(
                    [*java, *tool, *(part for user in users for part in ("--add-scram", user))],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    timeout=FORMAT_S,
                    check=True,
                )
        except subprocess.SubprocessError as error:
            raise ServiceError(f"Kafka formats no folder; {tail(said)}") from error


def new_identity() -> str:
    """An identity as Kafka writes them; none that looks like an option to its tools."""
    while True:
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not identity.startswith("-"):
            return identity


def installed() -> Installation:
    """Kafka, fetched and prepared now if this user's cache has not got it.

    Raises:
        ServiceError: it cannot be had, with what to install where that is the cause.
    """
    java = needed_java()
    bare = Installation(java, JARS.folder())
    where = hashlib.sha256(str(java.home).encode()).hexdigest()[:8]
    name = f"{JARS.fingerprint()}-java-{java.version}-{where}-{RECIPE}"
    return Installation(java, bare.jars, filled(name, lambda folder: prepare(bare, folder)))


def prepare(bare: Installation, into: Path) -> None:
    """Start and stop a broker once, and keep what makes the next starts quick."""
    trial = into / "trial"
    ports = Ports()
    try:
        node = NodePlan(1, trial, ports.reserve(), {PLAINTEXT: ports.reserve()})
        plan = ClusterPlan(new_identity(), [node])
        trial.mkdir()
        bare.format(plan, node)
        shutil.copy(node.data / SNAPSHOT, into / SNAPSHOT.name)
        dump = [f"-XX:ArchiveClassesAtExit={into / ARCHIVE}"]
        server = Server("the first broker", trial, bare.command(plan, node, dump))
        server.start()
        try:
            server.wait_until(lambda: answers(node.ports[PLAINTEXT]), "ready")
            server.stop()
        finally:
            server.kill()
    finally:
        ports.close()
    shutil.rmtree(trial)
