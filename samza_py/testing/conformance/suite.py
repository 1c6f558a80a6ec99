"""The whole suite: which checks a harness gets, how one is run, and how pytest runs them all.

    from samza_py.testing import conformance_tests

    test_my_system = conformance_tests(MyHarness)

That is a parametrised test: one case a promise, skipped with the reason where the harness does not
declare what it needs. It needs no plugin of pytest. Without pytest, ``checks_for`` and
``run_check`` do the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

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

if TYPE_CHECKING:
    import pytest

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
    """The checks for this kind of harness, those that it lacks a capability for included.

    Args:
        harness: need not be open; ``check.lacks(harness)`` says why one is to be skipped.
    """
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
    """The checks for a harness as pytest parameters, those to skip marked with the reason.

    For a test function of one's own, with fixtures: ``pytest.mark.parametrize("check", ...)``.
    """
    import pytest

    def marks(check: Check) -> list[pytest.MarkDecorator]:
        lacking = check.lacks(harness)
        if not lacking:
            return []
        wanted = ", ".join(f"{need.name} ({need.value})" for need in lacking)
        return [pytest.mark.skip(reason=f"{check.promise}: the harness does not declare {wanted}")]

    return [pytest.param(c, id=c.name, marks=marks(c)) for c in checks_for(harness)]
