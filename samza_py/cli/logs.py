"""Logging as the command line sets it up: for people, or as JSON, one object a line.

The library logs to ``samza_py.*`` and configures nothing. A record may carry ``job``, ``task`` and
``partition``, at DEBUG a ``payload``, which is cut, and a ``stack``, with which its message ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

from samza_py.cli.failures import Redaction, one_line, printable, users_traceback

MAX_PAYLOAD_BYTES = 256

_FIELDS = ("job", "task", "partition")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Formatter(logging.Formatter):
    """What both forms share: the job's name where a record has none, and secrets taken out."""

    def __init__(self, job: str, redact: Redaction) -> None:
        super().__init__()
        self.job = job
        self.redact = redact

    def message(self, record: logging.LogRecord) -> str:
        try:
            text = record.getMessage().rstrip("\n")  # Python ends its warnings with one
        except (TypeError, ValueError) as error:  # a wrong log call must not stop a job
            text = f"{record.msg} (its arguments do not fit: {error})"
        stack = stack_of(record)
        if stack:
            text = text.removesuffix(stack).rstrip()
        payload = getattr(record, "payload", None)
        if payload is not None and record.levelno <= logging.DEBUG:
            text = f"{text} payload={cut(payload)}"
        return text

    def trace(self, record: logging.LogRecord) -> str:
        error = record.exc_info[1] if record.exc_info else None
        return self.redact(printable(users_traceback(error))) if error is not None else ""


class HumanFormatter(_Formatter):
    """``12:00:31 info     price/3  message``, with a traceback indented below."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as lines for a person."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        where = getattr(record, "partition", None) or getattr(record, "task", None)
        message = self.message(record)
        place = f"{where}  " if where and str(where) not in message else ""
        text = self.redact(one_line(f"{place}{message}"))
        trace = self.trace(record) or self.redact(printable(stack_of(record)))
        # Indented, so that no text in it can pass for a line of the log.
        below = "".join(f"\n    {line}" for line in trace.splitlines())
        return f"{clock} {record.levelname.lower():<8} {text}{below}"


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, job, task, partition, message, extras."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "job": self.job,
        }
        for name in _FIELDS:
            value = getattr(record, name, None)
            if value is not None:
                entry[name] = str(value)
        entry["message"] = self.message(record)
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in _FIELDS and name != "payload":
                entry[name] = value if isinstance(value, int | float | bool) else str(value)
        trace = self.trace(record)
        if trace:
            entry["traceback"] = trace
        return self.redact(json.dumps(_printable(entry), ensure_ascii=False))


def _printable(entry: dict[str, Any]) -> dict[str, Any]:
    return {k: printable(v) if isinstance(v, str) else v for k, v in entry.items()}


def cut(payload: object) -> str:
    """A payload's first bytes, and how many there were."""
    data = payload if isinstance(payload, bytes | str) else repr(payload)
    if len(data) <= MAX_PAYLOAD_BYTES:
        return repr(data)
    return f"{data[:MAX_PAYLOAD_BYTES]!r}... ({len(data)} in all)"


def stack_of(record: logging.LogRecord) -> str:
    """Where the code stands that a record tells of; empty for most."""
    stack: object = getattr(record, "stack", None)
    return stack if isinstance(stack, str) else ""


def task_in_hand() -> str | None:
    """The task that the running child works for: the last word of the child's name."""
    try:
        child = asyncio.current_task()
    except RuntimeError:  # outside the loop
        return None
    word = child.get_name().rpartition(" ")[2] if child is not None else ""
    return word if "/" in word else None


class _Handler(logging.Handler):
    """Hands finished lines to whoever owns the terminal."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if getattr(record, "task", None) is None:
                record.task = task_in_hand()
            self.write(self.format(record))
        except Exception:  # what cannot be logged must not stop the job
            self.handleError(record)


def write_line(line: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def configure(
    *,
    level: str,
    as_json: bool,
    job: str,
    redact: Redaction,
    write: Callable[[str], None] = write_line,
) -> None:
    """Set up the root logger, taking the place of what an earlier call set up.

    Args:
        level: of ``samza_py`` and of the user's loggers; client libraries get WARNING at least,
            unless it is ``debug``.
        as_json: one object a line, for machines.
        job: the job's name, in every record.
        redact: takes secrets out.
        write: puts a line where it can be seen.
    """
    handler = _Handler(write)
    handler.setFormatter((JsonFormatter if as_json else HumanFormatter)(job, redact))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # It reports every slow callback in its own words; the runtime's watchdog names the handler.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    # Errors inside handlers go to stderr with a traceback that shows the record's arguments.
    logging.raiseExceptions = False
