"""Takes whatever it is given, in a format and by a policy that the environment chooses."""

from __future__ import annotations

import itertools
import os
from typing import Any, Literal

import msgspec

from samza_py import DeadLetter, ErrorPolicy, Fail, Job, Message, Retry, Skip, TaskContext
from samza_py.connectors.files import Files
from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.local import LocalCheckpoints

FOLDER = os.environ["CAMPAIGN_FOLDER"]
FORMAT = os.environ.get("CAMPAIGN_FORMAT", "jsonl")
POLICY = os.environ.get("CAMPAIGN_POLICY", "dead")
GROUPING: Literal["partition", "all"] = (
    "all" if os.environ.get("CAMPAIGN_GROUPING") == "all" else "partition"
)


class Item(msgspec.Struct):
    """What most lines hold."""

    number: int
    poison: bool = False


files = Files(root=FOLDER)
limits: dict[str, Any] = msgspec.json.decode(os.environ.get("CAMPAIGN_LIMITS", "{}"))
made: Any = {"jsonl": files.jsonl, "csv": files.csv}[FORMAT]
anything = os.environ.get("CAMPAIGN_VALUE") == "any"
items: FileInput[Any] = made("items", "in", value=dict if anything else Item, **limits)
echoes = files.jsonl_output("echoes", "out/echoes", value=dict[str, Any])
dead = files.jsonl_output("dead", "out/dead", value=bytes)
policies: dict[str, ErrorPolicy] = {
    "fail": Fail(),
    "skip": Skip(),
    "dead": DeadLetter(dead),
    "retry": Retry(3, backoff="20ms", then=DeadLetter(dead)),
    "retry-fail": Retry(3, backoff="20ms"),
}
job = Job(
    "accepting",
    checkpoints=LocalCheckpoints(f"{FOLDER}/state/checkpoints.log"),
    guarantee="exactly_once",
    on_error=policies[POLICY],
    commit_interval="50ms",
)
sequence = itertools.count(1)


@job.task(items, to=echoes, grouping=GROUPING, order="partition")
async def echo(message: Message[None, Any], ctx: TaskContext[None]) -> dict[str, Any]:
    """Give back what is known of a message; fail where it is asked for."""
    value = message.value
    if isinstance(value, Item):
        if value.poison:
            raise ValueError(f"poison at attempt {ctx.attempt}")
        return {"number": value.number, "sequence": next(sequence)}
    return {"fields": len(value), "bytes": len(message.raw_value)}
