"""The suite as its users meet it: what is run, what is left out and why, what a failure says."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from samza_py.checkpoint import Checkpoints
from samza_py.connectors.memory import Memory
from samza_py.testing import (
    BrokenPromiseError,
    Capability,
    Check,
    CheckpointsHarness,
    ConnectorHarness,
    Harness,
    all_checks,
    checks_for,
    conformance_params,
    conformance_tests,
    left_out,
    run_check,
)


class ReadOnly(ConnectorHarness):
    """Declares little, so that most is left out."""

    capabilities = (Capability.READS,)

    @property
    def system(self) -> Memory:
        return Memory()


class Kept(CheckpointsHarness):
    def __init__(self) -> None:
        self.memory = Memory()

    @property
    def checkpoints(self) -> Checkpoints:
        return self.memory.checkpoints()


async def _broken(harness: Harness) -> None:
    raise BrokenPromiseError("seen")


async def _waiting(harness: Harness) -> None:
    await asyncio.get_running_loop().create_future()


def test_names_are_unique_and_promises_say_whose_they_are() -> None:
    checks = all_checks()
    assert max(Counter(check.name for check in checks).values()) == 1
    for check in checks:
        subject, _, said = check.promise.partition(": ")
        assert subject.partition(".")[0].isidentifier()
        assert said.endswith(".")


def test_a_harness_gets_the_checks_of_its_kind() -> None:
    connector = {check.name for check in checks_for(ReadOnly())}
    kept = {check.name for check in checks_for(Kept())}
    assert "a_cancelled_poll_has_taken_nothing" in connector
    assert "epochs_only_grow" in kept
    assert not connector & kept


def test_what_is_left_out_says_what_is_not_declared() -> None:
    names = {param.id for param in conformance_params(ReadOnly())}
    lines = {
        name: said for name, _, said in (line.partition(": ") for line in left_out(ReadOnly()))
    }
    assert lines["what_is_trimmed_is_gone"].endswith(
        "Not declared: TRIMS (forgets what is trimmed)"
    )
    assert "messages_come_in_order" in names
    assert not names & lines.keys()


def test_the_tests_are_one_case_a_promise() -> None:
    test = conformance_tests(Kept)
    (mark,) = test.pytestmark  # type: ignore[attr-defined]  # set by pytest
    assert len(mark.args[1]) == len(checks_for(Kept()))


async def test_a_broken_promise_is_an_assertion_error() -> None:
    with pytest.raises(AssertionError, match="seen"):
        await run_check(Check("broken", "", frozenset(), _broken), Kept)


async def test_a_check_that_waits_in_vain_fails_and_says_so() -> None:
    class Impatient(Kept):
        patience_s = 0.001

    with pytest.raises(BrokenPromiseError, match="the check waiting took longer than"):
        await run_check(Check("waiting", "", frozenset(), _waiting), Impatient)
