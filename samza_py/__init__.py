"""A stream processor in Python: Apache Samza's model on one asyncio loop.

Everything a job file needs stands here; systems come from ``samza_py.connectors.<system>``.
"""

from samza_py import interruption as interruption  # what counts is that it is first

# isort: split
from samza_py.admin import AtOffset, AtTime, Newest, Oldest
from samza_py.errors import (
    CheckpointError,
    ConfigError,
    ConnectorError,
    ContextClosedError,
    PositionLostError,
    SamzaError,
    SerdeError,
    StoreError,
    TaskFailedError,
)
from samza_py.job import Job
from samza_py.message import Message, Partition, Record
from samza_py.policies import DeadLetter, ErrorPolicy, Fail, Retry, Skip
from samza_py.serde import Json, Raw, Row, Serde, Text
from samza_py.store import KeyValueStore, Store
from samza_py.system import Input, Output, Stream, System
from samza_py.task import BatchFailed, Limit, StreamTask, TaskContext
from samza_py.values import Secret

__version__ = "0.1.0"

__all__ = [
    "AtOffset",
    "AtTime",
    "BatchFailed",
    "CheckpointError",
    "ConfigError",
    "ConnectorError",
    "ContextClosedError",
    "DeadLetter",
    "ErrorPolicy",
    "Fail",
    "Input",
    "Job",
    "Json",
    "KeyValueStore",
    "Limit",
    "Message",
    "Newest",
    "Oldest",
    "Output",
    "Partition",
    "PositionLostError",
    "Raw",
    "Record",
    "Retry",
    "Row",
    "SamzaError",
    "Secret",
    "Serde",
    "SerdeError",
    "Skip",
    "Store",
    "StoreError",
    "Stream",
    "StreamTask",
    "System",
    "TaskContext",
    "TaskFailedError",
    "Text",
    "__version__",
]
