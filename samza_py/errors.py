"""Every error that samza-py raises on purpose.

    SamzaError
    ├ ConfigError            a value given by the user is wrong; found before a socket opens
    │ └ JobFileError         the job file's own code raised while it was imported
    ├ SerdeError             bytes that are not what their stream says they are
    ├ ConnectorError         a system did not do what it was asked
    │ ├ UnavailableError     it may work later: the runtime backs off and asks again
    │ └ RejectedError        it will never take this message
    ├ PositionLostError      a checkpointed position or lineage is gone from its stream
    ├ CheckpointError        a checkpoint cannot be read or written: never worked around
    │ ├ CorruptCheckpointError   its bytes are damaged, or of a format version not known here
    │ └ FencedError          a newer owner of the task exists: drop it at once
    ├ StoreError             a store was used against its declaration
    ├ ContextClosedError     a task context was used after its call had ended
    ├ TaskFailedError        user code failed and the error policy says `Fail()`
    ├ StalledError           a shutdown or a stop ran out of time
    └ ContainerError         something outside a task ended the container

A leaf exists only where a caller reacts differently to it. A client library's exceptions become
these in one place per connector, with ``from``.
"""

from __future__ import annotations


class SamzaError(Exception):
    """The root of all errors of samza-py."""


class ConfigError(SamzaError):
    """A value that the user gave is wrong.

    The message names the key, the value, the reason and, where known, what to write instead. The
    command line prints it without a traceback and ends with exit code 2.

    Args:
        key: where the value stands, as the user would write it (``job.commit_interval``).
        why: what is wrong and what to do, as one sentence.
        value: the offending value; left out of the message when it is None.
    """

    def __init__(self, key: str, why: str, value: object = None) -> None:
        shown = "" if value is None else f" = {value!r}"
        super().__init__(f"{key}{shown}: {why}")
        self.key = key
        self.why = why
        self.value = value


class JobFileError(ConfigError):
    """The job file's own code raised while it was imported; ``__cause__`` is its error.

    The command line prints that error's traceback too, without the frames of samza-py.
    """


class SerdeError(SamzaError):
    """Bytes could not be decoded, or a value could not be encoded, by the serde of its stream."""


class ConnectorError(SamzaError):
    """A system did not do what it was asked, and asking again the same way will not help.

    Raised by consumers, producers, admins and checkpoint stores; ends the job unless the place
    that catches it says otherwise.
    """


class UnavailableError(ConnectorError):
    """A system cannot answer now but may later; the runtime retries it with backoff.

    Args:
        message: what failed, naming the system and its address.
        after_s: the least number of seconds to wait before asking again, where the system says so.
    """

    def __init__(self, message: str, *, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class RejectedError(ConnectorError):
    """A system refused one message for good: too large, malformed, not allowed there.

    The message goes by the error policy of the input it came from, past its retries.
    """


class PositionLostError(SamzaError):
    """What a checkpoint names is gone: the stream was trimmed, changed, truncated or re-created.

    The message names the partition, the position wanted and what is there now. Nothing is
    skipped until the user says so.
    """


class CheckpointError(SamzaError):
    """A checkpoint cannot be read or written. Always fatal: going on could lose messages."""


class CorruptCheckpointError(CheckpointError):
    """A stored checkpoint is damaged or of an unknown format version; the message says where."""


class FencedError(CheckpointError):
    """A write carried an older epoch than the newest owner's; it has not taken effect."""


class StoreError(SamzaError):
    """A store was used against its declaration: another key than the message's, or a wrong type."""


class ContextClosedError(SamzaError):
    """A task context was used after the call it was made for had ended.

    Most often a child task started by a handler outlived it. Await it before returning.
    """


class TaskFailedError(SamzaError):
    """User code failed on one message and the policy is ``Fail()``; ``__cause__`` is its error.

    Args:
        task: the task's name, ``HANDLER/GROUP``.
        where: the source position, such as ``memory.orders[3] offset 881``.
        attempts: how many calls were made for the message.
        cause: the error in a few words.
        hint: what would let the job go on, where there is such a thing.
    """

    def __init__(self, task: str, where: str, attempts: int, cause: str, *, hint: str = "") -> None:
        tries = "" if attempts == 1 else f" after {attempts} attempts"
        super().__init__(f"task {task} failed at {where}{tries}: {cause}")
        self.task = task
        self.where = where
        self.attempts = attempts
        self.hint = hint


class StalledError(SamzaError):
    """Something did not end in its time; the message names the task and what it was doing."""


class ContainerError(SamzaError):
    """A part of the container outside any task failed; ``__cause__`` is the reason."""
