"""One atomic step over several streams of one system, where the system has such a thing."""

from __future__ import annotations

from abc import abstractmethod

from samza_py.resource import AsyncResource


class Transaction(AsyncResource):
    """The transactions of one claim, one after another. What ``within=`` takes.

    ``aopen`` fences: it ends whatever transaction an older claim of the same task left open, and
    from then on nothing of that claim can commit. The runtime begins one before the first write
    after a commit and ends it with ``commit``, or lets it go with ``aclose``, which undoes it where
    it can; the next claim's ``aopen`` does what is left.
    """

    @abstractmethod
    async def begin(self) -> None:
        """Open a transaction; the previous one has ended.

        Raises:
            FencedError: a newer claim of the task exists.
            UnavailableError: try again.
        """

    @abstractmethod
    async def commit(self) -> None:
        """Make all that was written within it visible, or nothing.

        Raises:
            FencedError: a newer claim exists; nothing has taken effect.
            UnavailableError: the outcome is not known. The runtime re-reads the checkpoint, which
                was part of it, and knows.
            ConnectorError: it was aborted.
        """

    @abstractmethod
    async def abort(self) -> None:
        """Undo all that was written within it. Safe to call when none is open.

        Not called by the runtime, which closes a transaction that it gives up; for those that hold
        one themselves, and for ``aclose``.
        """
