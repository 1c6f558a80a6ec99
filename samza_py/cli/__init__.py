"""The command line: ``samza-py run | check | config | graph | plan | checkpoint | new``.

Each command is one module; this one only chooses. Nothing below is imported before it is needed,
so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from samza_py.cli.arguments import EXIT_FAILED, EXIT_REFUSED, parser
from samza_py.errors import ConfigError
from samza_py.interruption import say_interrupted


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the command line.

    Args:
        arguments: without the program's name; None for those of this process.

    Returns:
        The exit code, as ``samza-py --help`` lists them.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _dispatch(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # `samza-py graph job.py | head` has seen enough. Nothing may be written any more, not
        # even by the interpreter as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        return say_interrupted()
    return code


def _dispatch(given: Sequence[str]) -> int:
    arguments = parser(given).parse_args(given)
    if arguments.command == "new":
        from samza_py.cli.new import new

        return _reported(lambda: new(arguments.path))
    if arguments.command == "run":
        return _reported(lambda: _run(arguments))
    from samza_py.cli.inspecting import inspect

    return _reported(lambda: inspect(arguments))


def _run(arguments: Namespace) -> int:
    from samza_py.cli.running import run_job
    from samza_py.loading import load_job

    return run_job(load_job(arguments.job), arguments)


def _reported(command: Callable[[], int]) -> int:
    from samza_py.cli.failures import report

    try:
        return command()
    except ConfigError as error:
        report(error)
        return EXIT_REFUSED
    except BrokenPipeError:
        raise
    except Exception as error:  # said in one place, without what must not be printed
        report(error)
        return EXIT_FAILED


__all__ = ["main"]
