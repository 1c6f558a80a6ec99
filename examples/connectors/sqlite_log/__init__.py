"""A connector to read before writing one: an append-only log in SQLite.

    log = SqliteLog("shop.db")
    orders = log.stream("orders", key=str, value=Order, partitions=4)

Read it in this order: ``system`` (what a job file names), ``admin`` (what is asked while
starting), ``consumer``, ``producer``, and ``database`` (the SQL, and how it is kept off the loop).
Everything hard (batching, retries, checkpoints, order after a failure, dead letters) is the
runtime's. What is left is to say truthfully what the service did.
``docs/connectors/write-your-own.md`` walks through it. That it keeps its promises is checked by the
conformance suite in ``tests/conformance/test_example.py``.
"""

from examples.connectors.sqlite_log.system import SqliteLog as SqliteLog
from examples.connectors.sqlite_log.system import SqliteStream as SqliteStream
