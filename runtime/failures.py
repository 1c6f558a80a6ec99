"""What becomes of a message that failed: the error policy, carried out.

The only place that reads a policy. Nothing is dropped without being counted and said.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from samza_py.errors import ConnectorError, TaskFailedError
from samza_py.message import Headers, Offset, Outgoing, Partition, Received, key_shown
from samza_py.policies import DeadLetter, ErrorPolicy, Retry, Skip, final_policy
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.sender import Sender
from samza_py.seam import seam

logger = logging.getLogger(__name__)

HEADER_OVERHEAD = 10
"""Bytes that a system may need to write down the lengths of a header."""

CUT_HEADERS = 256
"""Bytes of the headers that say that a dead letter's value was cut, and of its own lengths."""

SKIP_LOG_S = 1.0
LETTER_LOG_S = 10.0


_HOW_TO_GO_ON = (
    "to go on past such a message: on_error=Skip(), DeadLetter(output) or Retry(...) "
    "at the task or the job"
)


class _Throttle:
    """Lets a line through now and then, and counts those it kept back."""

    def __init__(self, every_s: float) -> None:
        self._every_ms = every_s * 1000
        self._kept_back = 0
        self._said_at_ms: int | None = None

    def more(self) -> str | None:
        """What to add to a line that may be said now; None where it is kept back."""
        now = seam().now_ms()
        if self._said_at_ms is not None and now - self._said_at_ms < self._every_ms:
            self._kept_back += 1
            return None
        more = f" (and {self._kept_back} more since)" if self._kept_back else ""
        self._said_at_ms, self._kept_back = now, 0
        return more


class Failures:
    """The error policies of one task.

    Args:
        scope: of the task.
        policies: the policy in force, by ``system.stream`` of the input.
        fail: called with an error that ends the job, from where nothing can be raised.
        max_bytes: the largest message an output takes, by output name.
        place_of: where a person finds a message, as ``Admin.place_of`` says it.
    """

    def __init__(
        self,
        scope: TaskScope,
        policies: Mapping[str, ErrorPolicy],
        fail: Callable[[TaskFailedError], None],
        max_bytes: Mapping[str, int],
        place_of: Callable[[Partition, Offset], Awaitable[str | None]],
    ) -> None:
        self._scope = scope
        self._policies = policies
        self._fail = fail
        self._max_bytes = max_bytes
        self._place_of = place_of
        self._skips = _Throttle(SKIP_LOG_S)
        self._letters = _Throttle(LETTER_LOG_S)

    def policy(self, partition: Partition) -> ErrorPolicy:
        """The policy for messages of a partition's stream."""
        return self._policies[f"{partition.system}.{partition.stream}"]

    def may_retry(self, message: Received, error: Exception, attempts: int) -> Retry | None:
        """The policy that wants another call after this many, or None."""
        policy = self.policy(message.partition)
        if not isinstance(policy, Retry) or attempts >= policy.attempts:
            return None
        return policy if isinstance(error, policy.on) else None

    async def settle(self, message: Received, error: Exception, attempts: int) -> None:
        """Do what the policy says when no further call is made.

        Args:
            message: the one that failed.
            error: why.
            attempts: calls made; 0 for what could not be decoded.

        Raises:
            TaskFailedError: the policy is ``Fail()``.
        """
        place = await self._place_of(message.partition, message.offset)
        kept = self._last_resort(message, error, attempts, place)
        if kept is not None:
            sender, letter = kept
            self._scope.keep(sender, letter, letter.size)

    def _last_resort(
        self, message: Received, error: Exception, attempts: int, place: str | None = None
    ) -> tuple[Sender, Outgoing] | None:
        """Skip, fail, or make the dead letter and say where it goes."""
        last = final_policy(self.policy(message.partition))
        if isinstance(last, DeadLetter):
            return self._dead_letter(last, message, error, attempts, place)
        where = message.where if place is None else f"{place} ({message.where})"
        where += key_shown(message)
        if isinstance(last, Skip):
            self._skip(message, where, error)
            return None
        raise self._failed(where, error, attempts) from error

    def rejected(self, message: Outgoing, error: ConnectorError, generation: int) -> None:
        """An output refused a message for good, long after its call succeeded.

        It goes by the policy of the input it came from, past the retries. Called by the outbox,
        so nothing is raised: what ends the job is handed to ``fail``.
        """
        source = message.source
        if message.dead or source is None:
            what = "a dead letter" if message.dead else "what a timer sent"
            where = "a hook" if source is None else source.where
            failed = TaskFailedError(self._scope.name, where, 1, f"{what} was rejected: {error}")
            failed.__cause__ = error
            self._fail(failed)
            return
        try:
            kept = self._last_resort(source, error, 1)
        except TaskFailedError as failed:
            self._fail(failed)
            return
        if kept is not None:
            # It must be durable before the commit that covers its source is written.
            sender, letter = kept
            sender.port.put([letter], letter.size, generation)
            self._scope.counters.sent += 1

    def _failed(self, where: str, error: Exception, attempts: int) -> TaskFailedError:
        name = type(error).__name__
        cause = f"{name}: {error}" if str(error) else name
        tries = max(attempts, 1)
        return TaskFailedError(self._scope.name, where, tries, cause, hint=_HOW_TO_GO_ON)

    def _skip(self, message: Received, where: str, error: Exception) -> None:
        self._scope.counters.skipped += 1
        more = self._skips.more()
        if more is not None:
            told = _fields(self._scope.name, message)
            logger.warning(
                "task %s skipped %s%s: %r", self._scope.name, where, more, error, extra=told
            )

    def _dead_letter(
        self,
        policy: DeadLetter,
        message: Received,
        error: Exception,
        attempts: int,
        place: str | None,
    ) -> tuple[Sender, Outgoing]:
        sender = self._scope.senders[str(policy.to)]
        limit = self._max_bytes.get(str(policy.to))
        task = self._scope.name
        letter = dead_letter(sender.stream, task, message, error, attempts, limit, place)
        self._scope.counters.dead += 1
        more = self._letters.more()
        if more is not None:
            where = message.where if place is None else place
            to, told = policy.to, _fields(task, message)
            logger.info("task %s sent %s to %s%s: %r", task, where, to, more, error, extra=told)
        return sender, letter


def _room(limit: int, key: bytes | None, headers: Headers) -> int:
    """What a limit leaves for the value, with the headers that say that it was cut."""
    around = sum(len(name.encode()) + len(data) + HEADER_OVERHEAD for name, data in headers)
    return max(0, limit - len(key or b"") - around - CUT_HEADERS)


def _fields(task: str, message: Received) -> dict[str, str]:
    """What a log record of a message carries beside its text."""
    return {"task": task, "partition": str(message.partition)}


def dead_letter(
    stream: str,
    task: str,
    message: Received,
    error: Exception,
    attempts: int,
    limit: int | None,
    place: str | None = None,
) -> Outgoing:
    """The dead letter for a message: its bytes unchanged, everything else in headers.

    Args:
        stream: the dead letter output's logical name.
        task: the task that failed.
        message: the source.
        error: why it failed.
        attempts: calls made.
        limit: bytes that the output takes; a longer value is cut and its length and SHA-256 kept.
        place: where a person finds the source, where that is known.
    """
    value = message.raw_value
    if value is not None and not isinstance(value, bytes):
        value = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    headers: list[tuple[str, bytes]] = [
        *message.headers,
        ("samza-task", task.encode()),
        ("samza-source", str(message.partition).encode()),
        ("samza-offset", message.offset.encode()),
        ("samza-attempts", str(attempts).encode()),
        ("samza-error-type", type(error).__qualname__.encode()),
        ("samza-error", str(error)[:4096].encode(errors="replace")),
    ]
    if place is not None:
        headers.append(("samza-place", place.encode(errors="replace")))
    room = None if limit is None else _room(limit, message.raw_key, headers)
    if value is not None and room is not None and len(value) > room:
        headers.append(("samza-truncated", b"true"))
        headers.append(("samza-length", str(len(value)).encode()))
        headers.append(("samza-sha256", hashlib.sha256(value).hexdigest().encode()))
        value = value[:room]
    return Outgoing(
        stream,
        message.raw_key,
        value,
        message.timestamp_ms,
        message,
        task.partition("/")[0],
        headers,
        dead=True,
    )
