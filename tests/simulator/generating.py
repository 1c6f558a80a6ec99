"""From a seed to a scenario."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from samza_py.options import Guarantee
from samza_py.producer import Limits, Promise, Requests
from tests.simulator.scenario import (
    Fate,
    FateKind,
    Given,
    HandlerPlan,
    LastResort,
    Policy,
    Scenario,
    Trouble,
    chance,
)

T = TypeVar("T")

OPERATIONS = (
    *("poll", "assign", "write", "receipt", "flush", "stage", "finish", "recover", "begin"),
    *("commit", "abort", "claim", "checkpoint", "restore", "read", "release", "open"),
    *("release_tasks", "owns", "start_position", "partitions", "on_checkpoint"),
)
POINTS = (
    *("start.opened", "start.claimed", "start.recovered", "start.assigned", "restore.wiped"),
    *("restore.batch", "commit.cut", "commit.settled", "commit.staged", "commit.prepared"),
    *("commit.in_transaction", "commit.written", "commit.finishing", "commit.finished"),
    *("stop.committed", "stop.closing"),
)
RESORTS: tuple[LastResort, ...] = ("skip", "dead", "dead")
#: More messages of this kind would only make a run longer: each one rolls a transaction back.
MOST_REJECTED = 3


def scenario_of(seed: int) -> Scenario:
    """Draw a scenario. The same seed gives the same one, on every machine."""
    draw = chance(seed, "scenario")
    strict = draw.random() < 0.3
    guarantee, main, side, on_side = _promises(draw)
    promises = {side if side is not None and o in on_side else main for o in "ABD"}
    containers = _weighted(draw, {1: 6, 2: 3, 3: 1})
    partitions = _weighted(draw, {1: 4, 2: 4, 3: 2, 4: 1, 6: 1})
    splits = 1 if draw.random() < 0.15 else 0
    handlers = [_handler(draw, "h0", strict)]
    if draw.random() < 0.25:
        handlers.append(_handler(draw, "h1", strict))
    trouble = _interruptions(chance(seed, "interruptions"), _trouble(draw, containers))
    return Scenario(
        seed=seed,
        containers=containers,
        partitions=partitions,
        splits=splits,
        handlers=tuple(handlers),
        given=_given(
            draw,
            [*map(str, range(partitions)), *(("0a", "0b") if splits else ())],
            _Fates(draw, handlers, Promise.IDEMPOTENT in promises),
            trouble.until_s,
        ),
        guarantee=guarantee,
        main=main,
        side=side,
        requests=draw.choice(list(Requests)),
        side_requests=draw.choice(list(Requests)),
        limits=Limits(
            draw.choice((1, 2, 5, 50)), draw.choice((30, 200, 1 << 20)), draw.choice((1, 2, 4))
        ),
        on_side=on_side,
        out_partitions=draw.choice((1, 2, 3)),
        trouble=trouble,
        shuffled=draw.random() < 0.5,
        options=_options(draw, guarantee),
    )


def _promises(
    draw: random.Random,
) -> tuple[Guarantee, Promise, Promise | None, frozenset[str]]:
    plain, same, staged = Promise.AT_LEAST_ONCE, Promise.IDEMPOTENT, Promise.TWO_PHASE
    transactional = Promise.TRANSACTIONAL
    on_side = frozenset(o for o in "ABD" if draw.random() < 0.5)
    if draw.random() < 0.45:
        main = _weighted(draw, {plain: 5, same: 2, staged: 2, transactional: 1})
        side = draw.choice((plain, same, staged)) if draw.random() < 0.35 else None
        return "at_least_once", main, side, on_side
    main = _weighted(draw, {transactional: 5, staged: 4, same: 2, plain: 1})
    if main is plain:
        return "exactly_once", main, draw.choice((same, staged)), frozenset("ABD")
    side = draw.choice((same, staged)) if draw.random() < 0.35 else None
    return "exactly_once", main, side, on_side


def _handler(draw: random.Random, name: str, strict: bool) -> HandlerPlan:
    shape = _weighted(
        draw, {"async": 7, "plain": 2, "yield": 2, "batch": 4, "object": 4, "blocking": 1}
    )
    concurrency = 1
    if shape != "batch" and draw.random() < 0.5:
        concurrency = draw.choice((2, 3, 8))
    attempts = draw.choice((1, 1, 2, 3))
    last: LastResort = "fail" if strict else draw.choice(RESORTS)
    timeout = 1.0 if shape in ("async", "object", "batch") and draw.random() < 0.3 else None
    return HandlerPlan(
        name,
        shape,  # type: ignore[arg-type]  # one of the literals above
        order=draw.choice(("key", "key", "key", "partition", "none")),
        concurrency=concurrency,
        limited=concurrency > 1 and draw.random() < 0.2,
        grouping=draw.choice(("partition_id", "partition", "all")),
        store=draw.choice(("none", "own", "shared")),
        sends=draw.random() < 0.5,
        timers=shape == "object" and draw.random() < 0.6,
        timeout_s=timeout,
        policy=Policy(attempts, last),
        names_failed=draw.random() < 0.6,
        batch_messages=draw.choice((1, 2, 5, 20)),
    )


def _given(
    draw: random.Random, names: Sequence[str], fates: _Fates, until_s: float
) -> tuple[Given, ...]:
    keys = [f"k{at}" for at in range(draw.choice((1, 2, 5)))]
    keyless = draw.choice((0.0, 0.0, 0.2))
    total = draw.choice((3, 10, 20, 40, 60))
    lasting = draw.choice((0.0, 0.0, 2.0, until_s * 0.7))
    gaps = draw.choice((0.0, 0.0, 0.3))
    given: list[Given] = []
    for _ in range(total):
        partition = draw.choice(names)
        key = None if draw.random() < keyless else draw.choice(keys)
        # What is split is full by then.
        at_s = 0.0 if "0a" in names and partition == "0" else draw.random() * lasting
        gap = draw.randint(1, 3) if draw.random() < gaps else 0
        given.append(Given(partition, key, fates.next(), at_s, gap))
    return tuple(sorted(given, key=lambda one: one.at_s))


class _Fates:
    """Draws fates that the handlers' policies can live with: none may fail a strict job for ever.

    Args:
        draw: where from.
        handlers: of the job.
        replaced: some output is idempotent: then the outcome may not depend on what happened
            before, since what was written cannot be taken back.
    """

    def __init__(
        self, draw: random.Random, handlers: Sequence[HandlerPlan], replaced: bool
    ) -> None:
        self._draw = draw
        self._bad = draw.choice((0.0, 0.1, 0.4))
        self._rejected = 0
        self._stops = 0
        strict = any(handler.policy.last == "fail" for handler in handlers)
        self._attempts = min(handler.policy.attempts for handler in handlers) if strict else 4
        kinds: list[FateKind] = ["slow", "stops"]
        if self._attempts > 1:
            kinds.extend(("flaky", "late"))
        if strict or not replaced:
            kinds.append("transient")
        if not strict:
            kinds.extend(("poison", "undecodable", "damaged", "rejected"))
        self._kinds = kinds

    def next(self) -> Fate:
        draw = self._draw
        if draw.random() >= self._bad:
            return Fate()
        kind = draw.choice(self._kinds)
        if kind == "rejected":
            self._rejected += 1
            if self._rejected > MOST_REJECTED:
                return Fate()
        if kind == "stops":
            self._stops += 1
            if self._stops > 1:
                return Fate()
        most = self._attempts - 1 if kind == "flaky" else 2
        return Fate(kind, draw.randint(1, max(1, most)), draw.random() < 0.5)


def _trouble(draw: random.Random, containers: int) -> Trouble:
    until_s = draw.choice((5.0, 15.0, 30.0))
    kind = _weighted(draw, {"calm": 2, "light": 4, "heavy": 2, "hot": 3})
    often = {"calm": 0.0, "light": 0.01, "heavy": 0.06, "hot": 0.005}[kind]
    acts = containers > 1 or draw.random() < 0.5
    return Trouble(
        until_s,
        before=often,
        after=often,
        delay=draw.choice((0.0, often, 0.1)),
        hot=frozenset(draw.sample(OPERATIONS, 2)) if kind == "hot" else frozenset(),
        heat=60.0,
        message=draw.choice((0.0, often, 0.1)) if often else 0.0,
        partition=draw.choice((0.0, often)),
        crash=draw.choice((0.0, 0.002, 0.01)),
        crashes=draw.choice((0, 1, 3)),
        point=draw.choice(POINTS) if draw.random() < 0.3 else None,
        acts_every_s=draw.choice((1.0, 3.0, 6.0)) if acts else 0.0,
        lease_s=draw.choice((None, 2.0)),
    )


def _interruptions(draw: random.Random, trouble: Trouble) -> Trouble:
    """Add what may strike in any world, however calm, and has a generator of its own for that."""
    return replace(
        trouble,
        broken_off=draw.choice((0.0, 0.05, 0.3)),
        cancel=draw.choice((0.003, 0.02, 0.1)),
        cancels=draw.choice((0, 1, 3)),
        impatience=draw.choice((0, 1, 2)),
    )


def _options(draw: random.Random, guarantee: Guarantee) -> dict[str, object]:
    return {
        "guarantee": guarantee,
        "profile": draw.choice(("default", "low_latency")),
        "commit_interval_s": draw.choice((0.05, 0.2, 1.0, 5.0)),
        "max_buffered_messages": draw.choice((1, 3, 20, 1000)),
        "max_outbox_messages": draw.choice((1, 3, 20, 1000)),
        "max_outbox_bytes": draw.choice((40, 1 << 20)),
        "max_done_runs": draw.choice((1, 3, 1000)),
        "max_uncommitted_bytes": draw.choice((100, 1 << 20)),
        "shutdown_timeout_s": draw.choice((0.3, 5.0, 25.0)),
        "startup_timeout_s": 600.0,
    }


def _weighted(draw: random.Random, weights: dict[T, int]) -> T:
    return draw.choices(list(weights), list(weights.values()))[0]
