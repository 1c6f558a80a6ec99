"""Writes JSONL in two phases: parts are staged before a checkpoint and renamed after it.

There is one part an output and commit, so the commit interval decides how many files there are.
A staged part lies in a hidden folder next to where it will appear: the rename stays on one disk,
and whoever lists ``part-*.jsonl`` never sees a half one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from samza_py.checkpoint import Claim, Token
from samza_py.connectors.files.declared import FileOutput
from samza_py.connectors.files.failures import writing
from samza_py.connectors.files.parts import STAGED, PartNames, names_in, staged_name, token_of
from samza_py.connectors.files.paths import shown
from samza_py.connectors.files.staged import StagedPart
from samza_py.connectors.files.storage import Storage, storage_at
from samza_py.errors import ConnectorError, RejectedError
from samza_py.message import Outgoing
from samza_py.producer import (
    Failure,
    Limits,
    Receipt,
    Rejected,
    Requests,
    Settled,
    TwoPhaseProducer,
)
from samza_py.seam import seam
from samza_py.transaction import Transaction

logger = logging.getLogger(__name__)


class JsonlProducer(TwoPhaseProducer):
    """Writes the parts of one claim.

    Args:
        root: of the system.
        outputs: the job's outputs of it, by name.
        claim: whose messages these are.
    """

    limits = Limits(messages=10_000, bytes=1 << 20, in_flight=4)
    requests = Requests.ORDERED

    def __init__(self, root: str, outputs: Mapping[str, FileOutput[Any]], claim: Claim) -> None:
        self._root = root
        self._outputs = outputs
        self._names = PartNames(claim, seam().random.getrandbits(32))
        self._storage: Storage | None = None
        self._parts: dict[str, StagedPart] = {}

    async def aopen(self) -> None:
        """Make the folders of the outputs.

        Raises:
            ConnectorError: they cannot be made.
        """
        self._storage = await seam().in_thread(self._prepare)

    async def aclose(self) -> None:
        """Close what is open; what is staged stays for whoever recovers the task."""
        await seam().in_thread(self._close_parts)

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        """Take over lines; they become durable with ``stage``.

        A value that is no bytes or holds a line feed is rejected, as it would not be one line.
        Keys, headers and timestamps are not written.

        Raises:
            ConnectorError: the disk is full or the folder may not be written to.
        """
        failures: dict[int, Failure] = {}
        full: list[StagedPart] = []
        for stream, indices in _by_stream(batch).items():
            line = self._outputs[stream].line
            if line is None:
                values = [batch[index].value for index in indices]
            else:
                values = [line(batch[index]) for index in indices]
            lines = _lines(stream, values, indices, failures)
            if lines and self._part(stream).add(lines):
                full.append(self._part(stream))
        for part in full:
            await seam().in_thread(part.write)
        return Settled(failures)

    async def stage(self) -> Mapping[str, Sequence[Token]]:
        """Sync the parts written since the last stage under their hidden names."""
        for part in self._parts.values():
            part.hand_over()
            await seam().in_thread(part.seal)
        tokens = {
            stream: [token_of(part.staged, part.final)] for stream, part in self._parts.items()
        }
        self._parts = {}
        return tokens

    async def finish(self, token: Token) -> None:
        """Rename what the token names to its final name."""
        await seam().in_thread(self._finish, token)

    async def recover(self, claim: Claim, tokens: Mapping[str, Sequence[Token]]) -> None:
        """Finish what is named, remove what else this task has staged up to this epoch."""
        await seam().in_thread(self._close_parts)
        self._parts = {}
        named = [token for several in tokens.values() for token in several]
        for token in named:
            await self.finish(token)
        seam().reached("files.recover.finished")
        await seam().in_thread(self._remove_leftovers, claim.epoch)
        seam().reached("files.recover.removed")

    async def abandon(self, token: Token) -> None:
        """Remove a staged part that no checkpoint names."""
        staged, _ = names_in(token)
        await seam().in_thread(self._remove, staged)

    def _part(self, stream: str) -> StagedPart:
        part = self._parts.get(stream)
        if part is None:
            names = self._names.next(self._outputs[stream].physical)
            self._parts[stream] = part = StagedPart(self._opened, *names)
        return part

    @property
    def _opened(self) -> Storage:
        if self._storage is None:
            raise ConnectorError("the producer is not open")
        return self._storage

    # From here on everything runs in threads.

    def _prepare(self) -> Storage:
        storage = storage_at(self._root)
        for output in self._outputs.values():
            folder = f"{output.physical}/{STAGED}"
            with writing(folder, storage.free_bytes):
                storage.make_folder(folder)
        return storage

    def _close_parts(self) -> None:
        for part in self._parts.values():
            part.close()

    def _finish(self, token: Token) -> None:
        staged, final = names_in(token)
        storage = self._opened
        with writing(final, storage.free_bytes):
            here, there = storage.kind(staged), storage.kind(final)
            if here and there:
                raise ConnectorError(
                    f"{shown(staged)} cannot be finished: {shown(final)} is there already"
                )
            if here:
                seam().reached("files.finish.before_rename")
                storage.rename(staged, final)
                seam().reached("files.finish.renamed")
            elif there:
                storage.settle(final)
            else:
                logger.warning(
                    "%s is gone, and so is %s: it was finished before and then taken away",
                    shown(final),
                    shown(staged),
                )

    def _remove_leftovers(self, epoch: int) -> None:
        for output in self._outputs.values():
            folder = f"{output.physical}/{STAGED}"
            for name in self._opened.names(folder):
                found = staged_name(name)
                if found and found.task == self._names.task and found.epoch <= epoch:
                    seam().reached("files.recover.before_remove")
                    self._remove(f"{folder}/{name}")

    def _remove(self, name: str) -> None:
        with writing(name, self._opened.free_bytes):
            self._opened.remove(name)


def _by_stream(batch: Sequence[Outgoing]) -> Mapping[str, Sequence[int]]:
    first = batch[0].stream
    if all(message.stream == first for message in batch):
        return {first: range(len(batch))}
    found: dict[str, list[int]] = {}
    for index, message in enumerate(batch):
        found.setdefault(message.stream, []).append(index)
    return found


def _lines(
    stream: str, values: Sequence[Any], indices: Sequence[int], failures: dict[int, Failure]
) -> bytes:
    """The values as lines; what cannot be one is put among the failures."""
    try:
        lines: bytes = b"\n".join(values) + b"\n"
    except TypeError:
        lines = b""
    if lines.count(b"\n") == len(values):
        return lines
    good: list[bytes] = []
    for index, value in zip(indices, values, strict=True):
        if isinstance(value, bytes) and b"\n" not in value:
            good.append(value + b"\n")
        else:
            kind = "holds a line feed" if isinstance(value, bytes) else f"is {type(value).__name__}"
            why = f"a line of {stream} must be bytes without a line feed; it {kind}"
            failures[index] = Rejected(RejectedError(why))
    return b"".join(good)
