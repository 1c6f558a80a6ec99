"""The client library, aiokafka, loaded when a client is opened. It has no types: all is ``Any``."""

from __future__ import annotations

import importlib
from typing import Any

from samza_py.errors import ConfigError


def library(module: str = "aiokafka") -> Any:
    """A module of aiokafka.

    Raises:
        ConfigError: it is not installed; says how to get it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "aiokafka":
            raise
        why = "needs aiokafka, which is not installed: pip install 'samza-py[kafka]'"
        raise ConfigError("connectors.kafka", why) from None
