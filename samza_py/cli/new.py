"""``samza-py new``: a commented job and a little input, which run as they stand."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from samza_py.cli.arguments import EXIT_OK
from samza_py.errors import ConfigError

_JOB = '''\
"""Prices orders: reads {data}, writes the folder {out}.

    samza-py run {file}        run it; Ctrl-C stops it in good order
    samza-py graph {file}      draw it
    samza-py check {file}      find what is wrong with it, running nothing

Run it twice: the second time there is nothing left to do, since the checkpoint says so.
Add a line to {data} and the run is refused, since files that were read may not
change; `--ignore-checkpoint` begins again. Topics, which grow, need neither.
"""

from dataclasses import dataclass
from pathlib import Path

from samza_py import DeadLetter, Job, Message, Retry
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints

HERE = Path(__file__).parent
PRICES = {{"apple": 0.4, "pear": 0.5, "plum": 0.2}}


@dataclass
class Order:
    """What a line of the input holds: wrong types are found before a handler sees them."""

    id: int
    item: str
    count: int


@dataclass
class PricedOrder:
    """What a line of the output holds."""

    id: int
    item: str
    total: float


# A system is where streams live. Making one opens nothing; running the job does. Another system is
# another import, such as `from samza_py.connectors.memory import Memory` for trying things out.
files = Files(root=str(HERE))

# A stream owns the type and the format of what is in it.
orders = files.jsonl("orders", "{data}", value=Order)
priced = files.jsonl_output("priced", "{out}", value=PricedOrder)
failed = files.dead_letters("failed", "{failed}")

# The name stands in the checkpoints: keep it, and a new version goes on where this one stopped.
# Without `checkpoints`, they are kept in a folder of your home, whose path is printed at the start.
job = Job("{job}", checkpoints=LocalCheckpoints(HERE / "{file_stem}-checkpoints.log"))


# A handler is called with one message at a time, in order. What it returns goes to `to`, and None
# sends nothing. What still fails after three calls goes to `failed` as it came; without `on_error`
# the job would stop there and say where.
@job.task(orders, to=priced, on_error=Retry(3, backoff="100ms", then=DeadLetter(failed)))
async def price(order: Message[None, Order]) -> PricedOrder:
    """One order in, one priced order out."""
    total = PRICES[order.value.item] * order.value.count
    print(f"order {{order.value.id}}: {{order.value.count}} x {{order.value.item}} = {{total:.2f}}")
    return PricedOrder(order.value.id, order.value.item, round(total, 2))


if __name__ == "__main__":
    job.run()
'''

_DATA = """\
{"id": 1, "item": "apple", "count": 3}
{"id": 2, "item": "pear", "count": 1}
{"id": 3, "item": "plum", "count": 12}
{"id": 4, "item": "durian", "count": 1}
{"id": 5, "item": "apple", "count": 2}
"""


def new(path: str) -> int:
    """Write a job file and its input, and say what to do with them.

    Args:
        path: of the job file; nothing is overwritten.

    Raises:
        ConfigError: one of the files exists, or cannot be written.
    """
    file = Path(path)
    if file.suffix != ".py":
        raise ConfigError("FILE.py", "must end in .py", path)
    name = re.sub(r"\W", "_", file.stem)
    if name in sys.stdlib_module_names:
        why = f"would hide Python's own module {name}; choose another name"
        raise ConfigError("FILE.py", why, path)
    data = file.with_name(f"{file.stem}-input.jsonl")
    for there in (file, data):
        if there.exists():
            raise ConfigError(
                "FILE.py", "exists already, nothing was written; choose another name", str(there)
            )
    text = _JOB.format(
        file=file.name,
        data=data.name,
        file_stem=file.stem,
        out=f"{file.stem}-output",
        failed=f"{file.stem}-failed",
        job=re.sub(r"[^\w.-]", "-", file.stem).lstrip("."),
    )
    try:
        # "x" again: nothing is overwritten, not even what appeared just now.
        for there, content in ((file, text), (data, _DATA)):
            with there.open("x", encoding="utf-8") as out:
                out.write(content)
    except OSError as error:
        cure = "" if file.parent.is_dir() else f"; make the folder first: mkdir -p {file.parent}"
        why = f"cannot be written: {error.strerror}{cure}"
        raise ConfigError("FILE.py", why, str(error.filename)) from error
    shown = shlex.quote(path)
    print(f"wrote {file} and {data}")
    print(f"  samza-py run {shown}      runs it: five orders, one of which cannot be priced")
    print(f"  samza-py graph {shown}    draws it")
    return EXIT_OK
