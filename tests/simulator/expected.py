"""What must be there for one input message, worked out from the message alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tests.simulator.handling import Source, entry_of, results, sends, sets_timer
from tests.simulator.scenario import Given, HandlerPlan, Scenario


@dataclass(frozen=True)
class Outcome:
    """One way in which a message may have ended.

    Attributes:
        a, b: the records for outputs A and B, all of them.
        dead: the least and the most dead letters.
        kept: whether its entry of the store holds it.
        timer: whether its timer is set or has been called.
        spare: records that may be there besides, in outputs that cannot take anything back.
    """

    a: tuple[str, ...] = ()
    b: tuple[str, ...] = ()
    dead: tuple[int, int] = (0, 0)
    kept: bool = False
    timer: bool = False
    spare: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """All ways in which one message may end in one handler."""

    entry: str | None
    outcomes: tuple[Outcome, ...] = field(default=())


def expected(scenario: Scenario, plan: HandlerPlan, source: Source, given: Given) -> Expected:
    """Work out what may have become of a message once a checkpoint covers it."""
    a, b = tuple(results(plan, source)), tuple(sends(plan, source))
    entry = entry_of(plan, source, given.key)
    kept, timer = entry is not None, sets_timer(plan, source)
    good = Outcome(a, b, kept=kept, timer=timer)
    dead = (1, 1) if plan.policy.last == "dead" else (0, 0)
    last = Outcome(dead=dead)
    kind = given.fate.kind
    if kind in ("poison", "undecodable", "damaged"):
        return Expected(entry, (last,))
    if kind in ("flaky", "late"):
        return Expected(entry, (last if _uses_up(plan, given) else good,))
    if kind == "transient" and plan.policy.last != "fail":
        # Two owners at once, one of them stale, may each have made the first call and got the other
        # outcome: an output that takes nothing back then has both.
        return Expected(entry, (good, replace(last, spare=(*a, *b))))
    if kind == "rejected" and a:
        return Expected(entry, (_rejected(scenario, good, last),))
    return Expected(entry, (good,))


def _uses_up(plan: HandlerPlan, given: Given) -> bool:
    """Whether a message fails more often than its policy lets it."""
    fate = given.fate
    if fate.kind == "late":
        fails = 1 if plan.timeout_s is not None and plan.takes_context else 0
    else:
        fails = fate.count if plan.takes_context else 0
    return fails >= plan.policy.attempts


def _rejected(scenario: Scenario, good: Outcome, last: Outcome) -> Outcome:
    """Output A refuses it: in a transaction all of it is undone, else only that output is."""
    if scenario.transactional:
        return replace(last, spare=good.b)
    # One for each record that is refused, though idempotent ones take each other's place.
    most = 1 if scenario.once("D") and not scenario.atomic("D") else len(good.a)
    return replace(good, a=(), dead=(last.dead[0], last.dead[1] * most))
