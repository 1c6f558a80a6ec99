"""The files below one root, through fsspec. Everything here blocks and is called in threads.

The local disk is used directly where fsspec has no word for what is needed: exclusive creation
with a mode, fsync of files and folders, a rename that does not copy.
"""

from __future__ import annotations

import importlib
import os
import posixpath
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final, NamedTuple, cast

from samza_py.connectors.files.paths import checked_path, is_hidden, shown
from samza_py.errors import ConfigError, ConnectorError

PROTOCOLS: Final = ("file", "memory")
"""What a root may name. A root from outside must not reach an address on the network."""

_MODE: Final = 0o640


class Entry(NamedTuple):
    """A file that was found.

    Attributes:
        name: relative to the root.
        size: in bytes.
    """

    name: str
    size: int


def protocol_of(root: str, key: str) -> tuple[str, str]:
    """The protocol and the path of a root.

    Raises:
        ConfigError: the protocol is not allowed, or there is no path.
    """
    if not isinstance(cast("object", root), str):
        raise ConfigError(key, "must be text that names a folder, such as './data'", root)
    protocol, found, path = root.partition("://")
    if not found:
        protocol, path = "file", root
    if protocol not in PROTOCOLS:
        why = f"is not a protocol that files may use ({', '.join(PROTOCOLS)})"
        raise ConfigError(key, why, shown(protocol))
    if not path or "\0" in path:
        raise ConfigError(key, "must be a folder, such as './data'", shown(root))
    return protocol, path


def storage_at(root: str) -> Storage:
    """The storage for a root: a path, ``file://`` or ``memory://``."""
    protocol, path = protocol_of(root, "root")
    if protocol == "file":
        return LocalStorage(os.path.realpath(path))
    return Storage(protocol, "/" + path.strip("/"))


class Storage:
    """Files on any fsspec file system.

    Args:
        protocol: fsspec's name for it.
        root: an absolute path in it.
    """

    def __init__(self, protocol: str, root: str) -> None:
        # Untyped on purpose: fsspec has no stubs, and is loaded only when files are opened.
        fsspec: Any = importlib.import_module("fsspec")
        self._files: Any = fsspec.filesystem(protocol)
        self.root = root

    def resolve(self, name: str) -> str:
        """The real path of a name below the root.

        Raises:
            ConfigError: it is not a path below the root.
            ConnectorError: a link in it leads out of the root.
        """
        return posixpath.normpath(posixpath.join(self.root, checked_path(name, "path")))

    def kind(self, name: str) -> str | None:
        """``"file"``, ``"directory"``, or None where nothing is."""
        try:
            return str(self._files.info(self.resolve(name))["type"])
        except FileNotFoundError:
            return None

    def size(self, name: str) -> int:
        """The size of a file in bytes."""
        return int(self._files.info(self.resolve(name))["size"])

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""
        return cast("BinaryIO", self._files.open(self.resolve(name), "rb"))

    def names(self, folder: str) -> list[str]:
        """The names in a folder, hidden ones included; none where there is no folder."""
        try:
            found: list[dict[str, Any]] = self._files.ls(self.resolve(folder), detail=True)
        except FileNotFoundError:
            return []
        return [posixpath.basename(str(info["name"]).rstrip("/")) for info in found]

    def files_below(self, folder: str) -> Iterator[Entry]:
        """Every file below a folder that is not hidden and does not lie in a hidden one.

        Links are followed as long as they stay below the root, each real folder once.
        """
        seen: set[str] = set()
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            real = self.resolve(here)
            if real in seen:
                continue
            seen.add(real)
            found: list[dict[str, Any]] = self._files.ls(real, detail=True)
            for info in found:
                base = posixpath.basename(str(info["name"]).rstrip("/"))
                name = base if here == "." else f"{here}/{base}"
                if is_hidden(base):
                    continue
                if info.get("islink"):
                    info = self._target_of(name)  # noqa: PLW2901  # what it leads to is meant
                if info["type"] == "directory":
                    waiting.append(name)
                elif info["type"] == "file":
                    yield Entry(name, int(info["size"]))

    def _target_of(self, link: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = self._files.info(self.resolve(link))
        except FileNotFoundError as error:
            raise ConnectorError(f"{shown(link)} is a link to nothing") from error
        return found

    def make_folder(self, folder: str) -> None:
        """Make a folder and those above it; does nothing where it exists."""
        self._files.makedirs(self.resolve(folder), exist_ok=True)

    def create(self, name: str) -> BinaryIO:
        """Make a new file and open it for writing; an existing one is an ``OSError``."""
        path = self.resolve(name)
        if self._files.exists(path):
            raise FileExistsError(17, "File exists", path)
        return cast("BinaryIO", self._files.open(path, "wb"))

    def seal(self, file: BinaryIO, name: str) -> None:
        """Make a written file durable under its name, and close it."""
        file.close()

    def rename(self, name: str, to: str) -> None:
        """Give a file another name, all at once and durably. ``to`` must not exist."""
        self._files.mv(self.resolve(name), self.resolve(to))

    def settle(self, name: str) -> None:
        """Make the folder entry of a file durable."""

    def remove(self, name: str) -> None:
        """Remove a file; does nothing where it is gone."""
        with suppress(FileNotFoundError):
            self._files.rm_file(self.resolve(name))

    def free_bytes(self, name: str) -> int | None:
        """How much space is left where a file lies; None where that is not known."""
        return None


class LocalStorage(Storage):
    """Files on a disk of this machine.

    Args:
        root: an absolute path without links.
    """

    def __init__(self, root: str) -> None:
        super().__init__("file", root)

    def resolve(self, name: str) -> str:
        """The real path of a name below the root; every link in it is followed and checked."""
        path = os.path.realpath(os.path.join(self.root, checked_path(name, "path")))
        if path != self.root and os.path.commonpath((path, self.root)) != self.root:
            raise ConnectorError(f"a link in its path leads out of {shown(self.root)}")
        return path

    def create(self, name: str) -> BinaryIO:
        """Make a new file that its owner may write and its group may read."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(self.resolve(name), flags, _MODE)
        return cast("BinaryIO", os.fdopen(descriptor, "wb", buffering=0))

    def seal(self, file: BinaryIO, name: str) -> None:
        """Sync content, then name."""
        os.fsync(file.fileno())
        file.close()
        self.settle(name)

    def rename(self, name: str, to: str) -> None:
        """Rename within the disk, and sync both folders."""
        os.rename(self.resolve(name), self.resolve(to))
        self.settle(to)
        self.settle(name)

    def settle(self, name: str) -> None:
        """Sync the folder that a file lies in."""
        descriptor = os.open(os.path.dirname(self.resolve(name)), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, name: str) -> int | None:
        """What an ordinary user may still write there: a folder may be a disk of its own."""
        folder = name
        while folder:
            folder = os.path.dirname(folder)
            try:
                disk = os.statvfs(os.path.join(self.root, folder))
            except FileNotFoundError:
                continue  # it could not be made: what is left above it is the answer
            except (OSError, AttributeError):
                return None
            return disk.f_bavail * disk.f_frsize
        return None
