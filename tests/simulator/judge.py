"""Says what is wrong with a task, given what its checkpoint says and what lies in the systems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.simulator.expected import Expected, Outcome, expected
from tests.simulator.handling import Source, source_text, timers_keep_state
from tests.simulator.scenario import Given, HandlerPlan, Scenario
from tests.simulator.snapshots import Snapshot


@dataclass(frozen=True)
class Evidence:
    """What there is of one task.

    Attributes:
        plan: its handler.
        found: its checkpoint.
        have: how often each record is there, by output.
        state: the entries that a restore to the checkpoint gives.
    """

    plan: HandlerPlan
    found: Snapshot
    have: Mapping[str, Counter[str]]
    state: Mapping[str, list[str]]


class Judge:
    """Compares what is with what must be.

    Args:
        scenario: which output promises what.
        given: what was put into the input.
    """

    def __init__(self, scenario: Scenario, given: Mapping[Source, Given]) -> None:
        self._scenario = scenario
        self._given = given
        self._expected: dict[tuple[str, Source], Expected] = {}

    def problems(self, evidence: Evidence) -> Iterator[str]:
        """Everything that is wrong at a checkpoint."""
        yield from self._state_problems(evidence)
        holds = {entry: set(names) for entry, names in evidence.state.items()}
        for source in sorted(evidence.found.covered & self._given.keys()):
            wanted = self._wanted(evidence.plan, source)
            held = wanted.entry is not None and source_text(source) in holds.get(wanted.entry, ())
            if not any(self._is(evidence, source, one, held) for one in wanted.outcomes):
                yield self._unmet(evidence, source, wanted, held)
        yield from self._state_beyond(evidence)
        yield from self._shown_beyond(evidence)

    def disorder(self, plan: HandlerPlan, names: list[str], where: str) -> Iterator[str]:
        """Messages of one partition and key must come in order, where that is promised.

        One that failed the first time, and not when it was done again after a crash, comes to an
        at-least-once output behind later ones. So does one whose rejection, in a transaction, was
        forgotten in a crash: what it had sent elsewhere is sent only then.
        """
        if plan.order == "none" and (plan.concurrency > 1 or plan.shape == "batch"):
            return
        last: dict[tuple[str, str], int] = {}
        for name in names:
            partition, offset = name.split("/")
            given = self._given[partition, int(offset)]
            key = given.key
            if key is None or (given.fate.kind == "transient" and plan.policy.last != "fail"):
                continue
            if given.fate.kind == "rejected" and self._scenario.transactional:
                continue
            if last.get((partition, key), -1) > int(offset):
                yield f"{where} has {name} behind {partition}/{last[partition, key]}"
            last[partition, key] = int(offset)

    # One message -----------------------------------------------------------------------------

    def _wanted(self, plan: HandlerPlan, source: Source) -> Expected:
        key = plan.name, source
        if key not in self._expected:
            self._expected[key] = expected(self._scenario, plan, source, self._given[source])
        return self._expected[key]

    def _is(self, evidence: Evidence, source: Source, outcome: Outcome, held: bool) -> bool:
        """Whether a message has ended in this way."""
        name = source_text(source)
        if held != outcome.kept or not self._timer_is(evidence, name, outcome):
            return False
        for output, records in (("A", outcome.a), ("B", outcome.b)):
            most = 1 if self._scenario.once(output) else 1 << 30
            if not all(1 <= evidence.have[output][record] <= most for record in records):
                return False
        return self._dead_is(evidence, source, outcome) and not self._spurious(
            evidence, name, outcome
        )

    def _dead_is(self, evidence: Evidence, source: Source, outcome: Outcome) -> bool:
        """Whether there are as many dead letters as there should be."""
        least, most = outcome.dead
        dead = evidence.have["D"][f"{evidence.plan.name}|{source_text(source)}|D"]
        if most == 0 and len(self._wanted(evidence.plan, source).outcomes) == 1:
            return dead == 0
        return dead >= least and (dead <= most or not self._scenario.once("D"))

    def _spurious(self, evidence: Evidence, name: str, outcome: Outcome) -> bool:
        """Whether records of this message are there that should not be."""
        for output, records in (("A", outcome.a), ("B", outcome.b)):
            spare = () if self._scenario.atomic(output) else outcome.spare
            for at in range(3):
                record = f"{evidence.plan.name}|{name}|{output}{at}"
                if evidence.have[output][record] and record not in (*records, *spare):
                    return True
        return False

    def _timer_is(self, evidence: Evidence, name: str, outcome: Outcome) -> bool:
        """Whether its timer is set, or was called, or neither, as it should be."""
        pending = name in evidence.found.timers
        called = evidence.have["B"][f"{evidence.plan.name}|{name}|T"]
        if not self._scenario.atomic("B"):
            return (pending or called > 0) if outcome.timer else not pending
        return pending + called == int(outcome.timer)

    def _unmet(self, evidence: Evidence, source: Source, wanted: Expected, held: bool) -> str:
        name = f"{evidence.plan.name}|{source_text(source)}|"
        there = {
            record: count
            for output in "ABD"
            for record, count in evidence.have[output].items()
            if record.startswith(name) and count
        }
        return (
            f"it covers {source_text(source)} ({self._given[source].fate.kind}), of which there "
            f"is {there}, kept: {held}; expected {wanted.outcomes}"
        )

    # All messages ----------------------------------------------------------------------------

    def _state_problems(self, evidence: Evidence) -> Iterator[str]:
        for entry, names in evidence.state.items():
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                yield f"entry {entry} holds {twice[0]} twice"
            if entry != "timers":
                yield from self.disorder(evidence.plan, names, f"entry {entry}")

    def _state_beyond(self, evidence: Evidence) -> Iterator[str]:
        """State and timers must not show what the checkpoint does not cover."""
        found, plan = evidence.found, evidence.plan
        covered = {source_text(source) for source in found.covered}
        for entry, names in evidence.state.items():
            for name in names:
                if name not in covered:
                    yield f"entry {entry} holds {name}, which it does not cover"
        for name in found.timers:
            if name not in covered:
                yield f"it sets the timer of {name}, which it does not cover"
        if plan.timers and timers_keep_state(plan):
            called = set(evidence.state.get("timers", ()))
            for source in sorted(found.covered & self._given.keys()):
                yield from self._timer_state(evidence, source, source_text(source) in called)

    def _timer_state(self, evidence: Evidence, source: Source, called: bool) -> Iterator[str]:
        name = source_text(source)
        sets = any(outcome.timer for outcome in self._wanted(evidence.plan, source).outcomes)
        if called and (name in evidence.found.timers or not sets):
            yield f"the timer of {name} is in the state, but is not over"
        if called and not evidence.have["B"][f"{evidence.plan.name}|{name}|T"]:
            yield f"the timer of {name} is in the state, what it sent is not there"

    def _shown_beyond(self, evidence: Evidence) -> Iterator[str]:
        """Outputs that go with the checkpoint must not show more than it covers."""
        covered = {source_text(source) for source in evidence.found.covered}
        for output in "ABD":
            if not self._scenario.atomic(output):
                continue
            for record in evidence.have[output]:
                name = record.split("|")[1]
                mine = name.partition("/")[0] in evidence.found.partitions
                if mine and name not in covered and not record.endswith("|E"):
                    yield f"output {output} shows {record}, which it does not cover"
