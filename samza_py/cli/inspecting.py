"""The commands that look at a job and run nothing: check, config, graph, plan, checkpoint."""

from __future__ import annotations

import argparse
import asyncio
import sys

from samza_py.cli.arguments import EXIT_OK, EXIT_REFUSED
from samza_py.cli.failures import one_line, report
from samza_py.cli.preparing import Prepared, prepare
from samza_py.cli.screen import in_colour, styled
from samza_py.loading import load_job


def inspect(arguments: argparse.Namespace) -> int:
    """Load the job and do what the command says.

    Returns:
        The exit code.

    Raises:
        ConfigError: the job cannot be loaded.
    """
    prepared = prepare(load_job(arguments.job), arguments)
    command = {
        "check": _check,
        "config": _config,
        "graph": _graph,
        "plan": _plan,
        "checkpoint": _checkpoint,
    }[arguments.command]
    return command(prepared, arguments)


def _refused(prepared: Prepared) -> int:
    for problem in prepared.problems:
        report(problem, prepared.redact)
    return EXIT_REFUSED if prepared.problems else EXIT_OK


def _check(prepared: Prepared, arguments: argparse.Namespace) -> int:
    job = prepared.resolved.job
    for warning in prepared.warnings:
        print(f"warning: {prepared.redact(one_line(warning))}", file=sys.stderr)
    if prepared.problems:
        _refused(prepared)
        found = _number(len(prepared.problems), "problem")
        print(f"{job.name}: {found}; it would not start", file=sys.stderr)
        return EXIT_REFUSED
    parts = (
        _number(len(job.tasks), "handler"),
        _number(len(prepared.resolved.streams), "stream"),
        _number(len(prepared.resolved.systems), "system"),
    )
    noted = f", {_number(len(prepared.warnings), 'warning')}" if prepared.warnings else ""
    print(f"{job.name}: {', '.join(parts)}: nothing stands in its way{noted}")
    print(f"  checkpoints would be kept in {prepared.resolved.checkpoint_location}")
    return EXIT_OK


def _config(prepared: Prepared, arguments: argparse.Namespace) -> int:
    widths = [
        max((len(getattr(s, f)) for s in prepared.settings), default=0) for f in ("key", "value")
    ]
    colour = in_colour(sys.stdout)
    for setting in prepared.settings:
        style = "dim" if setting.source == "default" else ""
        line = (
            f"{setting.key:<{widths[0]}}  {one_line(setting.value):<{min(widths[1], 44)}}"
            f"  {one_line(setting.source)}"
        )
        print(styled([(prepared.redact(line), style)], colour=colour))
    return _refused(prepared)


def _graph(prepared: Prepared, arguments: argparse.Namespace) -> int:
    # A job with problems is drawn all the same: the drawing may be what shows the mistake.
    if arguments.format == "mermaid":
        from samza_py.cli.mermaid import mermaid

        print(mermaid(prepared.resolved))
    else:
        from samza_py.cli.graph import drawing

        unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
        for line in drawing(prepared.resolved, unicode=unicode):
            print(styled(line, colour=in_colour(sys.stdout)).rstrip())
    return _refused(prepared)


def _plan(prepared: Prepared, arguments: argparse.Namespace) -> int:
    if prepared.problems:
        return _refused(prepared)
    from samza_py.cli.plan import plan_lines

    lines, possible = asyncio.run(plan_lines(prepared.resolved))
    for line in lines:
        print(prepared.redact(one_line(line)))
    return EXIT_OK if possible else EXIT_REFUSED


def _checkpoint(prepared: Prepared, arguments: argparse.Namespace) -> int:
    if prepared.problems:
        return _refused(prepared)
    from samza_py.cli.checkpoints import checkpoint_lines

    for line in asyncio.run(checkpoint_lines(prepared.resolved)):
        print(prepared.redact(line))
    return EXIT_OK


def _number(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
