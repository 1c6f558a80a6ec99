"""The name that was probably meant, for every error about one that there is not."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(wrong: str, known: Iterable[str], *, likeness: float = 0.6) -> str | None:
    """The known name most like one that was written; None where none is like it.

    Args:
        wrong: what was written.
        known: the names there are.
        likeness: how like it must be, from 0 to 1 for the same. More for long names that share
            a beginning.
    """
    import difflib  # needed where something is wrong already, so that a start need not wait for it

    return next(iter(difflib.get_close_matches(wrong, list(known), n=1, cutoff=likeness)), None)
