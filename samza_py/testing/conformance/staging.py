"""What ``TwoPhaseProducer`` promises: nothing is seen before the checkpoint, all of it after."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence

from samza_py.checkpoint import Claim, Token
from samza_py.producer import TwoPhaseProducer
from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.check import Checklist, expect
from samza_py.testing.conformance.harness import ConnectorHarness
from samza_py.testing.conformance.sessions import Writing, arrived, staged

CHECKS = Checklist("TwoPhaseProducer", ConnectorHarness, Capability.WRITES, Capability.TWO_PHASE)

FIRST, LATER = Claim("writer/0", 1), Claim("writer/0", 2)
OTHER = Claim("writer/1", 1)


class Staging(Writing):
    """One open two-phase producer for the target."""

    def __init__(self, harness: ConnectorHarness, producer: TwoPhaseProducer) -> None:
        super().__init__(harness, producer)
        self.phases = producer

    async def stage(self, numbers: range) -> list[Token]:
        """Write and stage messages of these numbers."""
        await self.put(numbers)
        return await staged(self.phases)

    async def seen(self) -> list[int]:
        """What a reader of the target sees, with nothing done before it looks."""
        return await arrived(self.harness)


@contextlib.asynccontextmanager
async def staging(
    harness: ConnectorHarness, claim: Claim = FIRST, tokens: Sequence[Token] = ()
) -> AsyncGenerator[Staging]:
    """Open a producer for a claim whose checkpoint names these tokens."""
    async with harness.producer(claim) as producer:
        if not isinstance(producer, TwoPhaseProducer):
            raise TypeError(f"{type(producer).__name__} is no TwoPhaseProducer")
        await producer.recover(claim, _named(harness, tokens))
        yield Staging(harness, producer)


def _named(harness: ConnectorHarness, tokens: Sequence[Token]) -> Mapping[str, Sequence[Token]]:
    return {harness.target.name: list(tokens)} if tokens else {}


@CHECKS.check()
async def nothing_is_seen_before_it_is_staged(harness: ConnectorHarness) -> None:
    """What is written is invisible before it is staged."""
    async with staging(harness) as it:
        await it.put(range(3))
        numbers = await it.seen()
        expect(not numbers, f"written and not staged, but {numbers} can be seen")


@CHECKS.check()
async def nothing_is_seen_before_it_is_finished(harness: ConnectorHarness) -> None:
    """What is staged is invisible before it is finished."""
    async with staging(harness) as it:
        await it.stage(range(3))
        numbers = await it.seen()
        expect(not numbers, f"staged and not finished, but {numbers} can be seen")


@CHECKS.check()
async def all_is_seen_once_it_is_finished(harness: ConnectorHarness) -> None:
    """Finish makes what the token names visible, all of it."""
    async with staging(harness) as it:
        tokens = await it.stage(range(5))
        expect(tokens, "messages were written, but stage gave no token")
        for token in tokens:
            await it.phases.finish(token)
        numbers = await it.seen()
        expect(numbers == [0, 1, 2, 3, 4], f"0 to 4 were finished, {numbers} can be seen")


@CHECKS.check()
async def a_token_finishes_its_own_alone(harness: ConnectorHarness) -> None:
    """Finish makes nothing visible that its token does not name."""
    async with staging(harness) as it:
        tokens = await it.stage(range(2))
        more = await it.stage(range(2, 4))
        for token in tokens:
            await it.phases.finish(token)
        numbers = await it.seen()
        expect(numbers == [0, 1], f"2 and 3 are not finished; {numbers} can be seen")
        for token in more:
            await it.phases.finish(token)
        numbers = await it.seen()
        expect(numbers == [0, 1, 2, 3], f"0 to 3 were finished, {numbers} can be seen")


@CHECKS.check()
async def nothing_written_gives_no_token(harness: ConnectorHarness) -> None:
    """Nothing written since the last stage gives no token; tokens are by output name."""
    async with staging(harness) as it:
        before = dict(await it.phases.stage())
        expect(not any(before.values()), f"nothing was written, stage gave {before}")
        await it.put(range(2))
        tokens = dict(await it.phases.stage())
        again = dict(await it.phases.stage())
        expect(set(tokens) == {harness.target.name}, f"{tokens} should be by output name")
        expect(not any(again.values()), f"nothing more was written, stage gave {again}")
        for token in tokens[harness.target.name]:
            await it.phases.finish(token)


@CHECKS.check()
async def finishing_twice_changes_nothing(harness: ConnectorHarness) -> None:
    """Finish is idempotent."""
    async with staging(harness) as it:
        tokens = await it.stage(range(3))
        for token in [*tokens, *tokens, *tokens]:
            await it.phases.finish(token)
        numbers = await it.seen()
        expect(numbers == [0, 1, 2], f"0 to 2 were finished three times, {numbers} can be seen")


@CHECKS.check()
async def a_later_owner_can_finish(harness: ConnectorHarness) -> None:
    """A token says all that finish needs, to any later owner of the task."""
    async with staging(harness) as it:
        tokens = await it.stage(range(3))
    async with staging(harness, LATER, tokens) as later:
        for token in tokens:
            await later.phases.finish(Token(str(token)))
        numbers = await later.seen()
        expect(numbers == [0, 1, 2], f"0 to 2 were finished by a later owner, {numbers} is seen")


@CHECKS.check()
async def recovering_finishes_what_is_named(harness: ConnectorHarness) -> None:
    """Recover finishes what the checkpoint names."""
    async with staging(harness) as it:
        tokens = await it.stage(range(3))
    async with staging(harness, LATER, tokens) as later:
        numbers = await later.seen()
        expect(numbers == [0, 1, 2], f"a checkpoint named 0 to 2, recovered is {numbers}")


@CHECKS.check()
async def recovering_twice_changes_nothing(harness: ConnectorHarness) -> None:
    """Recover again, with what was finished already, changes nothing."""
    async with staging(harness) as it:
        tokens = await it.stage(range(3))
        for token in tokens:
            await it.phases.finish(token)
    for claim in (LATER, Claim(LATER.task, 3)):
        async with staging(harness, claim, tokens) as later:
            numbers = await later.seen()
            expect(numbers == [0, 1, 2], f"recovered what was finished: {numbers} is seen")


@CHECKS.check()
async def recovering_removes_what_is_not_named(harness: ConnectorHarness) -> None:
    """Recover removes this task's older leftovers."""
    async with staging(harness) as it:
        named = await it.stage(range(2))
        leftover = await it.stage(range(2, 4))
    async with staging(harness, LATER, named) as later:
        for token in [*named, *leftover]:
            await _finish_quietly(later, token)
        numbers = await later.seen()
        expect(numbers == [0, 1], f"2 and 3 were left over, but can be finished: {numbers}")


@CHECKS.check()
async def recovering_leaves_other_tasks_alone(harness: ConnectorHarness) -> None:
    """Recover leaves alone what other tasks have staged."""
    async with staging(harness, OTHER) as other:
        tokens = await other.stage(range(10, 12))
        async with staging(harness, FIRST) as first:
            await first.stage(range(2))
        async with staging(harness, LATER):
            pass
        for token in tokens:
            await other.phases.finish(token)
        numbers = await other.seen()
        expect(numbers == [10, 11], f"another task staged 10 and 11; of them {numbers} is seen")


@CHECKS.check()
async def what_was_never_staged_is_gone(harness: ConnectorHarness) -> None:
    """What was written and never staged is gone with its producer."""
    async with staging(harness) as it:
        await it.put(range(2))
    async with staging(harness, LATER) as later:
        for token in await later.stage(range(5, 6)):
            await later.phases.finish(token)
        numbers = await later.seen()
        expect(numbers == [5], f"0 and 1 were never staged, 5 was finished: {numbers} is seen")


@CHECKS.check()
async def a_rollback_drops_what_was_written(harness: ConnectorHarness) -> None:
    """Recover after a rollback drops what was written before it."""
    async with staging(harness) as it:
        await it.put(range(2))
        leftover = await it.stage(range(2, 4))
        await it.put(range(4, 6))
        await it.phases.recover(FIRST, {})
        for token in leftover:
            await _finish_quietly(it, token)
        for token in await it.stage(range(7, 8)):
            await it.phases.finish(token)
        numbers = await it.seen()
        expect(numbers == [7], f"0 to 5 were rolled back, 7 was finished: {numbers} is seen")


@CHECKS.check()
async def what_is_abandoned_is_gone(harness: ConnectorHarness) -> None:
    """Abandon removes what was staged."""
    async with staging(harness) as it:
        tokens = await it.stage(range(3))
        for token in tokens:
            await it.phases.abandon(token)
        for token in tokens:
            await _finish_quietly(it, token)
        numbers = await it.seen()
        expect(not numbers, f"0 to 2 were abandoned, but {numbers} could be finished")


@CHECKS.check()
async def finishing_what_is_gone_is_a_warning(harness: ConnectorHarness) -> None:
    """Staged and final both gone means taken away by a reader: a warning, not an error."""
    async with staging(harness) as it:
        tokens = await it.stage(range(2))
        for token in tokens:
            await it.phases.abandon(token)
        with warnings_logged() as said:
            for token in tokens:
                await it.phases.finish(token)
        expect(said, "what was staged is gone, and finish said nothing about it")


async def _finish_quietly(it: Staging, token: Token) -> None:
    """Finish what may be gone already, which may be refused or warned about."""
    with contextlib.suppress(Exception), warnings_logged():
        await it.phases.finish(token)


@contextlib.contextmanager
def warnings_logged() -> Generator[list[str]]:
    """The warnings that are logged in the block, which go nowhere else."""
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root = logging.getLogger()
    handlers = root.handlers[:]
    root.handlers[:] = [Kept(logging.WARNING)]
    try:
        yield said
    finally:
        root.handlers[:] = handlers
