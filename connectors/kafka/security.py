"""How a client proves who it is, and how what it says is kept from others."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from samza_py.connectors.kafka.checking import check_text
from samza_py.errors import ConfigError
from samza_py.values import Secret

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

_MECHANISMS: Final = get_args(Mechanism)


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypted connections. The broker's certificate and its host name are always verified.

    Attributes:
        ca_file: certificates (PEM) of the authorities to trust; those of the machine by default.
        certificate_file: the client's own certificate (PEM), where the broker asks for one.
        key_file: its private key (PEM); by default it stands in ``certificate_file`` too.
        key_password: of that key, where it is encrypted.
    """

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    key_password: Secret | None = None

    def context(self, key: str) -> ssl.SSLContext:
        """What the client library wants. Reads the files, which blocks.

        Args:
            key: of this setting, for errors.

        Raises:
            ConfigError: a file cannot be read, or is not what it should be.
        """
        made = _context(self.ca_file, key)
        if self.certificate_file is not None:
            password = self.key_password.reveal() if self.key_password else ""
            try:
                # Always a password: without one OpenSSL would ask for it on the terminal.
                made.load_cert_chain(self.certificate_file, self.key_file, lambda: password)
            except (OSError, ssl.SSLError) as error:
                why = f"with its key cannot be used: {_reason(error)}"
                raise ConfigError(f"{key}.certificate_file", why, self.certificate_file) from None
        elif self.key_file is not None:
            raise ConfigError(f"{key}.key_file", "has no certificate_file beside it", self.key_file)
        return made


def _context(ca_file: str | None, key: str) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        why = f"cannot be used: {_reason(error)}"
        raise ConfigError(f"{key}.ca_file", why, ca_file) from None
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "not what it should be in PEM, or a wrong key_password"
    return error.strerror or str(error)


@dataclass(frozen=True, slots=True)
class Sasl:
    """A user and a password.

    Attributes:
        username: the user.
        password: a ``Secret``; ``SAMZA_SYSTEMS__KAFKA__SASL__PASSWORD_FILE`` names a file with it.
        mechanism: the SCRAM ones never send the password; ``PLAIN`` does.
        allow_unencrypted: let ``PLAIN`` send the password without TLS, for everyone on the way to
            read. For brokers on this machine.
    """

    username: str
    password: Secret
    mechanism: Mechanism = "SCRAM-SHA-512"
    allow_unencrypted: bool = False

    def check(self, key: str, *, encrypted: bool) -> None:
        """See that these can be used.

        Raises:
            ConfigError: one is wrong, or the password would be sent in the clear.
        """
        check_text(self.username, f"{key}.username", "shop")
        if not isinstance(cast("object", self.password), Secret):
            raise ConfigError(f"{key}.password", "must be a Secret: Secret(os.environ['...'])")
        if self.mechanism not in _MECHANISMS:
            why = f"must be one of {', '.join(_MECHANISMS)}"
            raise ConfigError(f"{key}.mechanism", why, self.mechanism)
        if self.mechanism == "PLAIN" and not (encrypted or self.allow_unencrypted):
            raise ConfigError(
                f"{key}.mechanism",
                "would send the password unencrypted; add tls=Tls(), use SCRAM-SHA-512, or say "
                "Sasl(..., allow_unencrypted=True)",
                self.mechanism,
            )


def check_security(tls: Tls | None, sasl: Sasl | None, key: str) -> None:
    """See that these can be used, without reading a file.

    Args:
        tls: as declared.
        sasl: as declared. It is in no error: it may be a bare password.
        key: of the system.

    Raises:
        ConfigError: one is wrong, or the password would be sent in the clear.
    """
    if not isinstance(cast("object", tls), Tls | None):
        raise ConfigError(f"{key}.tls", "must be a Tls: Tls(ca_file='ca.pem')", tls)
    if not isinstance(cast("object", sasl), Sasl | None):
        raise ConfigError(f"{key}.sasl", "must be a Sasl: Sasl('user', Secret(os.environ['...']))")
    if sasl is not None:
        sasl.check(f"{key}.sasl", encrypted=tls is not None)


def security_settings(tls: Tls | None, sasl: Sasl | None, key: str) -> dict[str, Any]:
    """What every client of aiokafka takes for these. Reads files.

    Raises:
        ConfigError: one of them cannot be used.
    """
    protocol = "SASL_" if sasl else ""
    protocol += "SSL" if tls else "PLAINTEXT"
    found: dict[str, Any] = {"security_protocol": protocol}
    if tls is not None:
        found["ssl_context"] = tls.context(f"{key}.tls")
    if sasl is not None:
        found["sasl_mechanism"] = sasl.mechanism
        found["sasl_plain_username"] = sasl.username
        found["sasl_plain_password"] = sasl.password.reveal()
    return found
