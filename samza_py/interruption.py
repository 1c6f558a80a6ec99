"""Ctrl-C before a run has begun: one line and exit code 130, no traceback of ours.

The first process of a container is deaf to SIGTERM as long as nothing handles it, so that is ended
here, too: an orchestrator that stops a job as it starts would else wait for its whole grace period.

Half of the command's start is the import of `samza_py` itself, where nothing of ours could catch a
`KeyboardInterrupt` yet. So this is imported before all else, and does something in the command
only: a program that imports samza-py keeps its own signals.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


def say_interrupted() -> int:
    """Say that Ctrl-C was heard.

    Returns:
        The exit code for it.
    """
    # Not by print(): it may run within an import, and within a write of somebody else's.
    os.write(2, b"samza-py: stopped at once\n")
    return INTERRUPTED


def end_watch() -> None:
    """From here on Ctrl-C raises ``KeyboardInterrupt`` again; called before the job is."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(say_interrupted())


def _end_first_process(number: int, frame: FrameType | None) -> None:
    os._exit(TERMINATED)


def _is_command() -> bool:
    program = os.path.basename(sys.argv[0]) if getattr(sys, "argv", None) else ""
    # While Python looks for what -m names, that is all it says.
    return program == "samza-py" or (program == "-m" and "samza_py" in sys.orig_argv)


if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _end)
if _is_command() and os.getpid() == 1:
    signal.signal(signal.SIGTERM, _end_first_process)
