"""What a job file declares of files: inputs and outputs, typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypedDict, TypeVar, Unpack, cast

from samza_py.admin import Oldest, StartAt
from samza_py.connectors.files.changes import what_changed
from samza_py.connectors.files.compression import COMPRESSIONS, Compression
from samza_py.connectors.files.letters import letter_line
from samza_py.connectors.files.paths import checked_path
from samza_py.connectors.files.records import FileFormat
from samza_py.errors import ConfigError
from samza_py.message import Outgoing
from samza_py.serde import Raw, Serde
from samza_py.system import Input, Output, System
from samza_py.values import Size, size_in_bytes

V_co = TypeVar("V_co", covariant=True)
V_contra = TypeVar("V_contra", contravariant=True)

_MOST_PARTITIONS: Final = 1024


class NoKey(Serde[Any]):
    """Files have no keys: none is read, and what an output is given is not written."""

    nullable = True

    def decoder(self) -> Callable[[Any], Any]:
        """Never called, as there is no key."""
        return _nothing

    def encoder(self) -> Callable[[Any], Any]:
        """Drops the key."""
        return _nothing

    @property
    def content(self) -> object:
        """``None``."""
        return type(None)


def _nothing(key: object) -> None:
    return None


class ReadSettings(TypedDict, total=False):
    """How an input's files are read; each may be left out.

    Attributes:
        compression: ``infer`` (the default) goes by a file's name: ``.gz``, ``.zst``, ``.zip``;
            ``none``, ``gzip``, ``zstd`` or ``zip`` hold for all of them.
        max_partitions: how many partitions the files of a folder or pattern are hashed into; 16.
        max_record_bytes: longer records go by the error policy; 16 MiB.
        max_decompressed_bytes: the most that one file may unpack to; by default 64 MiB or 200
            times its size, whichever is more.
        start: where a partition without a checkpoint begins; by default at its oldest record.
    """

    compression: Compression
    max_partitions: int
    max_record_bytes: Size
    max_decompressed_bytes: Size | None
    start: StartAt


class FileInput(Input[None, V_co]):
    """Files that are read to their end. Made by ``Files.csv``, ``Files.jsonl``, ``Files.text``.

    Attributes:
        format: how their content is cut into records.
        compression, max_partitions, max_record_bytes, max_decompressed_bytes: see
            ``ReadSettings``; sizes in bytes.
    """

    stable_keys = False
    fixed_partitions = True

    def __init__(
        self,
        system: System,
        name: str,
        value: Serde[V_co],
        path: str,
        file_format: FileFormat,
        **settings: Unpack[ReadSettings],
    ) -> None:
        super().__init__(system, name, NoKey(), value, checked_path(path, f"{name}.path"))
        self.format = file_format
        self.start = settings.get("start", Oldest())
        self.compression: Compression = settings.get("compression", "infer")
        self.max_partitions = settings.get("max_partitions", 16)
        longest = settings.get("max_record_bytes", 16 << 20)
        self.max_record_bytes = size_in_bytes(longest, f"{name}.max_record_bytes")
        most = settings.get("max_decompressed_bytes")
        key = f"{name}.max_decompressed_bytes"
        self.max_decompressed_bytes = None if most is None else size_in_bytes(most, key)
        if self.compression not in COMPRESSIONS:
            why = f"must be one of {', '.join(COMPRESSIONS)}"
            raise ConfigError(f"{name}.compression", why, self.compression)
        partitions = cast("object", self.max_partitions)
        if not isinstance(partitions, int) or not 1 <= partitions <= _MOST_PARTITIONS:
            why = f"must be between 1 and {_MOST_PARTITIONS}"
            raise ConfigError(f"{name}.max_partitions", why, self.max_partitions)

    @property
    def content(self) -> str:
        """Format and compression in words, as the lineage has them."""
        return f"{self.format!r} {self.compression}"

    def changed(self, before: str, now: str) -> str:
        """Which files, or what of the declaration, is no longer as it was; empty where all is."""
        return what_changed(before, now)


class FileOutput(Output[object, V_contra]):
    """A folder of part files. Made by ``Files.jsonl_output``.

    A part appears whole, under its final name, once the checkpoint that covers it is written.

    Attributes:
        line: makes a line of a message; None where its value is one already.
    """

    def __init__(self, system: System, name: str, value: Serde[V_contra], path: str) -> None:
        super().__init__(system, name, NoKey(), value, checked_path(path, f"{name}.path"))
        self.line: Callable[[Outgoing], bytes] | None = None


class DeadLetterOutput(FileOutput[bytes]):
    """A folder of part files that keep where a dead letter came from and what went wrong.

    Made by ``Files.dead_letters``.
    """

    def __init__(self, system: System, name: str, path: str) -> None:
        super().__init__(system, name, Raw(), path)
        # The key is written too.
        self.key_serde = Raw()
        self.line = letter_line
