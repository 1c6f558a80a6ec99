"""From what went wrong to what a person reads: the place, the reason, the user's own traceback."""

from __future__ import annotations

import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from samza_py.errors import (
    ConfigError,
    ContainerError,
    JobFileError,
    SamzaError,
    TaskFailedError,
    UnavailableError,
)
from samza_py.message import Message
from samza_py.values import HIDDEN

_PACKAGE = Path(__file__).resolve().parent.parent
# Both folders stand beside the package in a checkout and inside it once installed.
_OURS = tuple(
    str(folder.resolve()) + "/"
    for folder in (_PACKAGE, _PACKAGE / "connectors", _PACKAGE / "runtime")
)
# Of the standard library and of what is installed.
_LIBRARIES = tuple(
    str(Path(sysconfig.get_paths()[name]).resolve()) + "/"
    for name in ("stdlib", "purelib", "platlib")
)
_ASYNCIO = str(Path(sysconfig.get_paths()["stdlib"]).resolve() / "asyncio")
_MACHINERY = (_ASYNCIO, "<frozen ", "uvloop/")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET_LITERAL = re.compile(r"""Secret\(\s*(['"]).*?\1\s*\)""")


class Redaction:
    """Takes the secrets of a job out of any text before it is printed.

    The last line of defence: what is printed here was written by client libraries and by users
    too, and an address with a password in it is an ordinary part of their errors.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Short ones would blank out ordinary words, and hide nothing from anybody.
        known = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        text = _SECRET_LITERAL.sub(f"Secret('{HIDDEN}')", text)
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def printable(text: str) -> str:
    """A text that cannot forge a line or drive a terminal: control characters are escaped."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """The same for a text that must stay on one line."""
    return printable(text.replace("\n", "\\n"))


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors inside groups, each once; a task's failure first, as the user can act on it."""
    found: list[BaseException] = []
    todo: list[BaseException] = [error]
    while todo:
        next_one = todo.pop(0)
        if isinstance(next_one, BaseExceptionGroup):
            todo.extend(_inside(next_one))
        elif not any(next_one is other for other in found):
            found.append(next_one)
    yield from sorted(found, key=lambda e: not isinstance(e, TaskFailedError))


def _inside(group: Any) -> Sequence[BaseException]:
    inside: Sequence[BaseException] = group.exceptions
    return inside


def described(error: BaseException) -> str:
    """One error as the command line prints it, the user's traceback below where there is one."""
    if isinstance(error, JobFileError):
        return f"{error}\n{users_traceback(error.__cause__)}".rstrip()
    if isinstance(error, ConfigError):
        return str(error)
    if isinstance(error, TaskFailedError):
        # Where no code of the user's took part, the message has said it all.
        mine = any(_users_frames(cause) for cause in _chain(error.__cause__))
        said = [
            str(error),
            users_traceback(error.__cause__) if mine else "",
            _of_the_message(error.__cause__),
            error.hint,
        ]
        return "\n".join(part for part in said if part)
    if isinstance(error, SamzaError):
        return _with_causes(error)
    if isinstance(error, SystemExit) or (not isinstance(error, Exception) and _users_frames(error)):
        return f"{_past_the_policies(error)}\n{users_traceback(error)}"
    # Neither a user's mistake nor anything expected: all of it is needed to mend it.
    text = "".join(traceback.format_exception(error)).rstrip()
    return f"samza-py itself failed, please report this:\n{text}"


def _past_the_policies(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return (
            f"the job's code ended Python with sys.exit({error.code!r}); what was not committed by "
            "then is done again; raise an error to fail, or call ctx.request_stop() to stop in "
            "good order"
        )
    return (
        f"the job's code raised {type(error).__name__}, which is no Exception and so is left to no "
        "error policy; what was not committed by then is done again"
    )


def _of_the_message(error: BaseException | None) -> str:
    """Where a value's attribute was looked for in the message: what everybody does once."""
    if not isinstance(error, AttributeError) or not isinstance(error.obj, Message):
        return ""
    return f"a Message holds the value: write .value.{error.name}"


def _with_causes(error: SamzaError) -> str:
    """What happened and what led to it, a line each; causes that are not ours with a traceback."""
    lines = [str(error)]
    cause, away = error.__cause__, isinstance(error, UnavailableError)
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            lines.extend(f"  {described(leaf)}" for leaf in leaves(cast("BaseException", cause)))
            break
        if not (isinstance(cause, SamzaError) and lines[-1].endswith(str(cause))):
            lines.append(f"  because: {type(cause).__name__}: {cause}")
        outside = isinstance(error, ContainerError)  # such as the job's lifespan
        shown = outside or not isinstance(cause, SamzaError | OSError)
        # Where a client library found nobody at an address is no help to whoever wrote it.
        if shown and (_users_own_frames(cause) if away else _users_frames(cause)):
            lines.append(users_traceback(cause))
            break
        away = away or isinstance(cause, UnavailableError)
        cause = cause.__cause__
    return "\n".join(lines)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def users_traceback(error: BaseException | None) -> str:
    """A traceback without the frames of samza-py and of the event loop."""
    if error is None:
        return ""
    shown = traceback.TracebackException.from_exception(error, compact=True)
    _trim(shown)
    text = "".join(shown.format())
    # With no frame of the user's left, only the error itself is worth a line.
    return re.sub(r"(?m)^Traceback \(most recent call last\):\n(?=\S)", "", text).rstrip()


def _trim(shown: traceback.TracebackException) -> None:
    shown.stack = traceback.StackSummary.from_list(shown_frames(shown.stack))
    for inner in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        if inner is not None:
            _trim(inner)


def shown_frames(stack: Iterable[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    """The frames of a stack that are the user's, or of what the user called."""
    return [frame for frame in stack if not _ours(frame.filename)]


def _users_frames(error: BaseException) -> bool:
    return any(not _ours(f.filename) for f in traceback.extract_tb(error.__traceback__))


def _users_own_frames(error: BaseException) -> bool:
    frames = shown_frames(traceback.extract_tb(error.__traceback__))
    return any(not frame.filename.startswith(_LIBRARIES) for frame in frames)


def _ours(filename: str) -> bool:
    return filename.startswith((*_OURS, *_MACHINERY))


def report(error: BaseException, redact: Redaction | None = None) -> None:
    """Print what went wrong to standard error."""
    hide = redact or Redaction()
    for leaf in leaves(error):
        print(f"samza-py: {hide(printable(described(leaf)))}", file=sys.stderr)
