"""Whether what a job file says has the right type. Annotations hold back only those who check them.

Found here it is a line that names the setting; found later it is an error of aiokafka, after the
first connection, or a wrong request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from samza_py.errors import ConfigError


def check_text(value: object, key: str, example: str) -> None:
    """See that this is text.

    Args:
        value: what the user wrote.
        key: its name, for the error.
        example: what to write, for the error.

    Raises:
        ConfigError: it is not, or is empty.
    """
    if not isinstance(value, str) or not value:
        raise ConfigError(key, f"must be text, such as {example!r}", value)


def check_count(value: object, key: str) -> None:
    """See that this is a whole number of at least 1.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(key, "must be a whole number, such as 3", value)
    if value < 1:
        raise ConfigError(key, "must be at least 1", value)


def topic_config(given: object, key: str) -> dict[str, str]:
    """The settings of a topic as brokers write them: text, also numbers and truth values.

    Raises:
        ConfigError: they are no settings.
    """
    if not isinstance(given, Mapping):
        raise ConfigError(key, "must be settings by name, {'retention.ms': '86400000'}", given)
    made: dict[str, str] = {}
    for name, value in cast("Mapping[object, object]", given).items():
        if not isinstance(name, str):
            raise ConfigError(key, "has a name that is not text, such as 'retention.ms'", name)
        if not isinstance(value, str | int | float):
            raise ConfigError(f"{key}.{name}", "must be text, such as '86400000'", value)
        made[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return made
