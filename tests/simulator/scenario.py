"""What a seed stands for: the job, its messages, its settings, and the trouble it will meet.

Everything is drawn here, before anything runs, so that a scenario can be printed and understood
by itself. What is drawn while it runs (which operation is struck) comes from another generator of
the same seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, Literal

from samza_py.options import Guarantee
from samza_py.producer import Limits, Promise, Requests
from samza_py.specification import Grouping, Order

LastResort = Literal["fail", "skip", "dead"]
Shape = Literal["plain", "async", "yield", "batch", "object", "blocking"]
FateKind = Literal[
    "ok",
    "slow",
    "stops",
    "flaky",
    "transient",
    "poison",
    "late",
    "undecodable",
    "damaged",
    "rejected",
]


@dataclass(frozen=True)
class Fate:
    """What happens to one message when it is handled.

    Attributes:
        kind: ``stops`` asks the container to stop, ``flaky`` fails its first ``count``
            attempts, ``transient`` the first ``count`` calls of all, ``late`` takes longer than
            the timeout in its first attempt, ``rejected`` is refused by output A.
        count: see above.
        early: whether it fails before or after it has sent and stored.
    """

    kind: FateKind = "ok"
    count: int = 0
    early: bool = True


@dataclass(frozen=True)
class Policy:
    """An error policy: calls for one message, and what comes then."""

    attempts: int
    last: LastResort


@dataclass(frozen=True)
class HandlerPlan:
    """One handler of the job.

    Attributes:
        store: how it keeps state: not at all, by the message's key, or in entries that messages
            of different keys share.
        sends: it sends to output B besides what it returns to A.
        names_failed: a batch handler that fails says which messages did.
    """

    name: str
    shape: Shape
    order: Order = "key"
    concurrency: int = 1
    limited: bool = False
    grouping: Grouping = "partition_id"
    store: Literal["none", "own", "shared"] = "none"
    sends: bool = False
    timers: bool = False
    timeout_s: float | None = None
    policy: Policy = Policy(1, "fail")
    names_failed: bool = True
    batch_messages: int = 5

    @property
    def takes_context(self) -> bool:
        """Whether it is given a context."""
        return self.shape == "object" or self.store != "none" or self.sends


@dataclass(frozen=True)
class Given:
    """One message that is put into the input, at a time of the simulation.

    Attributes:
        gap: so many records that nobody may see lie before it: a transaction was aborted.
    """

    partition: str
    key: str | None
    fate: Fate
    at_s: float
    gap: int = 0


@dataclass(frozen=True)
class Trouble:
    """How often what goes wrong, until ``until_s``.

    Attributes:
        before, after, delay: how likely an operation is not done, done without an answer, slow.
        hot: operations that are struck ``heat`` times as often.
        message: how likely one message of a write fails.
        partition: how likely a partition fails in a poll.
        broken_off: how likely a fetch fails after it has brought messages. The runtime reads on
            behind them; whatever is then delivered again, it has asked for.
        crash: how likely an operation is a container's last one.
        crashes: how many such there are at most.
        cancel: how likely a container's run is cancelled from outside near an operation or point.
        cancels: how many such there are at most.
        impatience: how often a cancelled run is cancelled again before it has ended, at most.
        point: a named point of the runtime at which the first container that comes there crashes.
        acts_every_s: how often the play does something to the containers; 0 for never.
        lease_s: grants end after so long, unless they are renewed; None for grants without an end.
    """

    until_s: float
    before: float = 0.0
    after: float = 0.0
    delay: float = 0.0
    hot: frozenset[str] = frozenset()
    heat: float = 1.0
    message: float = 0.0
    partition: float = 0.0
    broken_off: float = 0.0
    crash: float = 0.0
    crashes: int = 0
    cancel: float = 0.0
    cancels: int = 0
    impatience: int = 0
    point: str | None = None
    acts_every_s: float = 0.0
    lease_s: float | None = None


@dataclass(frozen=True)
class Scenario:
    """A whole run, but for what chance does while it runs."""

    seed: int
    containers: int
    partitions: int
    splits: int
    handlers: tuple[HandlerPlan, ...]
    given: tuple[Given, ...]
    guarantee: Guarantee
    main: Promise
    side: Promise | None
    requests: Requests
    side_requests: Requests
    limits: Limits
    #: Which of the outputs A, B and the dead letters D are on the side system.
    on_side: frozenset[str]
    out_partitions: int
    trouble: Trouble
    shuffled: bool
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def promise(self, output: str) -> Promise:
        """What an output promises."""
        return self.side if self.side is not None and output in self.on_side else self.main

    @property
    def transactional(self) -> bool:
        """Whether checkpoints are written in a transaction."""
        return self.guarantee == "exactly_once" and self.main is Promise.TRANSACTIONAL

    def in_transaction(self, output: str) -> bool:
        """Whether what goes to an output stands in the transaction of the checkpoint."""
        return self.transactional and self.promise(output) is Promise.TRANSACTIONAL

    def atomic(self, output: str) -> bool:
        """Whether an output shows exactly what the checkpoint covers."""
        return self.in_transaction(output) or self.promise(output) is Promise.TWO_PHASE

    def once(self, output: str) -> bool:
        """Whether an output shows each message once in the end."""
        return self.atomic(output) or self.promise(output) is Promise.IDEMPOTENT


def chance(seed: int, what: str) -> random.Random:
    """A generator of its own for each purpose, so that one does not disturb the other."""
    return random.Random(f"{seed} {what}")
