"""Checks as values: a promise, what it needs, and a function that fails when it is broken."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from samza_py.testing.conformance.capability import Capability
from samza_py.testing.conformance.harness import Harness

H = TypeVar("H", bound=Harness)


class BrokenPromiseError(AssertionError):
    """A connector does not do what the protocol says; the message says what was seen."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise of the protocol, and how it is checked.

    Attributes:
        name: a sentence with underscores; unique in the suite.
        promise: where the protocol says so, and what it says.
        needs: what a harness must declare for this to be run.
        run: raises ``BrokenPromiseError``, or whatever the connector raised.
    """

    name: str
    promise: str
    needs: frozenset[Capability]
    run: Callable[[Any], Awaitable[None]]

    def lacks(self, harness: Harness) -> list[Capability]:
        """What the harness would have to declare; empty when the check can be run."""
        return [need for need in Capability if need in self.needs - set(harness.capabilities)]


Body: TypeAlias = Callable[[H], Awaitable[None]]


class Checklist(Generic[H]):
    """The checks of one subject; filled by its module.

    Args:
        subject: the class of the protocol whose promises these are.
        harness: the kind of harness they take.
        needs: what all of them need.
    """

    def __init__(self, subject: str, harness: Callable[..., H], *needs: Capability) -> None:
        self.subject = subject
        self.harness = harness  # called a callable, as type[H] would not take abstract classes
        self.needs = needs
        self.checks: list[Check] = []

    def check(self, *needs: Capability) -> Callable[[Body[H]], Body[H]]:
        """Add the decorated function as a check; its docstring is the promise.

        Args:
            needs: what it needs besides what the whole list needs.
        """

        def add(body: Body[H]) -> Body[H]:
            name = getattr(body, "__name__", str(body))
            promise = f"{self.subject}: {inspect.getdoc(body)}"
            self.checks.append(Check(name, promise, frozenset((*self.needs, *needs)), body))
            return body

        return add


def expect(true: object, seen: str) -> None:
    """Fail the running check unless a condition holds.

    Unlike ``assert`` it is still there under ``python -O``.
    """
    if not true:
        raise BrokenPromiseError(seen)


@contextlib.asynccontextmanager
async def within(seconds: float, doing: str) -> AsyncGenerator[None]:
    """Fail the running check when the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise BrokenPromiseError(f"{doing} took longer than {seconds:g} s") from error


@contextlib.asynccontextmanager
async def expecting(error: type[Exception], when: str) -> AsyncGenerator[None]:
    """Fail the running check unless the block raises this error."""
    try:
        yield
    except error:
        return
    except Exception as other:
        raise BrokenPromiseError(f"{when} raised {other!r}, not {error.__name__}") from other
    raise BrokenPromiseError(f"{when} did not raise {error.__name__}")
