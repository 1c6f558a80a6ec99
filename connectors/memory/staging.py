"""The two-phase memory producer: staged before the checkpoint, visible after it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import msgspec

from samza_py.checkpoint import Claim, Token
from samza_py.connectors.memory.broker import Broker, Link, Staged
from samza_py.connectors.memory.log import Log
from samza_py.connectors.memory.writing import WritingProducer
from samza_py.errors import ConnectorError
from samza_py.message import Outgoing
from samza_py.producer import Limits, Promise, Requests, TwoPhaseProducer
from samza_py.transaction import Transaction

logger = logging.getLogger(__name__)


class _Token(msgspec.Struct):
    """What a token says; the rest is kept in the broker under its id."""

    job: str
    task: str
    epoch: int
    stream: str
    id: int


class StagingProducer(WritingProducer, TwoPhaseProducer):
    """Keeps what is written to two-phase outputs aside until its token is finished.

    Outputs that only promise at-least-once are written at once.

    Args:
        link: the line to the broker.
        physical: the broker's name of each output, by logical name.
        requests: how requests overlap and fail.
        limits: what one write may hold.
        promises: what each output promises, by logical name.
        claim: whose messages these are.
    """

    def __init__(
        self,
        link: Link,
        physical: Mapping[str, str],
        requests: Requests,
        limits: Limits,
        *,
        promises: Mapping[str, Promise],
        claim: Claim,
    ) -> None:
        super().__init__(link, physical, requests, limits)
        self._promises = promises
        self._claim = claim
        self._pending: dict[str, list[Outgoing]] = {}

    async def stage(self) -> Mapping[str, Sequence[Token]]:
        """Put everything written since the last stage aside, one token an output."""
        await self._link.before("stage")
        tokens = {output: (self._put_aside(output),) for output in self._pending}
        self._pending.clear()
        if self._link.watched:
            await self._link.after("stage")
        return tokens

    async def finish(self, token: Token) -> None:
        """Append what the token names to its stream, all in one step.

        Raises:
            UnavailableError: call again.
            ConnectorError: it is no token, or its stream no longer takes the messages.
        """
        await self._link.before("finish")
        self._finish(token)
        if self._link.watched:
            await self._link.after("finish")

    async def recover(self, claim: Claim, tokens: Mapping[str, Sequence[Token]]) -> None:
        """Finish these tokens and drop whatever else the task has staged or written.

        Raises what ``finish`` raises.
        """
        await self._link.before("recover")
        for named in tokens.values():
            for token in named:
                self._finish(token)
        self._pending.clear()
        self._claim = claim
        staged = self._broker.staged
        # Another system of the same broker may have staged for the same task.
        own = set(self._physical.values())
        for name, left in list(staged.items()):
            owned = left.owner == (claim.job, claim.task) and left.physical in own
            if owned and left.epoch <= claim.epoch:
                del staged[name]
        if self._link.watched:
            await self._link.after("recover")

    async def abandon(self, token: Token) -> None:
        """Drop what the token names; nothing happens where it is gone."""
        await self._link.before("abandon")
        self._broker.staged.pop(_read(token).id, None)
        if self._link.watched:
            await self._link.after("abandon")

    @property
    def _broker(self) -> Broker:
        return self._link.broker

    def _check(self, streams: Collection[str], within: Transaction | None) -> None:
        if within is not None:
            raise ConnectorError("memory: two-phase outputs take part in no transaction")

    def _put(self, log: Log, messages: Sequence[Outgoing], within: Transaction | None) -> None:
        output = messages[0].stream
        if self._promises[output] is Promise.TWO_PHASE:
            # The partition is chosen again when it is finished: this one may be closed by then.
            self._pending.setdefault(output, []).extend(messages)
        else:
            log.extend(messages)

    def _put_aside(self, output: str) -> Token:
        claim = self._claim
        name = self._broker.next_stage()
        physical = self._physical[output]
        self._broker.staged[name] = Staged(
            (claim.job, claim.task), claim.epoch, physical, self._pending[output]
        )
        token = _Token(claim.job, claim.task, claim.epoch, physical, name)
        return Token(msgspec.json.encode(token).decode())

    def _finish(self, token: Token) -> None:
        name = _read(token).id
        staged = self._broker.staged.get(name)
        if staged is None:
            if name not in self._broker.finished:
                logger.warning(
                    "what %s staged is gone, and so is what it became: taken for finished before",
                    token,
                )
            return
        groups, rejected = self._broker.topic(staged.physical).spread(staged.messages)
        if rejected:
            raise ConnectorError(f"memory: {token} cannot be finished") from rejected[0][1]
        del self._broker.staged[name]
        self._broker.finished.add(name)
        for log, messages in groups.items():
            log.extend(messages)


def _read(token: Token) -> _Token:
    try:
        return msgspec.json.decode(token, type=_Token)
    except msgspec.DecodeError as error:
        raise ConnectorError(f"memory: {token!r} is not one of its tokens") from error
