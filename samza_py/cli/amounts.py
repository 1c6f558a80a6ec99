"""Counts, rates and times as people read them."""

from __future__ import annotations

from samza_py.values import shown_size


def count(number: float) -> str:
    """``12,345`` or, from a million on, ``12.3 M``."""
    if number < 1_000_000:
        return f"{number:,.0f}"
    for unit in ("M", "G"):
        number /= 1_000 if unit == "G" else 1_000_000
        if number < 1_000:
            break
    return f"{number:.1f} {unit}"


def rate(per_second: float) -> str:
    """``1,234/s``, with a decimal where it is slow."""
    return f"{per_second:.1f}/s" if 0 < per_second < 10 else f"{count(per_second)}/s"


def amount(number: int, unit: str) -> str:
    """Something left to read: messages counted, bytes as a size."""
    return shown_size(number) if unit == "bytes" else f"{count(number)} {unit}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 14 min``, ``5 d 3 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
