"""What is opened, used and closed."""

from __future__ import annotations

from abc import ABC
from types import TracebackType
from typing import Self


class AsyncResource(ABC):
    """Something that is opened by ``async with`` and closed once at its end.

    Building one opens nothing. ``aopen`` and ``aclose`` do nothing unless overridden. ``aclose``
    is bounded in time, may be called without an ``aopen``, and never commits anything.
    """

    async def aopen(self) -> None:
        """Connect. Called once, before any other method.

        Raises:
            UnavailableError: it may work later; the runtime tries again with a new object.
            ConnectorError: it will not.
        """

    async def aclose(self) -> None:
        """Free everything held. Called once, from the loop that opened it."""

    async def __aenter__(self) -> Self:
        await self.aopen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
