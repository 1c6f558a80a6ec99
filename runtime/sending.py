"""The sending side of one task: its producers, transaction, ports, and who tells whom."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from samza_py.checkpoint import Claim
from samza_py.errors import ConfigError, ConnectorError
from samza_py.producer import Producer, Promise, Requests, TwoPhaseProducer
from samza_py.resolved import ResolvedJob
from samza_py.runtime.backoff import retried
from samza_py.runtime.children import Children
from samza_py.runtime.closing import let_go
from samza_py.runtime.commit import TaskAbortedError
from samza_py.runtime.lane_outbox import LaneOutbox
from samza_py.runtime.ordered_outbox import OrderedOutbox
from samza_py.runtime.outbox import Outbox
from samza_py.runtime.outputs import Outputs
from samza_py.runtime.port import Port, Rejection
from samza_py.runtime.producing import OpenTransaction, ProducerHost
from samza_py.runtime.sender import Sender
from samza_py.runtime.services import Services
from samza_py.specification import TaskSpec
from samza_py.system import Output

logger = logging.getLogger(__name__)


def outputs_of(spec: TaskSpec, resolved: ResolvedJob) -> dict[str, Output[Any, Any]]:
    """What a task sends to, dead letters included, by name, as it is to be run here."""
    wanted = (*spec.outputs, *spec.dead_letters(resolved.job.on_error))
    found = {str(output): resolved.streams[str(output)] for output in wanted}
    return {name: stream for name, stream in found.items() if isinstance(stream, Output)}


def made_outbox(
    output: str,
    host: ProducerHost,
    linger_s: float,
    transaction: OpenTransaction | None = None,
    on_broken: Callable[[ConnectorError], None] | None = None,
) -> Outbox:
    """The kind of outbox that a producer's requests want."""
    lanes = host.producer.requests is Requests.BY_MESSAGE
    kind = LaneOutbox if lanes else OrderedOutbox
    return kind(output, host, linger_s, transaction, on_broken)


@dataclass(slots=True)
class Sending:
    """What a task sends with. Opened under its claim, closed with it.

    Attributes:
        senders: by output name, dead letter outputs included.
        participants: one a system, for the commit.
        transaction: of the claim under exactly-once, where an output or the checkpoints need it.
        max_bytes: the largest message an output takes, by output name.
    """

    senders: dict[str, Sender] = field(default_factory=dict[str, Sender])
    participants: list[Outputs] = field(default_factory=list[Outputs])
    transaction: OpenTransaction | None = None
    max_bytes: dict[str, int] = field(default_factory=dict[str, int])
    hosts: list[ProducerHost] = field(default_factory=list[ProducerHost])

    @property
    def ports(self) -> list[Port]:
        """The task's accounts at all its outputs."""
        return [sender.port for sender in self.senders.values()]

    async def close(self, within_s: float) -> None:
        """Close the task's own producers and its transaction, each in time. Commits nothing."""
        for host in self.hosts:
            await let_go(f"closing the producer of {host.name}", host.close(), within_s)
        if self.transaction is not None:
            closing = self.transaction.transaction.aclose()
            await let_go("closing the transaction of a task", closing, within_s)


class SendingOpener:
    """Opens the sending side of one task.

    Args:
        services: of the container.
        claim: the task's.
        outputs: what it may send to, by output name.
        children: where the outboxes of its own producers run.
        on_room: called when a full output has room again.
        on_rejection: called for each rejected message.
        abort: takes the task back to its checkpoint.
    """

    def __init__(
        self,
        services: Services,
        claim: Claim,
        outputs: Mapping[str, Output[Any, Any]],
        children: Children,
        on_room: Callable[[], None],
        on_rejection: Rejection,
        abort: Callable[[BaseException], None],
    ) -> None:
        self._services = services
        self._claim = claim
        self._outputs = outputs
        self._children = children
        self._on_room = on_room
        self._on_rejection = on_rejection
        self._abort = abort

    async def open(self) -> Sending:
        """Open producers and transaction, fencing what an older claim has left open."""
        sending = Sending()
        try:
            await self._open(sending)
        except BaseException:
            await sending.close(self._services.resolved.options.close_timeout_s)
            raise
        return sending

    async def _open(self, sending: Sending) -> None:
        resolved = self._services.resolved
        exactly_once = resolved.options.guarantee == "exactly_once"
        home = resolved.checkpoints.transactions_of
        if exactly_once and home is not None and home in resolved.systems:
            await self._open_transaction(sending, home)
        by_system: dict[str, dict[str, Output[Any, Any]]] = {}
        for name, output in self._outputs.items():
            by_system.setdefault(output.system.name, {})[name] = output
        for system, outputs in by_system.items():
            await self._open_system(sending, system, outputs, home if exactly_once else None)

    async def _open_transaction(self, sending: Sending, home: str) -> None:
        system = self._services.resolved.systems[home]

        async def open_one() -> OpenTransaction | None:
            transaction = system.transaction(self._claim)
            if transaction is None:
                return None
            await transaction.aopen()
            return OpenTransaction(transaction)

        sending.transaction = await retried(
            f"opening the transaction of {self._claim.task}", open_one
        )

    async def _open_system(
        self,
        sending: Sending,
        system: str,
        outputs: Mapping[str, Output[Any, Any]],
        home: str | None,
    ) -> None:
        promises = {output.promise for output in outputs.values()}
        own = self._services.hosts.get(system)
        transaction = None
        if Promise.TRANSACTIONAL in promises and home == system:
            transaction = sending.transaction
        if own is None:
            own = await self._open_host(sending, system, outputs)
        two_phase = own.producer if isinstance(own.producer, TwoPhaseProducer) else None
        exclusive = two_phase is not None or transaction is not None
        ports: dict[str, Port] = {}
        for name, output in outputs.items():
            outbox = self._services.outboxes.get(name) if not exclusive else None
            if outbox is None:
                broken = self._broken if exclusive else None
                within = transaction if output.promise is Promise.TRANSACTIONAL else None
                outbox = made_outbox(name, own, self._services.linger_s, within, broken)
                self._children.start(outbox.run(), f"outbox {name} of {self._claim.task}")
            share = self._services.rooms.unsettled
            port = Port(name, outbox, share, self._on_room, self._on_rejection)
            ports[name] = port
            sending.senders[name] = Sender(output, port, self._claim.task.partition("/")[0])
            limits = own.producer.limits
            sending.max_bytes[name] = limits.message_bytes or limits.bytes
        sending.participants.append(Outputs(system, ports, two_phase, exclusive))

    async def _open_host(
        self, sending: Sending, system: str, outputs: Mapping[str, Output[Any, Any]]
    ) -> ProducerHost:
        owner = self._services.resolved.systems[system]
        by_stream = {output.name: output for output in outputs.values()}

        def make() -> Producer:
            return owner.producer(by_stream, self._claim)

        host = ProducerHost(f"{system} for {self._claim.task}", make)
        await host.open()
        sending.hosts.append(host)
        return host

    def _broken(self, error: ConnectorError) -> None:
        """An output that may not repeat does not know what it has: back to the checkpoint."""
        aborted = TaskAbortedError(f"task {self._claim.task} goes back to its checkpoint: {error}")
        aborted.__cause__ = error
        self._abort(aborted)


def claim_scoped(system_name: str, services: Services) -> bool:
    """Whether each task has a producer of its own at this system."""
    resolved = services.resolved
    system = resolved.systems[system_name]
    promises = {output.promise for output in resolved.outputs_of(system_name).values()}
    if not promises:
        raise ConfigError(f"systems.{system_name}", "has no outputs")
    own = {Promise.TWO_PHASE, Promise.TRANSACTIONAL}
    return system.producer_scope == "claim" or bool(promises & own)
