"""What a task sends, as its commit sees it: settled, or staged and finished."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from samza_py.checkpoint import Checkpoint, Claim, Token
from samza_py.errors import CheckpointError, UnavailableError
from samza_py.producer import TwoPhaseProducer
from samza_py.runtime.backoff import Backoff, retried
from samza_py.runtime.commit import Draft, Participant
from samza_py.runtime.port import Port
from samza_py.seam import seam

logger = logging.getLogger(__name__)

#: Tokens whose ``finish`` has not returned yet; more, and the task waits for it.
MOST_TOKENS = 1000


class Outputs(Participant):
    """What the task sends through one producer: settled, or staged and finished.

    Args:
        system: the producer's system, for messages.
        ports: of the task at the producer's outputs, by output name.
        producer: set for a two-phase one.
        exclusive: nothing behind the mark may reach the producer before the commit is over.
    """

    def __init__(
        self,
        system: str,
        ports: Mapping[str, Port],
        producer: TwoPhaseProducer | None,
        exclusive: bool,
    ) -> None:
        self._system = system
        self._ports = ports
        self._producer = producer
        self._exclusive = exclusive
        self._unfinished: dict[str, list[Token]] = {}

    def cut(self, draft: Draft) -> None:
        """Hold back what comes behind the mark, where it would get into this commit."""
        if self._exclusive:
            for port in self._ports.values():
                port.hold(draft.generation)

    def settled(self, draft: Draft) -> bool:
        """Whether everything before the mark is durable, or ready to be staged."""
        return all(port.settled_up_to(draft.generation) for port in self._ports.values())

    async def settle(self, draft: Draft) -> None:
        """Wait until it is."""
        for port in self._ports.values():
            await port.wait_settled(draft.generation)

    async def prepare(self, draft: Draft) -> None:
        """Stage it, where the producer does so."""
        if self._producer is None:
            return
        staged = await self._producer.stage()
        seam().reached("commit.staged")
        for name, tokens in staged.items():
            self._unfinished.setdefault(f"{self._system}.{name}", []).extend(tokens)
        draft.outputs.update({name: tuple(tokens) for name, tokens in self._unfinished.items()})

    async def commit(self, draft: Draft) -> None:
        """Finish what was staged, and let go of what was held back."""
        if self._producer is not None:
            for name, tokens in list(self._unfinished.items()):
                await self._finish(self._producer, name, tokens, draft.final)
        if self._exclusive:
            for port in self._ports.values():
                port.let_go()

    async def _finish(
        self, producer: TwoPhaseProducer, name: str, tokens: list[Token], final: bool
    ) -> None:
        """Finish tokens in order; what does not work now stays for the next commit, if any."""
        backoff = Backoff(f"finishing staged output of {name}")
        while tokens:
            try:
                await producer.finish(tokens[0])
            except UnavailableError as error:
                if len(tokens) < MOST_TOKENS and not final:
                    logger.warning("%s stays staged until the next commit: %s", name, error)
                    return
                await backoff.wait(error)
                continue
            tokens.pop(0)
            seam().reached("commit.finishing")
        del self._unfinished[name]

    async def recover(self, claim: Claim, checkpoint: Checkpoint | None) -> None:
        """Finish what the checkpoint names, and remove older leftovers."""
        if self._producer is None:
            return
        tokens = dict(checkpoint.outputs) if checkpoint is not None else {}
        prefix = f"{self._system}."
        mine = {n.removeprefix(prefix): t for n, t in tokens.items() if n.startswith(prefix)}
        producer = self._producer
        await retried(
            f"recovering {self._system} for {claim.task}", lambda: producer.recover(claim, mine)
        )


def refuse_lost_outputs(checkpoint: Checkpoint, declared: Sequence[str]) -> None:
    """A checkpoint that names staged output of something no longer declared is not started from.

    Raises:
        CheckpointError: names the output and what to do.
    """
    lost = [name for name, tokens in checkpoint.outputs.items() if tokens and name not in declared]
    if lost:
        raise CheckpointError(
            f"the checkpoint has output staged for {', '.join(lost)}, which the job no longer "
            "declares; run once with it declared, so that it is finished, then take it out"
        )
