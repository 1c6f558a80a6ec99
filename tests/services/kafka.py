"""Kafka clusters of real brokers on loopback, of one node or more, which a test may kill."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.failing import ServiceError
from tests.services.kafka_installation import Installation, installed, new_identity
from tests.services.kafka_listeners import PLAINTEXT, Certificates, Kafka, Listener
from tests.services.kafka_settings import ClusterPlan, NodePlan
from tests.services.ports import LOOPBACK, Ports, answers
from tests.services.server import START_S, Server

STOP_S = 12.0


class Node(Server):
    """One broker, which is a controller too; its ports and its data stay over its deaths.

    Args:
        plan: what it is.
        command: what starts it.
    """

    def __init__(self, plan: NodePlan, command: Sequence[str]) -> None:
        super().__init__(f"Kafka node {plan.number}", plan.folder, command)
        self.number = plan.number
        self.plan = plan

    def wait_ready(self, within_s: float = START_S) -> None:
        """Wait until clients can use it: it opens its ports when the cluster has taken it in.

        Raises:
            ServiceError: it did not come, with the end of its log.
        """
        ports = self.plan.ports.values()
        self.wait_until(lambda: all(answers(port) for port in ports), "ready", within_s)

    def restart(self) -> None:
        """Start it again after `kill` or `stop`, and wait until it is ready."""
        self.start()
        self.wait_ready()


class Cluster:
    """Some nodes. As a context manager it starts them, and kills them and drops their data.

    All methods block; a test on a loop calls them through `asyncio.to_thread`.

    Args:
        folder: of all their files.
        size: how many nodes.
        listeners: the ways in, beside the open one.
        settings: for every broker, over those of `kafka_settings.py`.
        installation: what they are started from, if not the user's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        size: int = 1,
        listeners: Sequence[Listener] = (),
        settings: Mapping[str, str] | None = None,
        installation: Installation | None = None,
    ) -> None:
        self._installation = installation or installed()
        self._ports = Ports()
        self.listeners = (PLAINTEXT, *listeners)
        encrypted = any(listener.encrypted for listener in self.listeners)
        self.certificates = Certificates.make(folder / "certificates") if encrypted else None
        nodes = [self._plan(folder, number) for number in range(1, size + 1)]
        self._plans = ClusterPlan(new_identity(), nodes, self.certificates, settings or {})
        self.nodes = [
            Node(node, self._installation.command(self._plans, node)) for node in self._plans.nodes
        ]

    def _plan(self, folder: Path, number: int) -> NodePlan:
        ports = {listener: self._ports.reserve() for listener in self.listeners}
        return NodePlan(number, folder / f"node-{number}", self._ports.reserve(), ports)

    def node(self, number: int) -> Node:
        """The node of that `node.id`, counted from 1."""
        return self.nodes[number - 1]

    @property
    def address(self) -> Kafka:
        """What clients have to know of it."""
        return Kafka({way.name: self._bootstrap(way) for way in self.listeners}, self.certificates)

    def _bootstrap(self, listener: Listener) -> str:
        return ",".join(f"{LOOPBACK}:{node.plan.ports[listener]}" for node in self.nodes)

    def start(self) -> None:
        """Start all nodes at once, with the data that they have, and wait until all are ready.

        Raises:
            ServiceError: one did not start, with the end of its log; none is left running.
        """
        try:
            for plan in self._plans.nodes:
                if not plan.data.exists():
                    self._installation.format(self._plans, plan)
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                node.wait_ready()
        except ServiceError:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill every node that runs."""
        for node in self.nodes:
            node.kill()

    def stop(self, within_s: float = STOP_S) -> None:
        """Stop all nodes at once, in good order as long as there is a quorum.

        The last ones may find it gone. They would ask for minutes to be let go, and are killed.

        Args:
            within_s: how long all together may take.

        Raises:
            ServiceError: the only node took longer, and was killed.
        """
        deadline = time.monotonic() + within_s
        for node in self.nodes:
            node.request_stop()
        for node in self.nodes:
            try:
                node.stop(max(0, deadline - time.monotonic()))
            except ServiceError:
                if len(self.nodes) == 1:
                    raise

    def give_up(self) -> None:
        """Leave the nodes to who else holds them: without anybody they are killed."""
        for node in self.nodes:
            node.close()
        self._ports.close()

    def close(self) -> None:
        """Kill every node and remove its data; its log and settings stay."""
        self.kill()
        self._ports.close()
        for node in self.nodes:
            shutil.rmtree(node.plan.data, ignore_errors=True)

    def __enter__(self) -> Self:
        """Start; what has failed to start is closed."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
