"""``samza-py run``: one container in this process, from its arguments to its exit code."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from samza_py.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_REFUSED, run_parser
from samza_py.cli.failures import Redaction, described, leaves, report
from samza_py.cli.logs import configure
from samza_py.cli.preparing import Prepared, prepare
from samza_py.cli.showing import Display, display, repeat
from samza_py.cli.stopping import Signals, end_children, end_threads
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.monitoring import monitored
from samza_py.resolved import ResolvedJob
from samza_py.runtime.container import Container

logger = logging.getLogger("samza_py.cli")

_LEFT_BEHIND_S = 1.0
"""What has not ended with the container has so long to do so."""


def run_here(job: Job[Any], argv: Sequence[str]) -> int:
    """Run a job from its own file.

    Args:
        job: the job.
        argv: the process's arguments, its own name first.

    Returns:
        The exit code.
    """
    return run_job(job, run_parser(Path(argv[0]).name).parse_args(list(argv[1:])))


def run_job(job: Job[Any], arguments: argparse.Namespace) -> int:
    """Check a job, run it until it ends, and say how it went.

    Returns:
        The exit code, as ``samza-py --help`` lists them.
    """
    prepared = prepare(job, arguments)
    try:
        new_loop = loop_factory(arguments.loop)
    except ConfigError as error:
        report(error)
        return EXIT_REFUSED
    if prepared.problems:
        for problem in prepared.problems:
            report(problem, prepared.redact)
        return EXIT_REFUSED
    shown = display(arguments.progress, job.name, as_json=arguments.log_json)
    configure(
        level=arguments.log_level,
        as_json=arguments.log_json,
        job=job.name,
        redact=prepared.redact,
        write=shown.write,
    )
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(_run(prepared, shown, as_json=arguments.log_json))
    except SystemExit as error:
        _say(error, prepared.redact, as_json=arguments.log_json)
        return EXIT_FAILED


async def _run(prepared: Prepared, shown: Display, *, as_json: bool) -> int:
    code = await _run_container(prepared, shown, as_json=as_json)
    await end_children(code, _LEFT_BEHIND_S)
    await end_threads(code, _LEFT_BEHIND_S)
    return code


async def _run_container(prepared: Prepared, shown: Display, *, as_json: bool) -> int:
    resolved = prepared.resolved
    container = Container(resolved)
    loop = asyncio.get_running_loop()
    options = resolved.options
    signals = Signals(loop, container, options.shutdown_timeout_s + 2 * options.close_timeout_s)
    signals.install()
    # Whoever has read the first line may send a signal.
    for warning in prepared.warnings:
        logger.warning("%s", warning)
    for line in banner(resolved):
        logger.info("%s", line)
    shown.open()
    repeat(loop.call_later, shown, container.statistics)
    try:
        async with monitored(prepared.monitoring, container.statistics):
            # A child of its own, since a stop may cancel it.
            child = loop.create_task(container.run(), name="container")
            await asyncio.wait((child,))
        failure = _failure(child, signals)
    except ConfigError as error:
        failure = error
    except asyncio.CancelledError:  # the loop itself is being ended
        shown.close(container.statistics(), "failed")
        raise
    finally:
        signals.remove()
    shown.close(container.statistics(), _outcome(failure, signals))
    if signals.aborted_with is not None:
        return signals.aborted_with
    if failure is None:
        return EXIT_OK
    _say(failure, prepared.redact, as_json=as_json)
    refused = all(isinstance(leaf, ConfigError) for leaf in leaves(failure))
    return EXIT_REFUSED if refused else EXIT_FAILED


def _failure(ended: asyncio.Task[None], signals: Signals) -> BaseException | None:
    """Why the container ended; None for the ways that are as they should be."""
    if not ended.cancelled():
        return ended.exception()
    # A stop before anything had started cancels the start; nothing is lost by that.
    return None if signals.stopping else asyncio.CancelledError("the container was cancelled")


def _outcome(failure: BaseException | None, signals: Signals) -> str:
    if signals.aborted_with is not None:
        return "stopped at once"
    if failure is not None:
        return "failed"
    return "stopped" if signals.stopping else "finished"


def _say(failure: BaseException, redact: Redaction, *, as_json: bool) -> None:
    if not as_json:
        report(failure, redact)
        return
    for leaf in leaves(failure):
        message, _, details = described(leaf).partition("\n")
        logger.error("%s", message, extra={"details": details} if details else {})


def banner(resolved: ResolvedJob) -> Iterator[str]:
    """What starts here: the first lines of every run."""
    job = resolved.job
    handlers = ", ".join(spec.name for spec in job.tasks)
    plural = "handler" if len(job.tasks) == 1 else "handlers"
    yield f"{job.name}: {plural} {handlers}; {resolved.options.guarantee.replace('_', ' ')}"
    yield f"checkpoints in {resolved.checkpoint_location}; {resolved.coordination}"


def loop_factory(wanted: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop; None for the standard library's.

    Raises:
        ConfigError: uvloop was asked for and is not installed.
    """
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ModuleNotFoundError:
        if wanted == "uvloop":
            why = 'is not installed: pip install "samza-py[uvloop]"'
            raise ConfigError("--loop uvloop", why) from None
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
