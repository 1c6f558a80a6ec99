"""Transactions of the memory system: outputs, checkpoint and changes in one synchronous step."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from samza_py.checkpoint import Claim
from samza_py.connectors.memory.broker import Link
from samza_py.connectors.memory.log import Log
from samza_py.errors import ConnectorError
from samza_py.message import Outgoing
from samza_py.transaction import Transaction


class MemoryTransaction(Transaction):
    """The transactions of one claim. Like all of the memory system it lasts as long as the broker.

    Args:
        link: the line to the broker.
        claim: whose they are.
    """

    def __init__(self, link: Link, claim: Claim) -> None:
        self.claim = claim
        self._link = link
        self._open = False
        self._written: dict[Log, list[tuple[int, int]]] = {}
        self._effects: list[Callable[[], None]] = []

    @property
    def owner(self) -> tuple[str, str]:
        """The job and the task that it belongs to."""
        return self.claim.job, self.claim.task

    async def aopen(self) -> None:
        """Fence the older claims of the task: their open transactions are aborted.

        Raises:
            FencedError: a newer claim exists.
            UnavailableError: try again.
        """
        await self._link.before("open")
        self._link.broker.fence(self.owner, self.claim.epoch)
        if self._link.watched:
            await self._link.after("open")

    async def aclose(self) -> None:
        """Leave; what is open stays so until the next claim aborts it, as after a crash."""

    async def begin(self) -> None:
        """Open one. What a commit of unknown outcome may have left open is aborted."""
        await self._link.before("begin")
        self._link.broker.check(self.owner, self.claim.epoch)
        self._abort()
        self._open = True
        self._link.broker.transactions[self.owner] = self._abort
        if self._link.watched:
            await self._link.after("begin")

    async def commit(self) -> None:
        """Make everything take effect at once.

        Raises:
            FencedError: a newer claim exists; nothing has taken effect.
            UnavailableError: the outcome is not known.
            ConnectorError: none is open.
        """
        await self._link.before("commit")
        self.check()
        for effect in self._effects:
            effect()
        for log in self._written:
            log.commit(self)
        self._end()
        if self._link.watched:
            await self._link.after("commit")

    async def abort(self) -> None:
        """Undo everything; does nothing where none is open."""
        await self._link.before("abort")
        self._abort()
        if self._link.watched:
            await self._link.after("abort")

    def check(self) -> None:
        """Make sure that something may be written within it now.

        Raises:
            FencedError: a newer claim exists.
            ConnectorError: none is open.
        """
        self._link.broker.check(self.owner, self.claim.epoch)
        if not self._open:
            raise ConnectorError(f"memory: task {self.claim.task} has no open transaction")

    def write(self, log: Log, messages: Sequence[Outgoing]) -> None:
        """Append messages that nobody sees before the commit. Called after ``check``."""
        first = log.extend(messages, self)
        self._written.setdefault(log, []).append((first, first + len(messages) - 1))

    def on_commit(self, effect: Callable[[], None]) -> None:
        """Let something else take effect with the commit; it must not fail."""
        self._effects.append(effect)

    def belongs_to(self, link: Link) -> bool:
        """Whether it is one of the broker that this line leads to."""
        return self._link.broker is link.broker

    def _abort(self) -> None:
        for log, written in self._written.items():
            log.abort(self, written)
        self._end()

    def _end(self) -> None:
        self._open = False
        self._written.clear()
        self._effects.clear()
        ongoing = self._link.broker.transactions
        if ongoing.get(self.owner) == self._abort:
            del ongoing[self.owner]
