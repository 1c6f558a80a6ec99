"""One message from raw bytes to finished or failed: decode, call, retry, policy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from samza_py.errors import SerdeError
from samza_py.message import Message, Outgoing, Received, Record, Undecodable
from samza_py.policies import Retry
from samza_py.runtime.attempt import StaleReadError, too_much
from samza_py.runtime.calling import Caller, no_output
from samza_py.runtime.failures import Failures
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.sender import Sender
from samza_py.runtime.watch import Watched
from samza_py.seam import seam
from samza_py.system import Input


class LeftUnread(Exception):
    """The task stops while a message waits in a backoff: it is left for the next start."""


class Codec:
    """How the messages of one input are decoded, and how their keys go to the output.

    Args:
        source: the input.
        to: the sender of the task's ``to``, or None.
    """

    __slots__ = (
        "_key_content",
        "_nullable",
        "_value_content",
        "decode_key",
        "decode_value",
        "encode_key",
    )

    def __init__(self, source: Input[Any, Any], to: Sender | None) -> None:
        self.decode_key: Callable[[Any], Any] = source.key_serde.decoder()
        self.decode_value: Callable[[Any], Any] = source.value_serde.decoder()
        self._nullable = source.value_serde.nullable
        self._value_content = source.value_serde
        raw = to is None or to.keeps_raw_key(source.key_serde)
        #: None where the key's bytes are passed on as they came.
        self.encode_key: Callable[[Any], Any] | None = None if raw or to is None else to.encode_key

    def fill(self, message: Any) -> bool:
        """Fill in key and value where they are there and decode; else ``decode`` says why not.

        What came as ``Undecodable`` has no place for them, which is one of the failures here.
        """
        try:
            raw_key, raw_value = message.raw_key, message.raw_value
            if raw_key is not None:
                message.key = self.decode_key(raw_key)
            if raw_value is None:
                return False
            message.value = self.decode_value(raw_value)
        except Exception:
            return False
        return True

    def decode(self, message: Received) -> Message[Any, Any]:
        """Fill in key and value. Raises ``SerdeError``."""
        if isinstance(message, Undecodable):
            raise message.error
        try:
            raw_key = message.raw_key
            message.key = None if raw_key is None else self.decode_key(raw_key)
            if message.raw_value is None and self._nullable:
                message.value = None
            elif message.raw_value is None:
                raise SerdeError(
                    f"there is no value (a tombstone), which {self._value_content!r} does not allow"
                )
            else:
                message.value = self.decode_value(message.raw_value)
        except SerdeError:
            raise
        except Exception as error:
            raise SerdeError(f"{type(error).__name__}: {error}") from error
        return message

    def key_for_output(self, message: Message[Any, Any]) -> bytes | None:
        """The key's bytes as the output wants them. Raises what its encoder raises."""
        if self.encode_key is None or message.raw_key is None:
            return message.raw_key
        encoded: bytes = self.encode_key(message.key)
        return encoded


class Processor:
    """Takes single messages of one task through all that may happen to them.

    Args:
        scope: of the task.
        caller: calls its handler.
        failures: carries its policies out.
    """

    def __init__(self, scope: TaskScope, caller: Caller, failures: Failures) -> None:
        self._scope = scope
        self._caller = caller
        self.failures = failures

    async def process(self, message: Received, codec: Codec, watched: Watched) -> None:
        """Finish a message, one way or another.

        Runners call a plain or async handler themselves, where nothing stands in the way of it:
        each function on the way to a handler costs its share again whenever the handler waits.

        Raises:
            TaskFailedError: the policy is ``Fail()``.
            LeftUnread: the task stops while the message waits for another attempt.
        """
        if self._scope.condemned and await self._is_settled(message):
            return
        try:
            decoded = codec.decode(message)
        except SerdeError as error:
            await self.failures.settle(message, error, 0)
            return
        await self.attempts(decoded, codec, watched, 0, None)

    async def _is_settled(self, message: Received) -> bool:
        """Whether an output had decided on the message before a rollback; it is settled then."""
        error = self._scope.condemned.get((message.partition, message.offset))
        if error is not None:
            await self.failures.settle(message, error, 1)
        return error is not None

    def send(self, result: Any, message: Message[Any, Any], codec: Codec) -> None:
        """Send the one value of a call without a context, which is all its effect.

        Written out for a value of a type that the output has taken before.
        """
        if result is None:
            return
        scope, to = self._scope, self._caller.to
        if to is None:
            raise no_output(scope.spec, result)
        key = message.raw_key
        if codec.encode_key is not None and key is not None:
            key = codec.encode_key(message.key)
        kind = type(result)
        if kind is Record or kind not in to.taken:
            outgoing = to.result(result, message, key, 0)
            data = None
        else:
            try:
                data = to.encode_value(result)
            except Exception as error:
                raise to.misfit(error) from error
            outgoing = Outgoing(to.stream, key, data, message.timestamp_ms, message, to.handler)
        if type(data) is bytes:
            size = len(data) if key is None else len(data) + len(key)
        else:
            size = outgoing.size
        if size > scope.max_attempt_bytes:
            raise too_much(scope)
        pending = to.pending
        pending.append(outgoing)
        total = to.pending_bytes = to.pending_bytes + size
        if len(pending) >= to.room_messages or total >= to.room_bytes:
            scope.attention = True

    async def first_failed(
        self, message: Message[Any, Any], codec: Codec, watched: Watched, error: BaseException
    ) -> None:
        """Go on where the first call of a handler has failed.

        Args:
            message: decoded.
            codec: of its input.
            watched: notes the calls.
            error: what ``ended_call`` makes of the failure.

        Raises:
            BaseException: as ``process``; and the error where it is none that a policy handles.
        """
        if isinstance(error, StaleReadError):
            await self.attempts(message, codec, watched, 0, None)
        elif isinstance(error, Exception):
            await self.attempts(message, codec, watched, 1, error)
        else:
            raise error

    async def attempts(
        self,
        message: Message[Any, Any],
        codec: Codec,
        watched: Watched,
        made: int,
        error: Exception | None,
    ) -> None:
        """Call the handler until it succeeds or the policy has had enough.

        Args:
            message: decoded.
            codec: of its input.
            watched: notes the calls.
            made: calls made before.
            error: of the last of them, None where none was made.
        """
        while True:
            if error is not None:
                retry = self.failures.may_retry(message, error, made)
                if retry is None:
                    await self.failures.settle(message, error, made)
                    return
                await self._back_off(retry, made)
                self._scope.counters.retries += 1
            made += 1
            try:
                key = codec.key_for_output(message)
                await self._call(message, made, key, watched)
            except Exception as failed:
                error = failed
            else:
                self._scope.counters.handled += 1
                return

    async def _call(
        self, message: Message[Any, Any], number: int, key: bytes | None, watched: Watched
    ) -> None:
        while True:
            try:
                await self._caller.call(message, number, key, watched)
            except StaleReadError:
                continue
            return

    async def _back_off(self, retry: Retry, made: int) -> None:
        """Wait before the next attempt; a stop ends the wait and leaves the message unread."""
        wait = retry.wait_s(made, seam().random.random())
        await asyncio.wait((self._scope.stopped(),), timeout=wait)
        if self._scope.stopping:
            raise LeftUnread
