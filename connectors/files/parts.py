"""The names of part files, and the tokens that stand for them in checkpoints."""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

import msgspec

from samza_py.checkpoint import Claim, Token
from samza_py.connectors.files.paths import checked_path
from samza_py.errors import ConfigError, ConnectorError

STAGED: Final = ".staged"
"""The folder in an output's own where parts lie until their checkpoint is written."""

_LONGEST_OWNER: Final = 120
_STAGED_NAME: Final = re.compile(r"(.+)-(\d+)-(\d+)-([0-9a-f]+)\.jsonl")


class StagedName(NamedTuple):
    """The name of a staged part, taken apart.

    Attributes:
        task: the task's name as file names have it.
        epoch: of the claim under which it was written.
    """

    task: str
    epoch: int


class PartNames:
    """Makes the names of the parts that one producer writes.

    ``part-<task>-<epoch>-<number>-<run>.jsonl``: sorted by name, the parts of a task are in the
    order they were written. The run is drawn for each producer, so that one that is made anew
    under the same claim never takes a name that a reader has seen.

    Args:
        claim: whose parts they are.
        run: what tells this producer from others of the claim.
    """

    def __init__(self, claim: Claim, run: int) -> None:
        self.task = safe_owner(claim.job, claim.task)
        self._epoch = claim.epoch
        self._run = f"{run:08x}"
        self._number = 0

    def next(self, folder: str) -> tuple[str, str]:
        """The staged and the final name of a new part in a folder."""
        self._number += 1
        name = f"{self.task}-{self._epoch:08d}-{self._number:06d}-{self._run}.jsonl"
        return f"{folder}/{STAGED}/{name}", f"{folder}/part-{name}"


def safe_owner(job: str, task: str) -> str:
    """A job's task as it may stand in a file name; no two tasks give the same text.

    ``pricing`` and ``price/3`` give ``pricing.price.3``.
    """
    # The task's name has one slash, HANDLER/GROUP; one of the job's would read like it.
    safe = _escaped(task).replace("/", ".")
    if job:
        safe = f"{_escaped(job).replace('/', '~2f~')}.{safe}"
    if len(safe) > _LONGEST_OWNER:
        digest = hashlib.sha256(f"{job}\0{task}".encode("utf-8", "surrogateescape")).hexdigest()
        return f"{safe[: _LONGEST_OWNER - 20]}~~{digest[:16]}"
    return safe


def _escaped(text: str) -> str:
    def escape(found: re.Match[str]) -> str:
        return f"~{found[0].encode('utf-8', 'surrogateescape').hex()}~"

    return re.sub(r"[^A-Za-z0-9_/-]", escape, text)


def staged_name(name: str) -> StagedName | None:
    """Take the name of a staged part apart; None where it is something else."""
    found = _STAGED_NAME.fullmatch(name)
    return StagedName(found[1], int(found[2])) if found else None


class _Token(msgspec.Struct, frozen=True):
    """What a token says."""

    staged: str
    final: str
    version: int = 1


def token_of(staged: str, final: str) -> Token:
    """The token of a staged part."""
    return Token(msgspec.json.encode(_Token(staged, final)).decode())


def names_in(token: Token) -> tuple[str, str]:
    """The staged and the final name in a token.

    Raises:
        ConnectorError: it is damaged, of a later version, or names something it must not.
    """
    try:
        found = msgspec.json.decode(token, type=_Token)
        staged, final = checked_path(found.staged, "staged"), checked_path(found.final, "final")
    except (msgspec.DecodeError, ConfigError) as error:
        raise ConnectorError(f"{token[:200]!r} is not a token of files: {error}") from error
    if found.version != 1:
        raise ConnectorError(f"a token of files has version {found.version}; this one knows 1")
    return staged, final
