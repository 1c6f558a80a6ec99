"""``samza-py graph``: a job drawn for a terminal.

                ╭────────────────────╮
kafka.orders ──▶│ price              ├──▶ kafka.priced
                │ async, 64 at once  ├╌╌▶ kafka.orders.dead   what fails 3 times
                │ state: counts      │
                ╰────────────────────╯
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from samza_py.cli.screen import Line
from samza_py.cli.topology import Block, Edge, blocks, readers
from samza_py.resolved import ResolvedJob

T = TypeVar("T")

_PLAIN = str.maketrans("╭╮╰╯─│├╌▶↳·", "++++-|+.>>-")
"""For terminals that know ASCII alone."""


def drawing(resolved: ResolvedJob, *, unicode: bool) -> Iterator[Line]:
    """The lines of the drawing.

    Args:
        resolved: the job.
        unicode: whether lines and arrows can be printed there.
    """
    for line in _lines(resolved):
        yield line if unicode else [(text.translate(_PLAIN), style) for text, style in line]


def _lines(resolved: ResolvedJob) -> Iterator[Line]:
    drawn = blocks(resolved)
    yield [(resolved.job.name, "bold")]
    yield []
    left = max((len(name) for block in drawn for name in block.inputs), default=0)
    body = max((len(text) for block in drawn for text, _ in _body(block)), default=0)
    for block in drawn:
        yield from _drawn(block, left, body, drawn)
        yield []
    yield from _legend(resolved)


def _body(block: Block) -> Iterator[tuple[str, str]]:
    yield block.name, "bold"
    for detail in block.details:
        yield detail, "dim"
    if block.stores:
        yield f"state: {', '.join(block.stores)}", "cyan"


def _drawn(block: Block, left: int, body: int, drawn: list[Block]) -> Iterator[Line]:
    margin = " " * (left + 5)
    yield [(f"{margin}╭─{'─' * body}─╮", "")]
    for row in range(max(len(block.inputs), len(block.outputs), len(list(_body(block))))):
        source = _at(block.inputs, row)
        incoming: Line = [(margin, "")]
        if source is not None:
            incoming = [(f"  {source} ", "green"), (f"{'─' * (left - len(source) + 1)}▶", "")]
        text, style = _at(tuple(_body(block)), row) or ("", "")
        edge = _at(block.outputs, row)
        border = "│" if edge is None else "├"
        outgoing = () if edge is None else _outgoing(edge, drawn)
        yield [*incoming, ("│ ", ""), (f"{text:<{body}}", style), (f" {border}", ""), *outgoing]
    yield [(f"{margin}╰─{'─' * body}─╯", "")]


def _at(items: Sequence[T], index: int) -> T | None:
    return items[index] if index < len(items) else None


def _outgoing(edge: Edge, drawn: list[Block]) -> Line:
    arrow, style = ("╌╌▶", "red") if edge.dead else ("──▶", "green")
    line = [(f"{arrow} ", ""), (edge.stream, style)]
    if edge.label:
        line.append((f"   {edge.label}", "dim"))
    following = readers(drawn, edge.stream)
    if following:
        line.append((f"   ↳ {', '.join(following)}", "dim"))
    return line


def _legend(resolved: ResolvedJob) -> Iterator[Line]:
    for name, system in sorted(resolved.systems.items()):
        inputs = ", ".join(sorted(resolved.inputs_of(name)))
        outputs = ", ".join(sorted(resolved.outputs_of(name)))
        parts = [f"reads {inputs}" if inputs else "", f"writes {outputs}" if outputs else ""]
        kind = type(system).__name__
        title = name if kind.lower() == name.lower() else f"{name} ({kind})"
        yield _entry(title, " · ".join(part for part in parts if part))
    yield _entry("checkpoints", resolved.checkpoint_location)
    yield _entry("coordinator", str(resolved.coordination))
    yield _entry("promises", resolved.options.guarantee.replace("_", " "))


def _entry(title: str, text: str) -> Line:
    return [(f"  {title:<14} ", "dim"), (text, "")]
