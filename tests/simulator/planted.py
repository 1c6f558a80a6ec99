"""Bugs on purpose: plausible mistakes in the runtime, to see whether the simulator finds them.

Each is a patch of one or two methods, in force for a ``with``. The patches stand in
``planted_commits``, ``planted_growth``, ``planted_interruptions``, ``planted_outputs`` and
``planted_work``, by where the mistake would be made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from unittest.mock import patch

Plant = Callable[["Ground"], None]


class Ground:
    """Where bugs are planted: what is patched is put right again at the end.

    Args:
        stack: undoes the patches.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def put(self, owner: Any, name: str, replacement: object) -> None:
        """Replace an attribute that must be there."""
        assert name in vars(owner), f"{owner.__name__} has no {name} of its own: mend this plant"
        self._stack.enter_context(patch.object(owner, name, replacement))


@dataclass(frozen=True)
class Bug:
    """One mistake.

    Attributes:
        what: in a sentence.
        plant: makes it.
        seed: the first one that found it, when it was planted. Where the runtime or the scenarios
            have changed since, it may be another one.
        only: the one kind of trouble that shows it, as ``Trouble`` names it; None where others do.
    """

    what: str
    plant: Plant
    seed: int
    only: str | None = None


BUGS: Final[dict[str, Bug]] = {}


def bug(what: str, *, seed: int, only: str | None = None) -> Callable[[Plant], Plant]:
    """Name a mistake after the function that makes it."""

    def add(plant: Plant) -> Plant:
        BUGS[plant.__name__.replace("_", "-")] = Bug(what, plant, seed, only)
        return plant

    return add


@contextmanager
def planted(name: str | None) -> Generator[None]:
    """Plant a bug for the block; None plants nothing."""
    with ExitStack() as stack:
        if name is not None:
            known_bugs()[name].plant(Ground(stack))
        yield


def known_bugs() -> dict[str, Bug]:
    """All bugs, by name."""
    for place in ("commits", "growth", "interruptions", "outputs", "work"):
        import_module(f"tests.simulator.planted_{place}")  # each adds its own
    return BUGS


def always(value: object) -> Callable[..., Any]:
    """A method that looks at nothing and gives this."""

    def method(*args: Any, **kwargs: Any) -> Any:
        return value

    return method


does_nothing: Final = always(None)
