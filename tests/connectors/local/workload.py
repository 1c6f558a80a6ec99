"""Commits whose every byte follows from task and number, so that any state can be checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from samza_py.checkpoint import (
    Change,
    Changes,
    Checkpoint,
    CheckpointStore,
    Claim,
    InputProgress,
    Run,
    Token,
)
from samza_py.message import Offset, Partition

JOB = "shop"
KEYS = 40


def checkpoint(claim: Claim, number: int) -> Checkpoint:
    """The checkpoint of a task's commit."""
    runs = (Run(Offset(str(number + 2)), Offset(str(number + 5))),)
    return Checkpoint(
        claim.epoch,
        number,
        {
            Partition("memory", "orders", claim.task): InputProgress(
                Offset(str(number)), "one", runs
            )
        },
        {"files.out": (Token(f"staged-{number}"),)},
        {"counts": str(number), "names": str(number)},
        {"timers": {"daily": number}},
    )


def changes(task: str, number: int) -> Changes:
    """What the commit changes in two stores: some keys again and again, some deleted."""
    counts: list[Change] = [
        (f"{task}/{(number * step) % KEYS}".encode(), f"{number} {'x' * 50}".encode())
        for step in range(1, 4)
    ]
    counts = list(dict(counts).items())
    gone: Change = (b"gone", None if number % 2 else b"here")
    return {"counts": counts, "names": [gone, (f"n{number % 7}".encode(), b"\0\xff" * number)]}


def state(task: str, number: int) -> dict[str, dict[bytes, bytes]]:
    """The entries of both stores after all commits up to this one."""
    stores: dict[str, dict[bytes, bytes]] = {"counts": {}, "names": {}}
    for each in range(1, number + 1):
        for name, changed in changes(task, each).items():
            apply(stores[name], changed)
    return stores


def apply(entries: dict[bytes, bytes], changed: Sequence[Change]) -> None:
    """Let changes take effect, the later ones over the earlier ones."""
    for key, value in changed:
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value


async def commit(store: CheckpointStore, claim: Claim, number: int) -> None:
    """Write one commit."""
    await store.write(claim, checkpoint(claim, number), changes(claim.task, number))


async def restored(
    store: CheckpointStore, claim: Claim, markers: Mapping[str, str]
) -> dict[str, dict[bytes, bytes]]:
    """The entries that these markers stand for."""
    stores: dict[str, dict[bytes, bytes]] = {}
    for name, marker in markers.items():
        entries = stores.setdefault(name, {})
        async for batch in store.restore(claim, name, marker):
            apply(entries, batch)
    return stores
