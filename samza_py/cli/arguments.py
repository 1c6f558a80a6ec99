"""What can be written on the command line, and the help that explains it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

import samza_py
from samza_py.nearest import nearest

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_REFUSED = 2

_OVERVIEW = """\
samza-py runs stream processing jobs: Python files that say which streams an
async function reads and where its results go.

  samza-py new job.py        write a small job that runs as it stands
  samza-py run job.py        run it; Ctrl-C stops it in good order
  samza-py graph job.py      draw what it reads and writes
"""

_EXIT_CODES = """\
exit codes:
  0    finished, or stopped in good order
  1    failed while running: the message says where, what was finished is kept
  2    nothing was run: wrong usage, job file or setting
  130  stopped at once by a second Ctrl-C, nothing committed (143: by SIGTERM)

settings, later ones win:
  the job file  <  --config FILE  <  environment  <  --set KEY=VALUE
  job.commit_interval=5s  is  SAMZA_JOB__COMMIT_INTERVAL=5s  or, in TOML:
      [job]
      commit_interval = "5s"
  `samza-py config job.py` lists every setting, its value and who set it.
  Secrets come from a file or the environment, never from --set:
      SAMZA_SYSTEMS__NAME__PASSWORD_FILE=/run/secrets/name
"""

_RUN = """\
Run a job until its input ends or it is told to stop.

The first Ctrl-C or SIGTERM stops it in good order: no more is read, calls that
run may end, what is finished is committed. The second stops it at once.

  samza-py run orders.py
  samza-py run orders.py:pricing            one of several jobs in a file
  samza-py run shop.jobs.pricing            a module
  samza-py run orders.py --config prod.toml --set job.commit_interval=5s
  samza-py run orders.py --log-json --progress lines    for a log collector

Several containers (--index, --count) need a checkpoint store that all of them
reach, such as that of Kafka; with a local file they are refused.

  samza-py run orders.py --set monitoring.listen=127.0.0.1:8080
answers /healthz, /readyz and /metrics there.
"""

_JOB = "FILE.py or package.module, with :name where it declares several jobs"


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the examples as they are written, and a command beside what it does."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
        # What argparse begins to measure with: it measures commands without their indent.
        self._action_max_length = 14


class _Parser(argparse.ArgumentParser):
    """Says what was probably meant, and points to the help instead of printing it."""

    commands: Sequence[str] = ()
    given: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        lines = [f"{self.prog}: {message}"]
        wrong = self._wrong_command()
        if wrong is not None:
            lines = [f"{self.prog}: there is no command {wrong!r}"]
            close = nearest(wrong, self.commands)
            if wrong.partition(":")[0].endswith(".py"):
                lines.append(f"  did you mean: {self.prog} run {wrong}")
            elif close:
                lines.append(f"  did you mean: {self.prog} {close}")
        lines.append(f"  see: {self.prog} --help")
        self.exit(EXIT_REFUSED, "\n".join(lines) + "\n")

    # One signature for argparse's overloads, which differ in what namespace they give back.
    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        """Have a command itself refuse what it does not know: the top one knows only commands."""
        found, more = super().parse_known_args(args, namespace)
        if more and not self.commands:
            wrong = next((word for word in more if word.startswith("-")), None)
            close = None if wrong is None else nearest(wrong, self._option_string_actions)
            meant = "" if close is None else f"; did you mean {close}?"
            self.error(f"does not know {' '.join(more)}{meant}")
        return found, more

    def _wrong_command(self) -> str | None:
        words = [word for word in self.given if not word.startswith("-")]
        if not self.commands or not words or words[0] in self.commands:
            return None
        return words[0]


def parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """The whole command line.

    Args:
        given: what will be parsed, for a better answer where it is wrong.
    """
    top = _Parser(
        prog="samza-py",
        description=_OVERVIEW,
        epilog=_EXIT_CODES,
        formatter_class=_Help,
    )
    version = f"samza-py {samza_py.__version__}"
    top.add_argument("--version", action="version", version=version)
    commands = top.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands"
    )
    _add_run(commands)
    _add_inspecting(commands)
    new = _command(commands, "new", "write a commented job that runs as it stands")
    new.add_argument("path", metavar="FILE.py", help="the file to write; never overwritten")
    top.commands, top.given = list(commands.choices), given
    return top


def run_parser(program: str) -> argparse.ArgumentParser:
    """The arguments of a job file that runs itself: those of ``run``, without the job."""
    alone = _Parser(
        prog=program,
        description="Run the job in this file, as `samza-py run` does.",
        epilog=_EXIT_CODES,
        formatter_class=_Help,
    )
    _add_settings(alone)
    _add_run_options(alone)
    return alone


def _command(
    commands: argparse._SubParsersAction[_Parser], name: str, summary: str, text: str | None = None
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=text or f"{summary[0].upper()}{summary[1:]}.",
        formatter_class=_Help,
    )


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    run = _command(commands, "run", "run a job until its input ends or it is told to stop", _RUN)
    run.add_argument("job", metavar="JOB", help=_JOB)
    _add_settings(run)
    _add_run_options(run)


def _add_inspecting(commands: argparse._SubParsersAction[_Parser]) -> None:
    check = _command(
        commands,
        "check",
        "find what is wrong with a job; runs nothing",
    )
    config = _command(commands, "config", "list every setting, its value and who set it")
    graph = _command(commands, "graph", "draw what a job reads, does and writes")
    plan = _command(
        commands,
        "plan",
        "ask the systems what a start would make",
        "Ask the systems which declared streams a start would make, and which of them differ from\n"
        "what is declared, so that it would fail (exit code 2). Changes nothing.",
    )
    checkpoint = _command(commands, "checkpoint", "print how far each task has come")
    for command in (check, config, graph, plan, checkpoint):
        command.add_argument("job", metavar="JOB", help=_JOB)
        _add_settings(command)
    graph.add_argument(
        "--format",
        choices=("terminal", "mermaid"),
        default="terminal",
        help="a drawing for this terminal (default), or Mermaid text for a README",
    )


def _add_settings(to: argparse.ArgumentParser) -> None:
    settings = to.add_argument_group("settings from outside")
    settings.add_argument("--config", metavar="FILE", help="a .toml or .yaml file with settings")
    settings.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="one setting, such as streams.orders.name=orders-v2; may be repeated",
    )


def _add_run_options(to: argparse.ArgumentParser) -> None:
    shown = to.add_argument_group("what is shown, on standard error")
    shown.add_argument(
        "--progress",
        choices=("auto", "live", "lines", "none"),
        default="auto",
        help="live on a terminal, else a line every 10 s (auto, the default)",
    )
    levels = ("debug", "info", "warning", "error")
    shown.add_argument("--log-level", choices=levels, default="info", help="default: info")
    shown.add_argument("--log-json", action="store_true", help="one JSON object a line")
    running = to.add_argument_group("how it runs")
    running.add_argument(
        "--ignore-checkpoint",
        action="store_true",
        help="set the old checkpoints aside and start where the inputs say",
    )
    running.add_argument("--index", type=int, metavar="I", help="this container's number, from 0")
    running.add_argument("--count", type=int, metavar="N", help="how many containers there are")
    running.add_argument(
        "--loop",
        choices=("auto", "asyncio", "uvloop"),
        default="auto",
        help="the event loop; auto takes uvloop where it is installed",
    )
