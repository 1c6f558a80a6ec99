"""Two-phase producers that break one promise each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from samza_py.checkpoint import Claim, Token
from samza_py.connectors.memory.log import Log
from samza_py.errors import ConnectorError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Promise
from samza_py.testing import Capability
from samza_py.transaction import Transaction
from tests.conformance.memory_harness import ABILITIES, MemoryHarness
from tests.conformance.saboteurs.around import Impatient, StagingAround, breaks

Tokens = Mapping[str, Sequence[Token]]


class TwoPhaseMemory(Impatient):
    """The memory system, which stages what it writes."""

    capabilities: Collection[Capability] = ABILITIES | {Capability.TWO_PHASE}
    promise = Promise.TWO_PHASE


class Showing(StagingAround):
    """Puts messages where readers see them, and can take them away again."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.shown: list[tuple[Log, int]] = []
        self.written: list[Outgoing] = []

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        self.written += batch
        return await super().settled(batch, within)

    def show(self, messages: Sequence[Outgoing]) -> None:
        """Let readers see these."""
        for message in messages:
            log = self.harness.system.broker.topic("orders-v2").log("0")
            self.shown.append((log, log.extend([message])))

    def hide(self) -> None:
        """Let readers see nothing more of them."""
        for log, offset in self.shown:
            log.hide(offset, offset)
        self.shown.clear()

    def seen(self) -> Counter[int]:
        """The numbers that readers see."""
        messages = self.harness.system.read_raw(self.harness.source)
        return Counter(self.harness.number(m.raw_value) for m in messages)

    async def finish(self, token: Token) -> None:
        self.hide()
        await super().finish(token)

    async def recover(self, claim: Claim, tokens: Tokens) -> None:
        self.hide()
        await super().recover(claim, tokens)

    async def abandon(self, token: Token) -> None:
        self.hide()
        await super().abandon(token)

    async def aclose(self) -> None:
        self.hide()
        await super().aclose()


@breaks("nothing_is_seen_before_it_is_staged", base=TwoPhaseMemory)
class ShowsWhatIsWritten(Showing):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        self.show(batch)
        return await super().settled(batch, within)

    async def stage(self) -> Tokens:
        self.hide()
        return await super().stage()


@breaks("nothing_is_seen_before_it_is_finished", base=TwoPhaseMemory)
class ShowsWhatIsStaged(Showing):
    async def stage(self) -> Tokens:
        self.show(self.written)
        self.written.clear()
        return await super().stage()


@breaks("all_is_seen_once_it_is_finished", base=TwoPhaseMemory)
class StagesFourAtMost(StagingAround):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        kept = batch[:4] if len(batch) == 5 else batch
        return await super().settled(kept, within)


@breaks("a_token_finishes_its_own_alone", base=TwoPhaseMemory)
class FinishesEverything(StagingAround):
    """Whatever is staged is finished with the first token."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.tokens: list[Token] = []

    async def stage(self) -> Tokens:
        tokens = await super().stage()
        self.tokens += [token for named in tokens.values() for token in named]
        return tokens

    async def finish(self, token: Token) -> None:
        for other in {token, *self.tokens}:
            await super().finish(other)


@breaks("nothing_written_gives_no_token", base=TwoPhaseMemory)
class AlwaysHasAToken(StagingAround):
    """Where nothing was written, it names that nothing."""

    async def stage(self) -> Tokens:
        return await super().stage() or {self.harness.target.name: [Token("nothing")]}

    async def finish(self, token: Token) -> None:
        if token != "nothing":
            await super().finish(token)


@breaks("finishing_twice_changes_nothing", base=TwoPhaseMemory)
class FinishesAgain(Showing):
    """What is finished again is there again."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.finished: Counter[Token] = Counter()

    async def finish(self, token: Token) -> None:
        await super().finish(token)
        self.finished[token] += 1
        if self.finished[token] > 1:
            self.harness.system.put_raw(self.harness.source, b"", self.written[0].value)


@breaks("a_later_owner_can_finish", base=TwoPhaseMemory)
class FinishesItsOwnOnly(FinishesEverything):
    """A token means something only to the object that gave it."""

    async def finish(self, token: Token) -> None:
        if token not in self.tokens:
            raise ConnectorError("no token of mine")
        await StagingAround.finish(self, token)


@breaks("recovering_finishes_what_is_named", base=TwoPhaseMemory)
class LeavesTheRestToFinish(Showing):
    """Recovering makes nothing visible; an explicit finish does."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.waiting: list[tuple[bytes | None, Any]] = []

    async def recover(self, claim: Claim, tokens: Tokens) -> None:
        logs = self.harness.system.broker.topic("orders-v2").logs
        ends = {name: log.end for name, log in logs.items()}
        await super().recover(claim, tokens)
        for name, end in ends.items():
            log = logs[name]
            if log.end > end:
                place = self.harness.partition(name)
                found = log.read(place, end, 1000, 1 << 30).messages
                self.waiting += [(m.raw_key, m.raw_value) for m in found]
                log.hide(end, log.end - 1)

    async def finish(self, token: Token) -> None:
        for key, value in self.waiting:
            self.harness.system.put_raw(self.harness.source, key, value)
        self.waiting.clear()
        await super().finish(token)


@breaks("recovering_twice_changes_nothing", base=TwoPhaseMemory)
class RecoversAgain(Showing):
    """What was finished before is there twice after a recovery."""

    async def recover(self, claim: Claim, tokens: Tokens) -> None:
        before = self.seen()
        await super().recover(claim, tokens)
        if any(tokens.values()) and self.seen() == before:
            for number in before:
                message = self.harness.message(number)
                self.harness.system.put_raw(self.harness.source, message.key, message.value)


@breaks("recovering_removes_what_is_not_named", base=TwoPhaseMemory)
class RemovesNothing(StagingAround):
    """Where the checkpoint names something, nothing else is looked at."""

    async def recover(self, claim: Claim, tokens: Tokens) -> None:
        if not any(tokens.values()):
            await super().recover(claim, tokens)
        for named in tokens.values():
            for token in named:
                await super().finish(token)


@breaks("recovering_leaves_other_tasks_alone", base=TwoPhaseMemory)
class RemovesEverybodys(StagingAround):
    async def recover(self, claim: Claim, tokens: Tokens) -> None:
        await super().recover(claim, tokens)
        self.harness.system.broker.staged.clear()


unstaged: WeakKeyDictionary[MemoryHarness, list[Outgoing]] = WeakKeyDictionary()


@breaks("what_was_never_staged_is_gone", base=TwoPhaseMemory)
class HandsOnWhatWasWritten(Showing):
    """What was written and not staged is staged by the next owner."""

    async def recover(self, claim: Claim, tokens: Tokens) -> None:
        await super().recover(claim, tokens)
        left = unstaged.pop(self.harness, [])
        if left:
            await super().settled(left, None)

    async def stage(self) -> Tokens:
        self.written.clear()
        return await super().stage()

    async def aclose(self) -> None:
        unstaged[self.harness] = list(self.written)
        await super().aclose()


@breaks("a_rollback_drops_what_was_written", base=TwoPhaseMemory)
class KeepsWhatIsRolledBack(Showing):
    """What was written before a rollback is staged after it."""

    async def recover(self, claim: Claim, tokens: Tokens) -> None:
        await super().recover(claim, tokens)
        if self.written:
            await self.inner.write(list(self.written))

    async def stage(self) -> Tokens:
        self.written.clear()
        return await super().stage()


@breaks("what_is_abandoned_is_gone", base=TwoPhaseMemory)
class FinishesTheAbandoned(StagingAround):
    """What is abandoned is put aside, and still finished by a second finish of it."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.aside: dict[Token, Any] = {}

    async def abandon(self, token: Token) -> None:
        staged = self.harness.system.broker.staged
        self.aside[token] = dict(staged)
        await super().abandon(token)

    async def finish(self, token: Token) -> None:
        await super().finish(token)
        if token in self.aside and len(self.aside[token]) == 1:
            self.harness.system.broker.staged.update(self.aside.pop(token))
            await super().finish(token)


@breaks("finishing_what_is_gone_is_a_warning", base=TwoPhaseMemory)
class SaysNothingOfWhatIsGone(StagingAround):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.gone: set[Token] = set()

    async def abandon(self, token: Token) -> None:
        self.gone.add(token)
        await super().abandon(token)

    async def finish(self, token: Token) -> None:
        if token not in self.gone:
            await super().finish(token)
