"""The writing side of the one protocol: what the outbox asks of a system it writes to.

No policy lives in a producer. Batching, linger, requests in flight, retries, order after a failure
and what happens to a rejected message are the outbox's, once for all systems.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from samza_py.checkpoint import Claim, Token
from samza_py.errors import ConnectorError
from samza_py.message import Outgoing
from samza_py.resource import AsyncResource
from samza_py.transaction import Transaction


class Promise(Enum):
    """What a system's outputs can promise about a message sent again after a crash."""

    #: It may be there twice.
    AT_LEAST_ONCE = "at least once"
    #: It replaces itself: the system recognises it by its id and version.
    IDEMPOTENT = "idempotent"
    #: It is staged before the checkpoint and finished after it.
    TWO_PHASE = "two-phase"
    #: It is written within the transaction that holds the checkpoint.
    TRANSACTIONAL = "transactional"


class Requests(Enum):
    """How the requests of a producer may overlap and how they fail."""

    #: The producer keeps the order of each lane by itself across overlapping writes: once a
    #: message of a lane has failed with ``Retry`` or ``Unknown``, every later one of that lane
    #: fails too, with ``Retry``, in all writes that were called before those failures had been
    #: awaited, even if they are accepted only then. A ``Rejected`` one holds nothing up. The outbox
    #: sends ahead up to ``Limits.in_flight``.
    ORDERED = "ordered"
    #: A write succeeds or fails as one, or without the messages that are ``Rejected``. The outbox
    #: waits for each before it sends the next.
    WHOLE = "whole"
    #: Each message fails alone. The outbox lets no two unsettled messages of a lane out at once.
    BY_MESSAGE = "by message"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one write may hold, and how many may be unsettled at once. All at least 1.

    Attributes:
        messages: of a write.
        bytes: of a write; a message that is larger goes alone.
        in_flight: writes that are not settled.
        message_bytes: of one message with its key and headers, where that is less than ``bytes``:
            dead letters are cut to it. Others that are larger are for the producer to reject.
    """

    messages: int = 1000
    bytes: int = 1 << 20
    in_flight: int = 4
    message_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The system will never take this message; it goes by the policy of its input."""

    error: ConnectorError


@dataclass(frozen=True, slots=True)
class Retry:
    """The message was surely not written; the outbox sends it again, not before ``after_s``."""

    error: ConnectorError
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows whether the message was written. At least once: it is sent again."""

    error: ConnectorError


Failure: TypeAlias = Rejected | Retry | Unknown
Failures: TypeAlias = Mapping[int, Failure]
"""What went wrong in a batch, by index; a message that is not in it is durable."""


class Receipt(ABC):
    """The producer's word about one accepted batch. Await it, once, to learn what became of it.

    Awaiting gives the ``Failures``: empty when all is durable (or, in a transaction, part of it).
    It never raises for a message; a ``ConnectorError`` from it means the producer as a whole is
    broken and must be made anew. Cancelling the wait changes nothing about the writing.
    """

    @abstractmethod
    def __await__(self) -> Generator[Any, None, Failures]:
        """Wait until every message of the batch is settled."""


_NO_FAILURES: Failures = {}


class Settled(Receipt):
    """A receipt for what was settled on the spot, or by an awaitable that gives the failures."""

    __slots__ = ("_outcome",)

    def __init__(self, outcome: Failures | Awaitable[Failures] = _NO_FAILURES) -> None:
        self._outcome = outcome

    def __await__(self) -> Generator[Any, None, Failures]:
        """Give the failures, waiting for the awaitable where there is one."""
        outcome = self._outcome
        if isinstance(outcome, Mapping):
            return outcome
        import asyncio  # here: a third of what importing samza_py would cost without a loop

        return (yield from asyncio.shield(outcome))  # who stops waiting does not stop the writing


class Producer(AsyncResource):
    """Writes to the outputs of one system, for a whole container or for one claim.

    Opened by ``async with``. ``write`` calls to one output overlap as ``requests`` and
    ``limits.in_flight`` allow; those to different outputs are independent of each other, so that
    a stuck output stops no other. The other methods are called one at a time and, for the
    two-phase ones, only when no write is unsettled.
    """

    limits: Limits = Limits()
    requests: Requests = Requests.WHOLE

    def lane(self, message: Outgoing) -> Hashable:
        """What order is kept over: a partition, a key, a document id. One lane by default."""
        return None

    @abstractmethod
    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        """Take over a batch, in order; wait while the client has no room for it.

        Returning means accepted, not durable. Nothing is retried, reordered or dropped.

        Cancellation: a cancelled write may or may not have been accepted; the outbox treats it
        as unknown.

        Args:
            batch: within ``limits``, not empty. A single message above ``limits.bytes`` comes
                alone. The producer must not change the list.
            within: the open transaction, for a transactional output under exactly-once.

        Raises:
            UnavailableError: nothing was accepted; write the same again later.
            FencedError: ``within`` belongs to a claim that is no longer the newest.
            ConnectorError: nothing was accepted and the producer is broken.
        """

    async def flush(self) -> None:
        """Hurry: what a client still holds back to fill its batches is sent now.

        Called at a commit, before the receipts are awaited. Does nothing where ``write`` holds
        nothing back.
        """


class TwoPhaseProducer(Producer):
    """A producer whose writes become visible only after the checkpoint. Opened for one claim.

    The order of its life: ``recover`` before the first write; then again and again writes,
    ``stage``, (the checkpoint with the tokens is written), ``finish`` of each token. A token
    stays in every later checkpoint until its ``finish`` has returned.
    """

    @abstractmethod
    async def stage(self) -> Mapping[str, Sequence[Token]]:
        """Make everything settled so far durable but invisible, and name it.

        Returns:
            The tokens by output name; nothing written since the last stage gives no token. A
            token is text that says all that ``finish`` needs, to any later owner of the task.

        Raises:
            ConnectorError: nothing was staged; the commit is rolled back.
        """

    @abstractmethod
    async def finish(self, token: Token) -> None:
        """Make what the token names visible, all at once. Idempotent.

        Staged and final both gone means finished before and taken away by a reader: a warning
        that names it. Raises ``UnavailableError`` to be called again, else ``ConnectorError``.
        """

    @abstractmethod
    async def recover(self, claim: Claim, tokens: Mapping[str, Sequence[Token]]) -> None:
        """Finish what the checkpoint names and remove this task's older leftovers.

        Called once after opening, and after a rollback; afterwards nothing staged by an epoch up
        to this claim's is left. Must not touch what other tasks have staged.
        """

    @abstractmethod
    async def abandon(self, token: Token) -> None:
        """Remove what was staged and no checkpoint names.

        Not called by the runtime, whose ``recover`` removes what it does not name. For tools that
        clean up behind a job that will not run again.
        """
