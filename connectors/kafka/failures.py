"""What goes wrong at a broker, in the words of samza-py: the one place that knows both."""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from samza_py.connectors.kafka.library import library
from samza_py.errors import ConnectorError, FencedError, RejectedError, SamzaError, UnavailableError

CLOSE_S: Final = 5.0
"""How long closing a client may take; with the brokers gone it can wait for ever."""

_REJECTED: Final = (
    "MessageSizeTooLargeError",
    "RecordTooLargeError",
    "RecordListTooLargeError",
    "InvalidTimestampError",
    "CorruptRecordException",
)
_FENCED: Final = ("ProducerFenced", "InvalidProducerEpoch")
#: Another try does not help, and people must do something.
_FATAL: Final = {
    "TopicAuthorizationFailedError": "may not use the topic (an ACL of the broker)",
    "GroupAuthorizationFailedError": "may not use the consumer group (an ACL of the broker)",
    "ClusterAuthorizationFailedError": "may not do this (an ACL of the broker)",
    "TransactionalIdAuthorizationFailed": "may not use the transactional id (an ACL of the broker)",
    "InvalidTopicError": "is refused: the topic's name is not a valid one",
    "UnsupportedVersionError": "is not understood: the broker's version is not supported",
    "UnsupportedCodecError": "needs a codec that is not installed: pip install 'samza-py[kafka]'",
    "AuthenticationFailedError": "is refused: wrong user or password",
    "SaslAuthenticationFailed": "is refused: wrong user or password",
    "UnsupportedSaslMechanismError": "is refused: the broker does not offer this SASL mechanism",
    "UnrecognizedBrokerVersion": "is not understood: the broker's version is not known",
    "IncompatibleBrokerVersion": "is not understood: the broker's version is not supported",
    "PolicyViolationError": "is refused by a policy of the broker",
    "InvalidConfigurationError": "is refused: a setting is not one that the broker takes",
    "InvalidPartitionsError": "is refused: the broker does not take this number of partitions",
    "InvalidReplicationFactorError": "is refused: the cluster has fewer brokers than replicas",
    "InvalidRequestError": "is refused: the broker does not take such a request",
}
#: Of these a client dies again and again, whatever the brokers do.
_BUGS: Final = (TypeError, AssertionError, OverflowError, struct.error)
INVALID_RECORD: Final = 87
"""A code that aiokafka has no class for: it makes UnknownError of it."""


def is_fatal(error: BaseException) -> bool:
    """Whether people must see to it, and ``refused`` has words for it."""
    kind = type(error).__name__
    if kind == "InvalidReplicationFactorError":
        # A cluster knows its brokers also while they are away, and counts those. What else it
        # says ("all brokers are currently fenced", or, with ZooKeeper, "larger than available
        # brokers") is of this moment: they may be starting.
        return "registered" in str(error)
    return kind in _FATAL


def refused(error: BaseException, what: str) -> ConnectorError:
    """The error for something that people must see to, such as a missing right."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectorError(f"{what}: its certificate is not trusted: {error.verify_message}")
    return ConnectorError(f"{what} {_FATAL.get(type(error).__name__, 'failed')}; {error}")


def translated(error: BaseException, what: str) -> SamzaError:
    """The error of samza-py for one of the client library, or for a deadline that is over.

    Args:
        error: what was raised.
        what: what was asked, with the address: ``reading kafka.orders[3] at host:9092``.
    """
    if isinstance(error, SamzaError):
        return error
    kind, said = type(error).__name__, str(error) or type(error).__name__
    # The words are those of ``brokers.failed``; a number elsewhere may be a port or a name.
    if kind in _REJECTED or said.endswith(f"UnknownError: error code {INVALID_RECORD}"):
        return RejectedError(f"{what}: {said}")
    if kind in _FENCED:
        return FencedError(f"{what}: a newer owner has taken over ({said})")
    if is_fatal(error) or isinstance(error, ssl.SSLCertVerificationError):
        return refused(error, what)
    away = (library("aiokafka.errors").KafkaError, OSError, asyncio.CancelledError)
    if not isinstance(error, away):
        return ConnectorError(f"{what}: {said}")
    # A deadline that is over has no text of its own.
    return UnavailableError(f"{what}: {said if str(error) else 'no answer in time'}")


def died_of(task: asyncio.Future[Any]) -> BaseException | None:
    """What ended a task of the library, below what it wraps that in."""
    error = None if task.cancelled() else task.exception()
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    return error


def death(error: BaseException | None, what: str) -> SamzaError:
    """The error for a client that one try after the other dies of."""
    said = f"{what}: its client has died again: {error!r}"
    return ConnectorError(said) if isinstance(error, _BUGS) else UnavailableError(said)


def unreached(error: Exception, said: Sequence[Exception], what: str) -> SamzaError:
    """The error for a client that could not connect.

    Args:
        error: what it raised, which is the same for all reasons.
        said: what it has said of each broker that it tried.
        what: what was tried.
    """
    reasons = [translated(reason, what) for reason in said] or [translated(error, what)]
    # That one broker is away tells less than that another one refuses us.
    refusals = [one for one in reasons if not isinstance(one, UnavailableError)]
    return (refusals or reasons)[0]


@contextmanager
def asking(what: str) -> Generator[None]:
    """Raise what ``translated`` makes of any error inside; a cancellation stays one."""
    try:
        yield
    except Exception as error:
        raised = translated(error, what)
        if raised is error:
            raise
        raise raised from error


async def closed(client: Any, logger: logging.Logger, name: str) -> None:
    """Stop a client of aiokafka within ``CLOSE_S``, whatever it meets.

    With the brokers gone, ``stop`` of a consumer may raise a cancellation that nobody asked for,
    and that of a producer may wait for ever; the connections are closed all the same.
    """
    stop = client.close if hasattr(client, "close") else client.stop
    stopping = asyncio.ensure_future(stop())
    clean = False
    try:
        await asyncio.wait((stopping,), timeout=CLOSE_S)
    finally:
        if not stopping.done():
            stopping.cancel()
        elif stopping.cancelled() or stopping.exception() is not None:
            logger.debug("closing %s failed", name)
        else:
            clean = True
        connection = getattr(client, "_client", None) or getattr(client, "client", None)
        if connection is not None and not clean:
            await asyncio.wait((asyncio.ensure_future(connection.close()),), timeout=CLOSE_S)
