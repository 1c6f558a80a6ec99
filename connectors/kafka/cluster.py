"""A cluster as its clients see it, and the one place where they are made and started."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any, Final

from samza_py.connectors.kafka.failures import closed, unreached
from samza_py.connectors.kafka.library import complaints, connection_of, library, makes_no_topics
from samza_py.connectors.kafka.security import Sasl, Tls, security_settings
from samza_py.seam import seam

logger = logging.getLogger(__name__)

START_S: Final = 1.0
"""So long a client that is given up may go on with its start."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a cluster is, who we are there, and how long we wait. The fields are ``Kafka``'s."""

    name: str
    bootstrap_servers: str
    tls: Tls | None
    sasl: Sasl | None
    compression: str
    request_timeout_s: float
    delivery_timeout_s: float
    max_request_bytes: int
    max_fetch_bytes: int
    fetch_wait_s: float
    fetch_min_bytes: int
    client_id: str

    @property
    def at(self) -> str:
        """Its name and address, for messages."""
        return f"{self.name} at {self.bootstrap_servers}"

    async def started(
        self, kind: str, request_timeout_s: float | None = None, **settings: Any
    ) -> Any:
        """A client of aiokafka, started.

        Args:
            kind: a class of aiokafka; ``AIOKafkaAdminClient`` too.
            request_timeout_s: after which a connection without an answer is closed; that of the
                cluster by default.
            settings: beside those that all have in common.

        Raises:
            ConfigError: aiokafka is not installed, or a file of ``tls`` cannot be used.
            UnavailableError: no broker can be reached.
            ConnectorError: the broker refuses us.
        """
        key = f"systems.{self.name}"
        security = await seam().in_thread(security_settings, self.tls, self.sasl, key)
        admin = kind == "AIOKafkaAdminClient"
        timeout_s = self.request_timeout_s if request_timeout_s is None else request_timeout_s
        servers = [one.strip() for one in self.bootstrap_servers.split(",")]
        client = getattr(library("aiokafka.admin" if admin else "aiokafka"), kind)(
            bootstrap_servers=servers,
            client_id=self.client_id,
            request_timeout_ms=int(timeout_s * 1000),
            **security,
            **settings,
        )
        _share_out_time(client, len(servers))
        makes_no_topics(client)
        with complaints() as said:
            starting = asyncio.ensure_future(client.start())
            try:
                async with asyncio.timeout(self.request_timeout_s):
                    await asyncio.shield(starting)
            except BaseException as error:
                await self._given_up(client, starting)
                if isinstance(error, Exception):
                    raise unreached(error, said, f"connecting to {self.at}") from error
                raise
        return client

    async def _given_up(self, client: Any, starting: asyncio.Future[None]) -> None:
        """Stop a client that shall not start. Cut off at once it would leave a connection open."""
        try:
            await asyncio.wait((starting,), timeout=START_S)
        finally:
            starting.cancel()
            await asyncio.wait((starting,))
            if not starting.cancelled():
                starting.exception()  # the caller has it, or has been cancelled
            await self.stopped(client)

    async def stopped(self, client: Any) -> None:
        """Stop a client, within a bound."""
        await closed(client, logger, f"a client of {self.at}")


def _share_out_time(client: Any, servers: int) -> None:
    """Have one server that takes connections and says nothing not use up the time of the others.

    aiokafka tries them one after another, each for as long as a request may take, and the start
    as a whole may take no longer. Each gets a share, and what follows on the first answer one too.
    The connections that are made later wait as long as they should.
    """
    connection = connection_of(client)
    bootstrap, whole_ms = connection.bootstrap, connection._request_timeout_ms

    async def in_shares() -> None:
        connection._request_timeout_ms = max(1, whole_ms // (servers + 1))
        try:
            await bootstrap()
        finally:
            connection._request_timeout_ms = whole_ms

    if servers > 1:
        connection.bootstrap = in_shares
