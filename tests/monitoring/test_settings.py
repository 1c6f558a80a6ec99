"""Where a job may listen, and when it needs a token."""

import pytest

from samza_py import ConfigError, Secret
from samza_py.monitoring.settings import Monitoring

TOKEN = Secret("0123456789abcdef")


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("8080", "127.0.0.1", 8080),
        (":8080", "127.0.0.1", 8080),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("127.8.8.8:1", "127.8.8.8", 1),
        ("[::1]:8080", "::1", 8080),
        ("localhost:8080", "localhost", 8080),
    ],
)
def test_an_address_of_this_machine_needs_no_token(listen: str, host: str, port: int) -> None:
    assert Monitoring(listen).address() == (host, port)


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "10.0.0.7:80", "example.org:80"])
def test_an_address_that_others_reach_needs_one(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"monitoring\.listen.*SAMZA_MONITORING__TOKEN_FILE"):
        Monitoring(listen)
    assert not Monitoring(listen, TOKEN).on_loopback


@pytest.mark.parametrize(
    "listen", ["", "http://a:1", "a:", "a:b", "1:65536", "::1:80", "1:-1", "²"]
)
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(ConfigError, match="must be an address such as"):
        Monitoring(listen, TOKEN)


def test_a_token_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 characters"):
        Monitoring("8080", Secret("short"))
