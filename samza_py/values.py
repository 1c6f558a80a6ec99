"""Values that people write with units, and the sizes and times they become.

Durations are float seconds on the loop's clock, sizes are integer bytes, event times are integer
milliseconds since 1970. Where a user may write ``"10s"`` or ``"64MiB"``, it is turned into a
number here and nowhere else.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, TypeAlias, cast

from samza_py.errors import ConfigError

Duration: TypeAlias = float | int | str | timedelta
"""Seconds as a number, a ``timedelta``, or text such as ``"200ms"``, ``"5s"`` or ``"2m"``."""

Size: TypeAlias = int | str
"""Bytes as a number, or text such as ``"64KiB"``, ``"1MiB"``, ``"10MB"``."""

HIDDEN: Final = "**********"
"""What is printed in the place of a secret."""

_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
}
_AMOUNT: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def seconds(value: Duration, key: str) -> float:
    """Turn a duration into seconds.

    Args:
        value: what the user wrote.
        key: its name, for the error message.

    Returns:
        The duration in seconds, never negative.

    Raises:
        ConfigError: it is negative, not finite, or not a duration at all.
    """
    if isinstance(value, timedelta):
        result = value.total_seconds()
    elif isinstance(value, str):
        result = _amount(value, _SECONDS, key, "a duration such as '200ms', '5s' or '2m'", "s")
    elif isinstance(value, bool) or not isinstance(cast("object", value), int | float):
        # Settings files hold lists and tables too, whatever the annotation says.
        raise ConfigError(key, "is not a duration; write '5s' or a number of seconds", value)
    else:
        result = float(value)
    if not 0 <= result < float("inf"):
        raise ConfigError(key, "must be zero or more seconds", value)
    return result


def size_in_bytes(value: Size, key: str) -> int:
    """Turn a size into bytes.

    Args:
        value: what the user wrote.
        key: its name, for the error message.

    Raises:
        ConfigError: it is below 1, or not a size at all.
    """
    if isinstance(value, bool) or not isinstance(cast("object", value), int | str):
        raise ConfigError(key, "is not a size; write '64MiB' or a number of bytes", value)
    if isinstance(value, str):
        result = int(_amount(value, _BYTES, key, "a size such as '64KiB' or '1MiB'", "b"))
    else:
        result = value
    if result < 1:
        raise ConfigError(key, "must be at least 1 byte", value)
    return result


def shown_size(size: float) -> str:
    """A size in bytes as people read it, such as ``64.0 MiB``."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _amount(
    text: str, units: dict[str, float] | dict[str, int], key: str, want: str, bare: str
) -> float:
    found = _AMOUNT.fullmatch(text)
    unit = found[2].lower() if found and found[2] else bare
    if found is None or unit not in units:
        raise ConfigError(key, f"is not {want} (units: {', '.join(units)})", text)
    return float(found[1]) * units[unit]


class Secret:
    """A text that must not be seen: its ``repr`` and ``str`` hide it, ``reveal()`` gives it.

    Connectors take passwords and keys only as this type, so that a log line, a traceback, or
    ``samza-py config`` cannot print one by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; called only where it is handed to a client library."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret('{HIDDEN}')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)
