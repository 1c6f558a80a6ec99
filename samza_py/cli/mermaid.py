"""``samza-py graph --format mermaid``: a job as text that a README draws."""

from __future__ import annotations

from collections.abc import Iterator

from samza_py.cli.topology import Block, blocks
from samza_py.resolved import ResolvedJob


def mermaid(resolved: ResolvedJob) -> str:
    """The job as a Mermaid flow chart."""
    return "\n".join(_lines(resolved))


def _lines(resolved: ResolvedJob) -> Iterator[str]:
    drawn = blocks(resolved)
    ids = {name: f"s{number}" for number, name in enumerate(resolved.streams)}
    yield "flowchart LR"
    for number, system in enumerate(resolved.systems):
        yield f"    subgraph y{number}[{_text(system)}]"
        for name, stream in resolved.streams.items():
            if stream.system.name == system:
                yield f"        {ids[name]}[/{_text(stream.name)}/]"
        yield "    end"
    stores: dict[str, str] = {}
    for number, block in enumerate(drawn):
        yield from _block(block, f"t{number}", ids)
        for store in block.stores:
            node = stores.setdefault(store, f"k{len(stores)}")
            yield f"    {node}[({_text(store)})]"
            yield f"    t{number} <--> {node}"


def _block(block: Block, node: str, ids: dict[str, str]) -> Iterator[str]:
    yield f"    {node}({_text(block.name, *block.details)})"
    for source in block.inputs:
        yield f"    {ids[source]} --> {node}"
    for edge in block.outputs:
        arrow = f"-. {_text(edge.label)} .->" if edge.dead else "-->"
        yield f"    {node} {arrow} {ids[edge.stream]}"


def _text(*lines: str) -> str:
    escaped = (
        line.replace("&", "&amp;").replace('"', "#quot;").replace("<", "&lt;") for line in lines
    )
    return f'"{"<br/>".join(escaped)}"'
