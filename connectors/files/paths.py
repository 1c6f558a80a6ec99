"""Paths as users and offsets write them: relative to the root, and never outside it."""

from __future__ import annotations

import fnmatch
import hashlib
import posixpath

from samza_py.errors import ConfigError

_GLOB_MARKS = "*?["


def checked_path(path: str, key: str) -> str:
    """A path below the root in its shortest form, ``.`` for the root itself.

    Links are not looked at here, because nothing is opened here: ``Storage.resolve`` does that.

    Args:
        path: what the user wrote.
        key: where it stands, for the error.

    Raises:
        ConfigError: it is empty, absolute, a URL, holds a NUL or goes up.
    """
    if not path:
        raise ConfigError(key, "is empty; write a path below the root, or '.' for the root itself")
    if "\0" in path:
        raise ConfigError(key, "holds a NUL", shown(path))
    if "://" in path or path.startswith(("/", "~")):
        why = "must be relative to the root of its Files; put the folder into root="
        raise ConfigError(key, why, shown(path))
    if ".." in path.split("/"):
        raise ConfigError(
            key, "must not go up with '..': it has to stay below the root", shown(path)
        )
    return posixpath.normpath(path)


def shown(text: str) -> str:
    """Text from outside as it may stand in a message: control characters are escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def is_hidden(name: str) -> bool:
    """Whether listings pass over this file or folder: staged parts, ``_SUCCESS``, ``.crc``."""
    return name.startswith((".", "_"))


def is_glob(path: str) -> bool:
    """Whether a path is a pattern rather than one place."""
    return any(mark in path for mark in _GLOB_MARKS)


def fixed_part(pattern: str) -> str:
    """The folder in front of a pattern's first mark, from which its matches are looked for."""
    fixed: list[str] = []
    for part in pattern.split("/"):
        if is_glob(part):
            break
        fixed.append(part)
    return "/".join(fixed) or "."


def matches(pattern: str, path: str) -> bool:
    """Whether a path matches a pattern; ``**`` stands for any number of folders, none included."""
    return _match(pattern.split("/"), path.split("/"))


def _match(patterns: list[str], parts: list[str]) -> bool:
    if not patterns:
        return not parts
    first, rest = patterns[0], patterns[1:]
    if first == "**":
        return any(_match(rest, parts[skip:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], first) and _match(rest, parts[1:])


def bucket_of(name: str, buckets: int) -> int:
    """The bucket a file belongs to for ever: a hash that no run, version or machine changes."""
    # Not crc32: names that differ in one digit would all get the same low bits.
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % buckets
