"""``samza-py checkpoint``: how far each task has come, as people read it."""

from __future__ import annotations

from collections.abc import Iterator

from samza_py.checkpoint import Checkpoint, InputProgress
from samza_py.message import END
from samza_py.resolved import ResolvedJob

_REMEMBERED = {
    "ended": "has told its handler the end of its inputs",
    "known": "knows which partitions there were when it began",
    "timers": "has timers set",
}
"""What the runtime's own notes in a checkpoint mean."""


async def checkpoint_lines(resolved: ResolvedJob) -> list[str]:
    """What the job's checkpoints say, without claiming anything.

    Raises:
        CheckpointError: they cannot be read.
    """
    async with resolved.checkpoints.store(resolved.job.name) as store:
        found = await store.read()
    lines = [f"{resolved.job.name}: checkpoints in {resolved.checkpoint_location}"]
    if not found:
        lines.append("  none yet: a run starts where its inputs say (oldest, unless declared)")
    for task in sorted(found, key=_natural):
        lines.extend(_task_lines(task, found[task]))
    return lines


def _task_lines(task: str, checkpoint: Checkpoint) -> Iterator[str]:
    yield f"  {task}: commit {checkpoint.number}, epoch {checkpoint.epoch}"
    for partition, progress in checkpoint.inputs.items():
        yield f"    {partition}: {_progress(progress)}"
    for output, tokens in checkpoint.outputs.items():
        yield f"    {output}: {len(tokens)} staged by that commit"
    for store, marker in checkpoint.stores.items():
        yield f"    store {store}: up to {marker or 'its beginning'}"
    for name in checkpoint.control:
        yield f"    {_REMEMBERED.get(name, f'remembers {name}')}"


def _progress(progress: InputProgress) -> str:
    if progress.after is END:
        return "read to its end"
    text = f"finished up to {progress.after!s}"
    if progress.done:
        runs = (
            r.first if r.first == r.last else f"{r.first} to {r.last}" for r in progress.done[:5]
        )
        more = f" and {len(progress.done) - 5} more" if len(progress.done) > 5 else ""
        text += f", and beyond it {', '.join(runs)}{more}"
    return text


def _natural(task: str) -> tuple[str, int, str]:
    name, _, group = task.partition("/")
    return (name, int(group), "") if group.isdecimal() else (name, -1, group)
