"""``Files``: the files below one folder, as inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, Unpack, cast, overload

from samza_py.admin import Admin
from samza_py.checkpoint import Claim
from samza_py.connectors.files.admin import FileAdmin
from samza_py.connectors.files.consumer import FileConsumer
from samza_py.connectors.files.declared import (
    DeadLetterOutput,
    FileInput,
    FileOutput,
    ReadSettings,
)
from samza_py.connectors.files.lines import Jsonl, TextLines
from samza_py.connectors.files.producer import JsonlProducer
from samza_py.connectors.files.rows import Csv
from samza_py.connectors.files.storage import protocol_of
from samza_py.consumer import Consumer
from samza_py.errors import ConfigError
from samza_py.producer import Producer, Promise
from samza_py.serde import Row, Serde, Text, serde_for
from samza_py.system import AnyStream, Input, Output, System

V = TypeVar("V")


@dataclass(frozen=True)
class Files(System):
    """Files below one folder, which no stream can leave.

        files = Files(root="data")
        flights = files.csv("flights", "flights.csv.zip", value=Flight)
        delayed = files.jsonl_output("delayed", "out/delayed", value=Delay)

    Inputs are bounded: the files are listed when the job starts, read to their end, and then the
    job ends. Other files than at the checkpoint are refused: more or fewer, other sizes, or other
    content in the first or last 4 KiB of one; not another date. A single file is one partition;
    the files of a folder or pattern are hashed into ``max_partitions`` of them and read in the
    order of their names. Hidden ones (``.name``, ``_name``) are passed over.

    Reading resumes at the very record: by a seek where the file is not compressed, else by
    unpacking it again from its start.

    Outputs are two-phase: part files that appear whole, after the checkpoint that covers them,
    one an output, task and commit. The job's ``commit_interval`` therefore decides how many files
    there are; ``"60s"`` is more usual here than the default.

    Attributes:
        root: a folder; ``file://`` and ``memory://`` (for tests) may stand in front.
        name: unique in the job.
    """

    root: str
    name: str = "files"

    # The same for every Files: not fields.
    promise = Promise.TWO_PHASE
    producer_scope = "claim"

    def __post_init__(self) -> None:
        protocol_of(self.root, f"systems.{self.name}.root")

    def csv(
        self,
        name: str,
        path: str,
        *,
        value: type[V] | Serde[V],
        delimiter: str = ",",
        **settings: Unpack[ReadSettings],
    ) -> FileInput[V]:
        """CSV files: a header that names the columns, quoting as in RFC 4180, UTF-8.

        A row with more or fewer fields than the header, or that is not UTF-8, goes by the error
        policy; the rows around it are read.

        Args:
            name: the stream's name in the job.
            path: a file, a folder or a pattern (``*``, ``?``, ``[...]``, ``**``) below the root.
            value: the type of a row, whose fields are the columns; ``dict`` for plain text.
            delimiter: one character.
            settings: see ``ReadSettings``.

        Raises:
            ConfigError: a value is wrong.
        """
        if len(delimiter) != 1 or delimiter in '"\r\n' or not delimiter.isascii():
            raise ConfigError(f"{name}.delimiter", "must be one ASCII character", delimiter)
        serde = value if isinstance(value, Serde) else Row(value)
        return FileInput(self, name, serde, path, Csv(delimiter), **settings)

    def jsonl(
        self, name: str, path: str, *, value: type[V] | Serde[V], **settings: Unpack[ReadSettings]
    ) -> FileInput[V]:
        """Files with a JSON value a line; blank lines are passed over.

        Args:
            name: the stream's name in the job.
            path: a file, a folder or a pattern below the root.
            value: the type of a line.
            settings: see ``ReadSettings``.

        Raises:
            ConfigError: a value is wrong.
        """
        return FileInput(self, name, serde_for(value), path, Jsonl(), **settings)

    @overload
    def text(
        self, name: str, path: str, *, value: None = None, **settings: Unpack[ReadSettings]
    ) -> FileInput[str]: ...

    @overload
    def text(
        self, name: str, path: str, *, value: type[V] | Serde[V], **settings: Unpack[ReadSettings]
    ) -> FileInput[V]: ...

    def text(
        self,
        name: str,
        path: str,
        *,
        value: type[Any] | Serde[Any] | None = None,
        **settings: Unpack[ReadSettings],
    ) -> FileInput[Any]:
        """Files of lines, blank ones included, without their line ends.

        Args:
            name: the stream's name in the job.
            path: a file, a folder or a pattern below the root.
            value: ``str`` (the default), ``bytes``, or a serde that reads a line.
            settings: see ``ReadSettings``.

        Raises:
            ConfigError: a value is wrong.
        """
        serde: Serde[Any] = Text() if value is None else serde_for(value)
        return FileInput(self, name, serde, path, TextLines(), **settings)

    def jsonl_output(self, name: str, path: str, *, value: type[V] | Serde[V]) -> FileOutput[V]:
        """A folder of JSONL part files, named ``part-<task>-<epoch>-<number>-<run>.jsonl``.

        Args:
            name: the stream's name in the job.
            path: the folder, made where it is missing. Keys, headers and times are not written.
            value: the type of a line.

        Raises:
            ConfigError: a value is wrong.
        """
        return FileOutput(self, name, serde_for(value), path)

    def dead_letters(self, name: str, path: str) -> DeadLetterOutput:
        """A folder for ``DeadLetter(...)``: a JSON line each, with what came and what went wrong.

            {"task": "price/0", "source": "files.orders[0]", "offset": ..., "attempts": "1",
             "error_type": "ValueError", "error": ..., "place": "data/orders.jsonl line 881",
             "key": null, "value": ...}

        The value is the source's bytes as text, or ``{"base64": ...}`` where they are not UTF-8.

        Args:
            name: the stream's name in the job.
            path: the folder, made where it is missing.

        Raises:
            ConfigError: a value is wrong.
        """
        return DeadLetterOutput(self, name, path)

    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        """Lists files and compares offsets."""
        return FileAdmin(self.name, self.root, streams)

    def consumer(self, inputs: Mapping[str, Input[Any, Any]]) -> Consumer:
        """Reads the inputs."""
        return FileConsumer(self.root, cast("Mapping[str, FileInput[Any]]", inputs))

    def producer(self, outputs: Mapping[str, Output[Any, Any]], claim: Claim | None) -> Producer:
        """Writes the parts of one claim."""
        if claim is None:
            raise ConfigError(f"systems.{self.name}", "writes for one claim at a time")
        return JsonlProducer(self.root, cast("Mapping[str, FileOutput[Any]]", outputs), claim)
