"""How a handler of any style is called once, as an attempt."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from samza_py.errors import TaskFailedError
from samza_py.message import Message
from samza_py.runtime.attempt import Attempt
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.sender import Sender
from samza_py.runtime.watch import Watched
from samza_py.seam import seam
from samza_py.specification import TaskSpec


class CallTimeoutError(TimeoutError):
    """A call took longer than the task's ``timeout``."""


class HandlerCancelledError(Exception):
    """A handler ended with ``CancelledError`` although nobody had cancelled the task."""


class Caller:
    """Calls the handler of one task.

    Args:
        scope: of the task.
        handler: the function, or the bound ``process`` of the task's object.
        threads: the pool for ``blocking=True``.
        limit: of calls at once, shared with other tasks.
    """

    def __init__(
        self,
        scope: TaskScope,
        handler: Callable[..., Any],
        threads: Executor,
        limit: asyncio.Semaphore | None,
    ) -> None:
        self.scope = scope
        self.handler = handler
        self.takes_context = scope.spec.takes_context
        self.is_async = scope.spec.style == "async"
        #: Called straight away: no thread, no permit, nothing to iterate over.
        self.direct = (
            scope.spec.kind != "batch"
            and scope.spec.style in ("plain", "async")
            and not scope.spec.blocking
            and limit is None
        )
        #: Types of results that are values, not something that gives values.
        self.values: set[type] = {type(None)}
        self.to: Sender | None = None if scope.spec.to is None else scope.sender(scope.spec.to)
        self._threads = threads
        self._limit = limit

    async def call(
        self, message: Message[Any, Any], number: int, key: bytes | None, watched: Watched
    ) -> None:
        """Call the handler for a decoded message; its effects are there when this returns.

        Args:
            message: key and value are decoded.
            number: of the attempt, from 1.
            key: the key as its bytes for the output.
            watched: notes the call.

        Raises:
            Exception: whatever the handler raises, ``CallTimeoutError``, or a serde's error;
                nothing has happened then.
            StaleReadError: run it again.
        """
        attempt = Attempt(self.scope, message, number, batch=self.scope.spec.kind == "batch")
        try:
            if self._limit is None:
                await self._guarded(message, attempt, key, watched)
            else:
                async with self._limit:
                    await self._guarded(message, attempt, key, watched)
            attempt.take_effect()
        finally:
            attempt.closed = True

    async def _guarded(
        self, message: Message[Any, Any], attempt: Attempt, key: bytes | None, watched: Watched
    ) -> None:
        watched.begin_again(message)
        try:
            await self.unfold(self._start(message, attempt), message, attempt, key)
            if watched.timed_out is not None:
                watched.take_timeout()  # too late: the call has succeeded
        except (Exception, asyncio.CancelledError) as error:
            ended = ended_call(watched, self.scope.spec, error)
            if ended is error:
                raise
            raise ended from error
        finally:
            watched.calling = None

    def _start(self, message: Any, attempt: Attempt) -> Any:
        args = (message, attempt) if self.takes_context else (message,)
        if self.scope.spec.blocking:
            return seam().in_pool(self._threads, self.handler, *args)
        return self.handler(*args)

    async def unfold(
        self, result: Any, message: Message[Any, Any], attempt: Attempt, key: bytes | None
    ) -> None:
        """Take what a handler gave, whatever its style, into the attempt: only yields fan out."""
        if result is None:
            return
        if inspect.isawaitable(result):
            await self.unfold(await result, message, attempt, key)
        elif inspect.isasyncgen(result):
            async for one in result:
                self.keep(one, message, attempt, key)
        elif inspect.isgenerator(result):
            for one in result:
                self.keep(one, message, attempt, key)
        else:
            self.keep(result, message, attempt, key)

    def is_value(self, result: Any) -> bool:
        """Whether a result is one value; remembered by its type in ``values``."""
        if unfolds(result):
            return False
        self.values.add(type(result))
        return True

    def keep(
        self, one: Any, message: Message[Any, Any], attempt: Attempt, key: bytes | None
    ) -> None:
        """Take one result into the attempt; None sends nothing."""
        if one is None:
            return
        to = self.to
        if to is None:
            raise no_output(self.scope.spec, one)
        attempt.keep(to, to.result(one, message, key, attempt.number))

    async def hook(
        self,
        what: str,
        hook: Callable[..., Any],
        *args: Any,
        watched: Watched,
        spends: str | None = None,
    ) -> None:
        """Call a task object's ``start``, ``on_timer`` or ``on_end`` as an attempt of its own.

        Args:
            what: names it in an error, and where it hangs.
            hook: the method.
            args: what it takes besides the context.
            watched: notes the call.
            spends: a timer that is gone once the call has succeeded, unless the call sets it anew.

        Raises:
            TaskFailedError: it failed; hooks have no message that a policy could send elsewhere.
        """
        attempt = Attempt(self.scope, None)
        if spends is not None:
            attempt.cancel_timer(spends)
        blank: Message[Any, Any] = Message(*_NOWHERE)
        watched.calling = what
        try:
            await self.unfold(hook(*args, attempt), blank, attempt, None)
            if attempt.sends is not None:
                for _, message, _ in attempt.sends:
                    message.source = None
            attempt.take_effect()
        except Exception as error:
            cause = f"{type(error).__name__}: {error}"
            raise TaskFailedError(self.scope.name, what, 1, cause) from error
        finally:
            watched.calling = None
            attempt.closed = True
        self.scope.dirty = True


_NOWHERE: Any = (None, "", None, None)


def ended_call(watched: Watched, spec: TaskSpec, error: BaseException) -> BaseException:
    """What an exception out of a handler means: its own, a timeout, or the task being stopped."""
    if watched.timed_out is not None and watched.take_timeout():
        return CallTimeoutError(f"the call took longer than timeout={spec.timeout_s:g} s")
    if not isinstance(error, asyncio.CancelledError):
        return error
    child = asyncio.current_task()
    if child is not None and child.cancelling() > 0:
        return error
    return HandlerCancelledError(
        "the handler raised CancelledError, though nobody had cancelled it"
    )


def unfolds(result: object) -> bool:
    """Whether a result is not a value itself, but gives some."""
    return inspect.isawaitable(result) or inspect.isasyncgen(result) or inspect.isgenerator(result)


def no_output(spec: TaskSpec, value: object) -> TypeError:
    """The error for a result that has nowhere to go."""
    return TypeError(
        f"the handler of task {spec.name} returned {type(value).__name__}, but the task has "
        "no to=; "
        "add an output or return None"
    )
