"""What user code gets and may raise: the context of a call, task classes, batch errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from samza_py.errors import ConfigError, SamzaError
from samza_py.message import Headers, Message
from samza_py.store import KeyValueStore, Store
from samza_py.system import Output
from samza_py.values import Duration

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")
KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


class TaskContext(ABC, Generic[R_co]):
    """What one call of a handler can do besides returning a result.

    Made new for every attempt and closed behind it: what an attempt sends, stores and schedules
    takes effect when it succeeds, and is as if never made when it fails. Using a closed context
    raises ``ContextClosedError``.
    """

    @property
    @abstractmethod
    def resources(self) -> R_co:
        """What the job's ``lifespan`` yielded; one object for the whole container."""

    @property
    @abstractmethod
    def task(self) -> str:
        """The task's name, ``HANDLER/GROUP``."""

    @property
    @abstractmethod
    def attempt(self) -> int:
        """1 for the first call for this message, 2 for the second, and so on."""

    @abstractmethod
    def send(
        self,
        output: Output[KeyT, ValueT],
        value: ValueT,
        *,
        key: KeyT | None = None,
        headers: Headers = (),
        timestamp_ms: int | None = None,
        partition: str | None = None,
        source: Message[Any, Any] | None = None,
    ) -> None:
        """Send a message to another output than the task's ``to``.

        Args:
            output: declared with the task (``outputs=[...]``, or its ``to``).
            value: encoded on the spot, so that a wrong value fails this call.
            key: None leaves the key out.
            headers: names and bytes.
            timestamp_ms: by default that of the input message.
            partition: the partition's id, to choose it; else the system's own partitioner does.
            source: in a batch task, and there alone, the message of the batch that this comes from:
                its policy decides what happens should the output refuse it later on.

        Raises:
            TypeError: a batch task did not name the source, or another one did.
            ConfigError: the output was not declared with the task.
            SerdeError: the value or key does not fit the output.
        """

    @abstractmethod
    def store(self, store: Store[KeyT, ValueT]) -> KeyValueStore[KeyT, ValueT]:
        """The entries of a declared store. Raises ``ConfigError`` where it was not declared."""

    @abstractmethod
    def set_timer(
        self, name: str, *, after: Duration | None = None, at_ms: int | None = None
    ) -> None:
        """Have ``on_timer`` called once, not before the given time; it survives restarts.

        Args:
            name: the timer's name in this task; setting it again moves it.
            after: from now on the wall clock.
            at_ms: or an absolute time in milliseconds since 1970.

        Raises:
            ConfigError: the task has no ``on_timer``, or not exactly one time was given.
        """

    @abstractmethod
    def cancel_timer(self, name: str) -> None:
        """Take a timer back; nothing happens where it is not set."""

    @abstractmethod
    def request_commit(self) -> None:
        """Ask for a commit of this task soon, before its interval is over."""

    @abstractmethod
    def request_stop(self) -> None:
        """Ask the container to stop as on SIGTERM: finish, commit, end with exit code 0."""


class StreamTask(Generic[K, V, R]):
    """A task as a class, for per-task state, timers and a hook at the end of the input.

    One object a task (not a job): made when the task starts, and made anew after an abort. Add it
    with ``job.add``. Each hook is an attempt like a message's: atomic, with its own context.
    """

    async def start(self, ctx: TaskContext[R]) -> None:
        """Called once before the first message; state is restored by then."""

    async def process(self, message: Message[K, V], ctx: TaskContext[R]) -> Any:
        """Called for each message; what it returns goes to the task's ``to``."""
        raise NotImplementedError

    async def on_timer(self, name: str, ctx: TaskContext[R]) -> Any:
        """Called when a timer of this name is due; never at the same time as ``process``."""
        raise NotImplementedError

    async def on_end(self, ctx: TaskContext[R]) -> Any:
        """Called once when every partition of the task is finite and has been read to its end."""

    async def close(self) -> None:
        """Called once when the task leaves this container, also after a failure. Sends nothing."""


class BatchFailed(SamzaError):
    """Raised by a batch handler to say which of its messages failed.

    The attempt is rolled back. The messages not named are run again as one batch; each named one
    goes by the error policy, and later messages of its key wait behind it.

    Args:
        errors: the error of each failed message, by its index in the batch.
    """

    def __init__(self, errors: Mapping[int, Exception]) -> None:
        if not errors:
            raise ConfigError("BatchFailed.errors", "names no message; return instead of raising")
        for index, error in cast("Mapping[object, object]", errors).items():
            if type(index) is not int or index < 0:
                why = "names messages by their index in the batch, from 0"
                raise ConfigError("BatchFailed.errors", why, index)
            if not isinstance(error, Exception):
                raise ConfigError("BatchFailed.errors", "gives each message an exception", error)
        super().__init__(f"{len(errors)} messages of the batch failed")
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """A number of calls that may run at once in a container, shared by all tasks given it.

    Args:
        calls: at least 1.
    """

    calls: int

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise ConfigError("Limit", "must allow at least 1 call at a time", self.calls)
