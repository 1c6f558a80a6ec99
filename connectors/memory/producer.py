"""The memory producer that writes at once: at least once, idempotent, within a transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from samza_py.checkpoint import Claim
from samza_py.connectors.memory.broker import Link
from samza_py.connectors.memory.log import Log
from samza_py.connectors.memory.transactions import MemoryTransaction
from samza_py.connectors.memory.writing import WritingProducer
from samza_py.errors import ConnectorError
from samza_py.message import Outgoing
from samza_py.producer import Limits, Promise, Requests
from samza_py.transaction import Transaction


class MemoryProducer(WritingProducer):
    """Writes at once, as each output promises: at least once, idempotent, or transactional.

    Args:
        link: the line to the broker.
        physical: the broker's name of each output, by logical name.
        requests: how requests overlap and fail.
        limits: what one write may hold.
        promises: what each output promises, by logical name.
        claim: whose messages these are; None for a container's.
    """

    def __init__(
        self,
        link: Link,
        physical: Mapping[str, str],
        requests: Requests,
        limits: Limits,
        *,
        promises: Mapping[str, Promise],
        claim: Claim | None,
    ) -> None:
        super().__init__(link, physical, requests, limits)
        self._promises = promises
        self._claim = claim

    def _check(self, streams: Collection[str], within: Transaction | None) -> None:
        if within is None:
            return
        if not isinstance(within, MemoryTransaction):
            raise ConnectorError("memory: a write within a transaction of another system")
        for stream in streams:
            if self._promises[stream] is not Promise.TRANSACTIONAL:
                raise ConnectorError(f"memory: output {stream!r} is not transactional")
        within.check()

    def _put(self, log: Log, messages: Sequence[Outgoing], within: Transaction | None) -> None:
        if isinstance(within, MemoryTransaction):
            within.write(log, messages)
        elif self._promises[messages[0].stream] is Promise.IDEMPOTENT:
            task, epoch = (self._claim.task, self._claim.epoch) if self._claim else ("", 0)
            self._topic(messages[0].stream).put_once(log, messages, task, epoch)
        else:
            log.extend(messages)
