"""A dead letter as one line of JSON: what came, where from, and what went wrong.

Lines have no headers, and a dead letter without its reason helps nobody. So its ``samza-*``
headers become fields: ``{"value": ..., "task": ..., "source": ..., "error": ...}``.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from samza_py.message import Outgoing

_OURS: Final = "samza-"


def letter_line(message: Outgoing) -> bytes:
    """The line for a message.

    ``key`` and ``value`` are the bytes of the source as text; those that are not UTF-8 are
    ``{"base64": ...}``. ``headers`` are the source's own, as pairs, since names may repeat.
    """
    line: dict[str, Any] = {}
    own: list[tuple[str, Any]] = []
    for name, data in message.headers:
        if name.startswith(_OURS):
            line[name.removeprefix(_OURS).replace("-", "_")] = _text(data)
        else:
            own.append((name, _text(data)))
    if own:
        line["headers"] = own
    if message.timestamp_ms >= 0:
        line["timestamp_ms"] = message.timestamp_ms
    # Last, so that no header can stand in their place.
    line["key"] = _text(message.key)
    line["value"] = _text(message.value)
    return msgspec.json.encode(line)


def _text(data: bytes | None) -> Any:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
