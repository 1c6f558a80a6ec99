"""What lies in the outputs: shown, staged under a checkpoint's tokens, or left over."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

from samza_py.connectors.memory import Broker
from samza_py.connectors.memory.log import Log
from samza_py.message import Headers
from tests.simulator.scenario import Scenario


class Records:
    """The records of outputs A, B and D.

    Args:
        scenario: which output is where.
        broker: what holds them.
    """

    def __init__(self, scenario: Scenario, broker: Broker) -> None:
        self._scenario = scenario
        self._broker = broker

    def count(self, handler: str, tokens: Mapping[str, list[str]]) -> dict[str, Counter[str]]:
        """How often each record of a handler is there, by output.

        Counted are those that are shown or stand in the transaction that is being committed, and
        those that these tokens name. A dead letter is named ``HANDLER|PARTITION/OFFSET|D``.
        """
        prefix = f"{handler}|"
        counts: dict[str, Counter[str]] = {}
        for output in "ABD":
            names = [name for log in self._logs(output) for name in self._names(output, log)]
            names += self._staged(output, tokens)
            counts[output] = Counter(name for name in names if name.startswith(prefix))
        return counts

    def sequences(self, handler: str, output: str) -> Iterator[list[str]]:
        """The messages that the records of each partition come from, in their order.

        Where records may repeat, only the first ones count.
        """
        once = self._scenario.once(output)
        for log in self._logs(output):
            found: dict[str, list[str]] = {}
            for name in self._names(output, log):
                owner, source, tag = name.split("|")
                if owner == handler and tag[0] == output:
                    names = found.setdefault(tag, [])
                    if once or source not in names:
                        names.append(source)
            yield from found.values()

    def staged(self, tokens: Mapping[str, list[str]]) -> bool:
        """Whether any of these tokens is not finished."""
        return any(self._staged(output, tokens) for output in "ABD")

    def leftovers(self) -> Iterator[str]:
        """What should have been finished or taken away, and was not."""
        for number, staged in self._broker.staged.items():
            # What a container stages after its task has a new owner, only the next one finds.
            if staged.epoch >= self._broker.epochs.get(staged.owner, 0):
                yield f"stage {number} of {staged.owner} is left over"
        for output in "ABD":
            for log in self._logs(output):
                if log._open:
                    yield f"a transaction is left open in output {output}"

    def _logs(self, output: str) -> list[Log]:
        return list(self._broker.topic(output).logs.values())

    def _names(self, output: str, log: Log) -> Iterator[str]:
        hidden = {at for first, last in log._hidden for at in range(first, last + 1)}
        for at in range(log.end - log.base):
            if at + log.base not in hidden:
                yield _name(output, log._values[at], log._headers[at])

    def _staged(self, output: str, tokens: Mapping[str, list[str]]) -> list[str]:
        names: list[str] = []
        for stream, some in tokens.items():
            if stream.endswith(f".{output}"):
                for token in some:
                    staged = self._broker.staged.get(json.loads(token)["id"])
                    if staged is not None:
                        names += [_name(output, m.value, m.headers) for m in staged.messages]
        return names


def _name(output: str, value: bytes, headers: Headers) -> str:
    if output != "D":
        return value.decode()
    found = dict(headers)
    handler = found["samza-task"].decode().partition("/")[0]
    partition = found["samza-source"].decode().partition("[")[2].rstrip("]")
    return f"{handler}|{partition}/{found['samza-offset'].decode()}|D"
