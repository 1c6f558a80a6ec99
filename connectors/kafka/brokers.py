"""Single requests to the brokers of a cluster: one answer to one question, within a deadline.

aiokafka's own clients answer some of these by waiting for ever (the end of a topic that is not
there), and retry where we must know whether the first try had an effect. What is asked here goes
out once, unless the broker says that it did nothing because it does not lead the partition.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.failures import asking
from samza_py.connectors.kafka.library import library
from samza_py.seam import seam

T = TypeVar("T")

AGAIN_S: Final = 0.1
"""How long to wait before a question is asked again at another broker."""

CONNECTION_SHARE: Final = 0.9
"""After this share of the request timeout the connection that has not answered is closed."""

EARLIEST: Final = -2
LATEST: Final = -1
NO_OFFSET: Final = -1
#: The broker has done nothing: it does not lead what was asked about, or not yet.
ELSEWHERE: Final = (
    "NotLeaderForPartitionError",
    "LeaderNotAvailableError",
    "ReplicaNotAvailableError",
    "UnknownTopicOrPartitionError",
    "NotControllerError",
    "StaleMetadata",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A request in a version of our own choice, as aiokafka's connections take it.

    Attributes:
        key: the request's ``api_key``.
        versions: what makes the request, by version.
        otherwise: the error's text where the broker has none of these.
    """

    key: int
    versions: Mapping[int, Callable[[], Any]]
    otherwise: str

    def prepare(self, offered: Mapping[int, tuple[int, int]]) -> Any:
        """The newest one that the broker offers; called by the connection.

        Raises:
            IncompatibleBrokerVersion: it offers none of them.
        """
        lowest, highest = offered.get(self.key, (0, -1))
        for version in sorted(self.versions, reverse=True):
            if lowest <= version <= highest:
                return self.versions[version]()
        raise library("aiokafka.errors").IncompatibleBrokerVersion(self.otherwise)


class Brokers:
    """Asks the brokers of a cluster.

    Args:
        cluster: where they are.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._admin: Any = None

    async def start(self) -> None:
        """Connect. Raises what ``Cluster.started`` raises."""
        # Before our own deadline, which closes nothing: a connection may be dead without a word.
        timeout_s = CONNECTION_SHARE * self.cluster.request_timeout_s
        self._admin = await self.cluster.started("AIOKafkaAdminClient", timeout_s)

    async def stop(self) -> None:
        """Close all connections, within a bound; may be called without ``start``."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await self.cluster.stopped(admin)

    async def answered(
        self, what: str, ask: Callable[[], Awaitable[T]], again: Collection[str] = ELSEWHERE
    ) -> T:
        """Ask, and ask again as long as brokers say that another one leads.

        Args:
            what: what is asked, for errors: ``reading the bounds of orders``.
            ask: asks once.
            again: names of aiokafka's errors upon which it is asked again.

        Raises:
            UnavailableError: no answer within the request timeout; where ``ask`` changes
                something, it may have.
            ConnectorError: the brokers refuse.
        """
        with asking(f"{what} at {self.cluster.at}"):
            return await self._until_answered(ask, again)

    async def _until_answered(self, ask: Callable[[], Awaitable[T]], again: Collection[str]) -> T:
        until = time.monotonic() + self.cluster.request_timeout_s
        while True:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                try:
                    return await ask()
                except library("aiokafka.errors").KafkaError as error:
                    late = time.monotonic() + AGAIN_S >= until
                    if late or type(error).__name__ not in again:
                        raise
                await asyncio.sleep(AGAIN_S)

    async def ask(self, request: Any, node: int | None = None) -> Any:
        """Send one request, once. To be called inside ``answered``.

        Args:
            request: of aiokafka, or a ``Question``.
            node: the broker's number; any one that can be reached by default.

        Raises:
            KafkaError: of aiokafka.
        """
        client = self._admin._client
        if node is None:
            node = await self._reachable(client)
        elif node < 0:
            raise library("aiokafka.errors").LeaderNotAvailableError("no leader is known")
        return await client.send(node, request)

    async def _reachable(self, client: Any) -> int:
        nodes = [broker.nodeId for broker in client.cluster.brokers()]
        seam().random.shuffle(nodes)
        for node in nodes:
            if await client.ready(node):
                found: int = node
                return found
        raise library("aiokafka.errors").NodeNotReadyError(f"none of {len(nodes)} can be reached")

    async def ask_controller(self, request: Any) -> Any:
        """The same, to the broker that changes topics for the cluster."""
        client = self._admin._client
        await client.force_metadata_update()
        controller = client.cluster.controller
        if controller is None:
            raise library("aiokafka.errors").NotControllerError("no controller is known")
        return await self.ask(request, controller.nodeId)

    async def configs(self, topic: str, names: Sequence[str] | None) -> Mapping[str, str | None]:
        """The settings of a topic, defaults too. To be called inside ``answered``.

        Args:
            topic: its name.
            names: which; None for all. What the broker does not know is left out.
        """
        kind = library("aiokafka.admin.config_resource").ConfigResourceType.TOPIC
        make = library("aiokafka.protocol.admin").DescribeConfigsRequest
        answer = await self.ask(make([(kind, topic, None if names is None else list(names))]))
        for code, message, _, _, entries in answer.resources:
            failed(code, f"the settings of topic {topic}: {message}")
            return {entry[0]: entry[1] for entry in entries}
        return {}


def failed(code: int, message: str | None = None) -> None:
    """Raise aiokafka's error for a code of a broker; code 0 is none."""
    if code:
        kind = library("aiokafka.errors").for_code(code)
        raise kind(*([message] if message else [f"error code {code}"]))
