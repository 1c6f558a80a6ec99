"""The client library, aiokafka, loaded when a client is opened. It has no types: all is ``Any``."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from samza_py.errors import ConfigError


def library(module: str = "aiokafka") -> Any:
    """A module of aiokafka.

    The library logs every failed try of every client, many a second while a broker is away. What
    has to be said of an outage is said once, by us; a level set on the logger ``aiokafka`` stays.

    Raises:
        ConfigError: it is not installed; says how to get it.
    """
    logger = logging.getLogger("aiokafka")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "aiokafka":
            raise
        why = "needs aiokafka, which is not installed: pip install 'samza-py[kafka]'"
        raise ConfigError("connectors.kafka", why) from None
