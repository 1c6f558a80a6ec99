"""One broken connector for each promise: each must make exactly its own check fail.

They are the test of the suite itself: a check that no saboteur fails checks nothing.
"""

from tests.conformance.saboteurs import (
    admins,
    changelogs,
    coordinators,
    fetches,
    producers,
    seekers,
    stagers,
    stores,
    transactors,
)
from tests.conformance.saboteurs.around import SABOTEURS, Saboteur

__all__ = [
    "SABOTEURS",
    "Saboteur",
    "admins",
    "changelogs",
    "coordinators",
    "fetches",
    "producers",
    "seekers",
    "stagers",
    "stores",
    "transactors",
]
