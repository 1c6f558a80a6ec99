"""What the operating system and fsspec raise, as the errors of samza-py."""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from samza_py.connectors.files.paths import shown
from samza_py.errors import ConnectorError, PositionLostError, UnavailableError
from samza_py.values import shown_size

_FOR_GOOD: Final = frozenset(
    {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
)


class DamagedError(Exception):
    """The content of a file ends or breaks where it must not; what is behind it is not readable.

    Stays inside the connector: the reader turns it into an ``Undecodable``.

    Args:
        why: what was found.
        raw: the bytes that were left over, or as many as were kept.
    """

    def __init__(self, why: str, raw: bytes = b"") -> None:
        super().__init__(why)
        self.raw = raw


@contextmanager
def reading(name: str) -> Generator[None]:
    """Turn what goes wrong while a file is read into our errors, naming it.

    Ours that were raised without a name ("it ends before the position") get it here.

    Raises:
        PositionLostError: the file is gone, or is not what it was.
        ConnectorError: it may not be read.
        UnavailableError: anything else of the operating system.
    """
    try:
        yield
    except PositionLostError as error:
        raise PositionLostError(f"{shown(name)}: {error}") from error
    except ConnectorError as error:
        raise ConnectorError(f"{shown(name)}: {error}") from error
    except FileNotFoundError as error:
        raise PositionLostError(f"{shown(name)} is gone since the files were listed") from error
    except OSError as error:
        message = f"cannot read {shown(name)}: {reason(error)}"
        if error.errno in _FOR_GOOD:
            raise ConnectorError(message) from error
        raise UnavailableError(message) from error


@contextmanager
def writing(name: str, free_bytes: Callable[[str], int | None]) -> Generator[None]:
    """Turn what goes wrong while a file is written into a ``ConnectorError`` naming it.

    The message says how much space is left, because that is the usual reason.
    """
    try:
        yield
    except OSError as error:
        free = free_bytes(name)
        space = "" if free is None else f" ({shown_size(free)} free there)"
        raise ConnectorError(f"cannot write {shown(name)}: {reason(error)}{space}") from error


def reason(error: OSError) -> str:
    """The operating system's own words, without the path that it may repeat."""
    return error.strerror or shown(str(error)) or type(error).__name__
