"""Transactions that break one promise each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from samza_py.checkpoint import Claim
from samza_py.connectors.memory.log import Log
from samza_py.connectors.memory.transactions import MemoryTransaction
from samza_py.errors import ConnectorError, FencedError
from samza_py.message import Outgoing
from samza_py.producer import Promise
from samza_py.testing import Capability
from samza_py.transaction import Transaction
from tests.conformance.memory_harness import ABILITIES
from tests.conformance.saboteurs.around import Impatient, breaks


class Within(Impatient):
    """The memory system with transactions of a kind of its own."""

    capabilities: Collection[Capability] = (ABILITIES | {Capability.TRANSACTIONAL}) - {
        Capability.READS
    }
    promise = Promise.TRANSACTIONAL
    kind: type[MemoryTransaction] = MemoryTransaction

    def transaction(self, claim: Claim) -> Transaction:
        return self.kind(self.system.link, claim)


@breaks("nothing_is_seen_before_the_commit")
class ShowsAtOnce(Within):
    class kind(MemoryTransaction):  # noqa: N801  (a class that is an attribute)
        """Writes at once, and takes it away again when it is aborted."""

        def write(self, log: Log, messages: Sequence[Outgoing]) -> None:
            first = log.extend(messages)
            self._written.setdefault(log, []).append((first, first + len(messages) - 1))

        def _abort(self) -> None:
            for log, written in self._written.items():
                for first, last in written:
                    log.hide(first, last)
            super()._abort()


@breaks("all_is_seen_after_the_commit")
class LosesTheSecond(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """After its first commit it loses a message."""

        loses = False

        async def commit(self) -> None:
            await super().commit()
            self.loses = True

        def write(self, log: Log, messages: Sequence[Outgoing]) -> None:
            kept = messages[1:] if self.loses else messages
            self.loses = False
            if kept:
                super().write(log, kept)


@breaks("nothing_is_seen_after_an_abort")
class CommitsInstead(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """An abort commits what was written, though not the checkpoint."""

        async def abort(self) -> None:
            if self._open:
                self._effects.clear()
                await self.commit()


@breaks("an_abort_without_a_transaction_is_safe")
class MustBeOpen(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """An abort must find something to abort."""

        async def abort(self) -> None:
            if not self._open:
                raise ConnectorError("no transaction is open")
            await super().abort()


@breaks("a_checkpoint_takes_effect_with_the_commit")
class WritesTheCheckpointAtOnce(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """A checkpoint takes effect at once, and is taken back by an abort."""

        before: dict[str, bytes] | None = None

        def on_commit(self, effect: Callable[[], None]) -> None:
            kept = self._link.broker.jobs[self.claim.job]
            self.before = dict(kept.checkpoints)
            effect()

        def _abort(self) -> None:
            if self._open and self.before is not None:
                kept = self._link.broker.jobs[self.claim.job]
                kept.checkpoints = self.before
            super()._abort()


@breaks("a_checkpoint_goes_with_the_abort")
class WritesTheCheckpointAllTheSame(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """A checkpoint takes effect although its transaction is aborted."""

        async def abort(self) -> None:
            for effect in self._effects:
                effect()
            await super().abort()


@breaks("an_older_owner_cannot_commit")
class CommitsInSilence(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """A commit that took no effect returns as if it had."""

        async def commit(self) -> None:
            try:
                await super().commit()
            except FencedError:
                return


@breaks("a_newer_owner_goes_on")
class LeavesItOpen(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """What an older owner left open stays so, and hides what comes behind it."""

        def _abort(self) -> None:
            if self._link.broker.epochs[self.owner] == self.claim.epoch:
                super()._abort()


@breaks("an_older_owner_cannot_begin")
class BeginsInSilence(Within):
    class kind(MemoryTransaction):  # noqa: N801
        """An older owner begins, writes nothing, and is not told at the commit either."""

        blind = False

        async def begin(self) -> None:
            try:
                await super().begin()
            except FencedError:
                self.blind = True

        async def commit(self) -> None:
            if not self.blind:
                await super().commit()
