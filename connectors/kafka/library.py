"""The client library, aiokafka, loaded when a client is opened. It has no types: all is ``Any``."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

from samza_py.errors import ConfigError

_MAKES: Final = "allow_auto_topic_creation"


class _Listener:
    """Who listens within a block; afterwards nobody does.

    What the block has started, as a client its children, has the block's context for as long as it
    lives, and would go on to add what it logs.
    """

    def __init__(self, heard: list[Exception]) -> None:
        self.heard: list[Exception] | None = heard


_listener: Final[ContextVar[_Listener | None]] = ContextVar("kafka_complaints", default=None)


class _Complaints(logging.Handler):
    """Takes what the library logs, and keeps the errors in it for whoever listens.

    The library says why it could not connect in its log alone; what it raises is the same for a
    broker that is away, a wrong password and a certificate that nobody trusts.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the errors among the arguments."""
        listener = _listener.get()
        heard = None if listener is None else listener.heard
        if heard is not None and isinstance(record.args, tuple):
            heard += [said for said in record.args if isinstance(said, Exception)]


def library(module: str = "aiokafka") -> Any:
    """A module of aiokafka.

    The library logs every failed try of every client, many a second while a broker is away. What
    has to be said of an outage is said once, by us. Where the logger ``aiokafka`` has a level or a
    handler of the user's, it is left alone.

    Raises:
        ConfigError: it is not installed; says how to get it.
    """
    listen(logging.getLogger("aiokafka"))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "aiokafka":
            raise
        why = "needs aiokafka, which is not installed: pip install 'samza-py[kafka]'"
        raise ConfigError("connectors.kafka", why) from None


def connection_of(client: Any) -> Any:
    """What a consumer, producer or admin of the library asks the brokers with."""
    return getattr(client, "_client", None) or getattr(client, "client", None)


def makes_no_topics(client: Any) -> None:
    """Have a consumer, producer or admin of the library ask for topics without making them.

    It asks again and again for a topic that was deleted, and brokers make what is asked for, unless
    they are told otherwise (``auto.create.topics.enable``, or the question itself). The library has
    no setting for it. So its method is run with a request of our making, in this client alone:
    others in the process may be the user's. A version that looks different inside is left alone.
    """
    connection = connection_of(client)
    method: Any = getattr(connection, "_metadata_update", None)
    plain: Any = getattr(method, "__func__", None)
    request: Any = getattr(plain, "__globals__", {}).get("MetadataRequest")
    if request is None or _MAKES not in inspect.signature(request).parameters:
        return
    names = {**plain.__globals__, "MetadataRequest": partial(request, **{_MAKES: False})}
    ours = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__)
    connection._metadata_update = MethodType(ours, connection)


def listen(logger: logging.Logger) -> None:
    """Hear what the library logs, and keep it from the log; not where users have set it up."""
    theirs = [one for one in logger.handlers if not isinstance(one, logging.NullHandler)]
    if logger.level == logging.NOTSET and not theirs:
        logger.addHandler(_Complaints())
        logger.propagate = False


@contextmanager
def complaints() -> Generator[list[Exception]]:
    """The errors that the library logs within this block, in the order of their coming."""
    heard: list[Exception] = []
    listener = _Listener(heard)
    token = _listener.set(listener)
    try:
        yield heard
    finally:
        _listener.reset(token)
        listener.heard = None
