"""Each check is failed by its saboteur, and by no other one."""

from __future__ import annotations

from collections import Counter

import pytest

from samza_py.testing import all_checks, checks_for, run_check
from tests.conformance.saboteurs import SABOTEURS
from tests.conformance.saboteurs.around import Saboteur
from tests.virtual_time import run_virtually

TURN_S = 1e-5
"""Some saboteurs poll without a wait: that must not stop the time of those that wait for it."""


async def failing(saboteur: Saboteur) -> dict[str, str]:
    """Run every check that the saboteur's harness takes; what fails, and how."""
    failed: dict[str, str] = {}
    for check in checks_for(saboteur.make()):
        try:
            await run_check(check, saboteur.make)
        except Exception as error:  # any error is a broken promise here
            failed[check.name] = repr(error)
    return failed


@pytest.mark.parametrize("saboteur", [pytest.param(s, id=s.name) for s in SABOTEURS])
def test_a_saboteur_fails_exactly_its_own_check(saboteur: Saboteur) -> None:
    failed = run_virtually(failing(saboteur), turn_s=TURN_S)
    assert failed.keys() == {saboteur.breaks, *saboteur.also}, failed


def test_every_check_has_its_saboteur() -> None:
    enlisted = Counter(saboteur.breaks for saboteur in SABOTEURS)
    assert enlisted == Counter(check.name for check in all_checks())
