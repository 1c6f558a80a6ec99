"""The whole suite: which checks a harness gets, how one is run, and how pytest runs them all.

    from samza_py.testing import conformance_tests

    test_my_system = conformance_tests(MyHarness)

That is a parametrised test: one case for each promise that the harness declares; ``left_out`` says
which promises those are not. It needs no plugin of pytest. Without pytest, ``checks_for`` and
``run_check`` do the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from samza_py.testing.conformance import (
    asking,
    changelog,
    checkpoints,
    coordination,
    reading,
    seeking,
    staging,
    transactions,
    writing,
)
from samza_py.testing.conformance.check import Check, Checklist, within
from samza_py.testing.conformance.harness import Harness

LISTS: Sequence[Checklist[Any]] = (
    asking.CHECKS,
    reading.CHECKS,
    seeking.CHECKS,
    writing.CHECKS,
    staging.CHECKS,
    transactions.CHECKS,
    checkpoints.CHECKS,
    changelog.CHECKS,
    coordination.CHECKS,
)
"""Every list of checks, in the order in which a connector is best written."""


def all_checks() -> list[Check]:
    """Every check there is."""
    return [check for checklist in LISTS for check in checklist.checks]


def checks_for(harness: Harness) -> list[Check]:
    """The checks of this kind of harness for which it declares all they need.

    Args:
        harness: need not be open.
    """
    return [check for check in _of_its_kind(harness) if not check.lacks(harness)]


def left_out(harness: Harness) -> list[str]:
    """A line for each promise that is not checked: what it is, and what is not declared.

    Args:
        harness: need not be open.
    """

    def line(check: Check) -> str:
        lacking = ", ".join(f"{need.name} ({need.value})" for need in check.lacks(harness))
        return f"{check.name}: {check.promise} Not declared: {lacking}"

    return [line(check) for check in _of_its_kind(harness) if check.lacks(harness)]


def _of_its_kind(harness: Harness) -> list[Check]:
    kinds = [c for c in LISTS if isinstance(harness, cast("type[Harness]", c.harness))]
    return [check for kind in kinds for check in kind.checks]


async def run_check(check: Check, make: Callable[[], Harness]) -> None:
    """Run one check against a new harness.

    Args:
        check: one of ``checks_for``.
        make: makes a harness over a stream of its own; usually its class.

    Raises:
        BrokenPromiseError: the connector does not do what the protocol says.
        Exception: whatever the connector raised where it should not have.
    """
    async with make() as harness, within(6 * harness.patience_s, f"the check {check.name}"):
        await check.run(harness)


def conformance_tests(make: Callable[[], Harness]) -> Callable[..., None]:
    """A pytest test of all promises, to be bound to a name that begins with ``test_``.

    Args:
        make: makes a new, unopened harness; called once while tests are collected, to read its
            capabilities, and once for each check.
    """
    import pytest

    @pytest.mark.parametrize("check", conformance_params(make()))
    def keeps_its_promise(check: Check) -> None:
        asyncio.run(run_check(check, make))

    return keeps_its_promise


def conformance_params(harness: Harness) -> list[Any]:
    """The checks for a harness as pytest parameters.

    For a test function of one's own, with fixtures: ``pytest.mark.parametrize("check", ...)``.
    """
    import pytest

    return [pytest.param(check, id=check.name) for check in checks_for(harness)]
