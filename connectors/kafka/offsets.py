"""Offsets of Kafka: whole numbers as text. Reading goes on after them, so that -1 is one too.

A position is the number before the one that is read next, also where no message has it: behind a
marker of a transaction, or a record that compaction took away.
"""

from __future__ import annotations

import re
from typing import Final

from samza_py.errors import CorruptCheckpointError
from samza_py.message import Offset

_OFFSET: Final = re.compile(r"-1|[0-9]{1,19}", re.ASCII)


def number_of(offset: str) -> int:
    """The number that an offset is.

    Raises:
        CorruptCheckpointError: it is no offset of Kafka.
    """
    if _OFFSET.fullmatch(offset) is None:
        raise CorruptCheckpointError(
            f"{offset[:200]!r} is not an offset of Kafka, whose offsets are whole numbers"
        )
    return int(offset)


def before(number: int) -> Offset:
    """The position from which this number is read next."""
    return Offset(str(number - 1))
