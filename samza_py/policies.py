"""What happens to a message that fails: values that say it, and nothing that does it.

    Fail()                    stop the job, naming the message (the default)
    Skip()                    count it and go on
    DeadLetter(to)            send it to another stream with its origin and its error, go on
    Retry(3, backoff="200ms", then=DeadLetter(to))

The policy of an input beats that of its task, which beats the job's. A record that cannot be
decoded skips the retries, as it would fail again, and so does a result that an output rejects
late. Flat and closed on purpose: one ``match`` in the runtime covers all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from samza_py.errors import ConfigError
from samza_py.system import Output
from samza_py.values import Duration, seconds


@dataclass(frozen=True, slots=True)
class Fail:
    """Stop the job at this message. Nothing after it in its order is committed."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Count the message as skipped and go on. Its error is logged once a second at most."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Send the message's original bytes to another output and go on.

    Args:
        to: an output that takes bytes. The key and value are the source's bytes unchanged; where
            it came from and what went wrong stand in ``samza-*`` headers.

    Raises:
        ConfigError: it is no output.
    """

    to: Output[Any, Any]

    def __post_init__(self) -> None:
        # Not everybody runs a type checker.
        if not isinstance(cast("object", self.to), Output):
            why = "takes the output object that was declared, such as files.dead_letters(...)"
            raise ConfigError("DeadLetter.to", why, self.to)


LastResort: TypeAlias = Fail | Skip | DeadLetter


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Call the handler again, with growing waits, and then do something else.

    Args:
        attempts: how many calls in all, the first one included; at least 1.
        backoff: the wait before the second call; it doubles with each further one and is
            shortened at random by up to a half, so that many tasks do not knock at once.
        max_backoff: the longest wait.
        on: the exceptions worth another call; others go straight to ``then``.
        then: what happens when the attempts are used up.

    Raises:
        ConfigError: a bound is broken.
    """

    attempts: int
    backoff_s: float
    max_backoff_s: float
    on: tuple[type[Exception], ...]
    then: LastResort

    def __init__(
        self,
        attempts: int,
        backoff: Duration = "200ms",
        *,
        max_backoff: Duration = "30s",
        on: tuple[type[Exception], ...] = (Exception,),
        then: LastResort | None = None,
    ) -> None:
        number = cast("object", attempts)
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            why = "is a number that counts the first call too, so at least 1"
            raise ConfigError("Retry.attempts", why, attempts)
        if then is not None and not isinstance(cast("object", then), Fail | Skip | DeadLetter):
            raise ConfigError("Retry.then", "must be Fail(), Skip() or DeadLetter(...)", then)
        if not isinstance(cast("object", on), tuple) or not all(map(_is_exception, on)):
            why = "takes a tuple of exception classes, such as (OSError, TimeoutError)"
            raise ConfigError("Retry.on", why, on)
        put = object.__setattr__
        put(self, "attempts", attempts)
        put(self, "backoff_s", seconds(backoff, "Retry.backoff"))
        put(self, "max_backoff_s", seconds(max_backoff, "Retry.max_backoff"))
        put(self, "on", on)
        put(self, "then", then if then is not None else Fail())

    def wait_s(self, attempt: int, chance: float) -> float:
        """Seconds to wait after the given attempt (from 1) failed; ``chance`` is in [0, 1)."""
        longest = min(self.max_backoff_s, self.backoff_s * 2.0 ** min(attempt - 1, 30))
        return longest * (1.0 - chance / 2.0)


def _is_exception(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


ErrorPolicy: TypeAlias = Fail | Skip | DeadLetter | Retry


def final_policy(policy: ErrorPolicy) -> LastResort:
    """What a policy comes to when another attempt would not help."""
    return policy.then if isinstance(policy, Retry) else policy
