"""What a broker listens with, and what a client has to say to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.services.certificates import Authority, Certificate

USER = "alice"
PASSWORD = "a password of the tests"  # made for brokers on loopback that live for seconds
BROKER = "broker"
CLIENT = "client"
MODULES = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class Listener:
    """One way into a broker.

    Args:
        name: of the listener, capital letters and `_`.
        protocol: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.
        mechanism: of SASL: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        asks_certificate: whether a client without a certificate is refused.
    """

    name: str
    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    asks_certificate: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self.protocol.endswith("SSL")

    def properties(self, certificates: Certificates | None) -> dict[str, str]:
        """The broker's settings for it."""
        mine = f"listener.name.{self.name.lower()}"
        found: dict[str, str] = {}
        if self.mechanism:
            found[f"{mine}.sasl.enabled.mechanisms"] = self.mechanism
            found[f"{mine}.{self.mechanism.lower()}.sasl.jaas.config"] = self._login()
        if self.encrypted:
            assert certificates is not None
            found |= {
                f"{mine}.ssl.keystore.type": "PEM",
                f"{mine}.ssl.keystore.location": str(certificates.broker.both),
                f"{mine}.ssl.truststore.type": "PEM",
                f"{mine}.ssl.truststore.location": str(certificates.authority),
                f"{mine}.ssl.client.auth": "required" if self.asks_certificate else "none",
            }
        return found

    def _login(self) -> str:
        if self.mechanism == "PLAIN":
            return f'{MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        return f"{MODULES}.scram.ScramLoginModule required;"


@dataclass(frozen=True)
class Certificates:
    """Those of a cluster: the authority's, the brokers', and one for a client."""

    authority: Path
    broker: Certificate
    client: Certificate

    @classmethod
    def make(cls, folder: Path) -> Certificates:
        """Make them anew, in a folder."""
        authority = Authority(folder)
        return cls(authority.file, authority.issue(BROKER), authority.issue(CLIENT))


@dataclass(frozen=True)
class Kafka:
    """A running cluster, as clients see it.

    Args:
        addresses: the bootstrap servers of each listener, by its name.
        certificates: where there are encrypted listeners.
    """

    addresses: Mapping[str, str]
    certificates: Certificates | None = None

    def bootstrap(self, listener: Listener) -> str:
        """The bootstrap servers of a listener."""
        return self.addresses[listener.name]


PLAINTEXT = Listener("PLAINTEXT")
SASL_PLAIN = Listener("SASL_PLAIN", "SASL_PLAINTEXT", "PLAIN")
SCRAM_256 = Listener("SCRAM_256", "SASL_PLAINTEXT", "SCRAM-SHA-256")
SCRAM_512 = Listener("SCRAM_512", "SASL_PLAINTEXT", "SCRAM-SHA-512")
TLS = Listener("TLS", "SSL")
MUTUAL_TLS = Listener("MUTUAL_TLS", "SSL", asks_certificate=True)
TLS_PLAIN = Listener("TLS_PLAIN", "SASL_SSL", "PLAIN")
TLS_SCRAM_512 = Listener("TLS_SCRAM_512", "SASL_SSL", "SCRAM-SHA-512")

SECURED = (SASL_PLAIN, SCRAM_256, SCRAM_512, TLS, MUTUAL_TLS, TLS_PLAIN, TLS_SCRAM_512)
"""Every way but the open one, which the brokers use among themselves."""
