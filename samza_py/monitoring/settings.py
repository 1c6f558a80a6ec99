"""Where a job listens for whoever watches it, and who may ask."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from samza_py.errors import ConfigError
from samza_py.values import Secret

LEAST_TOKEN: Final = 16
"""Characters of a token: one that is guessed by trying is none."""

_EXAMPLE: Final = "must be an address such as 127.0.0.1:8080, [::1]:8080 or 8080"


@dataclass(frozen=True, slots=True)
class Monitoring:
    """The settings below ``monitoring``.

    Attributes:
        listen: ``HOST:PORT``, or a port of 127.0.0.1; None for off. Port 0 takes a free one, which
            the log tells.
        token: asked for as ``Authorization: Bearer TOKEN`` by ``/metrics`` and for the causes of
            ``/readyz``. An address that other machines reach needs one.

    Raises:
        ConfigError: the address is none, or others reach it and there is no token.
    """

    listen: str | None = None
    token: Secret | None = None

    def __post_init__(self) -> None:
        if self.listen is not None:
            self.address()
            if self.token is None and not self.on_loopback:
                why = (
                    "is reached from other machines, so it needs a token: set "
                    "SAMZA_MONITORING__TOKEN_FILE to the path of a file that holds one"
                )
                raise ConfigError("monitoring.listen", why, self.listen)
        if self.token is not None and len(self.token.reveal()) < LEAST_TOKEN:
            raise ConfigError("monitoring.token", f"must have {LEAST_TOKEN} characters at least")

    def address(self) -> tuple[str, int]:
        """Host and port to listen at.

        Raises:
            ConfigError: it is no address.
        """
        text = self.listen or ""
        host, _, port = text.rpartition(":")
        host = host or "127.0.0.1"
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ConfigError("monitoring.listen", _EXAMPLE, text)
        if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise ConfigError("monitoring.listen", _EXAMPLE, text)
        return host, int(port)

    @property
    def on_loopback(self) -> bool:
        """Whether nothing but this machine reaches it."""
        host, _ = self.address()
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"
