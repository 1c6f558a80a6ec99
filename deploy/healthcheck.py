"""Asks the job of this container whether it lives: what HEALTHCHECK of the Dockerfile runs.

The job answers where ``SAMZA_MONITORING__LISTEN`` says. One that was not told to answer lives as
long as its process, which the engine watches by itself. The package is not imported: that would
take longer than all the rest, every few seconds.
"""

import http.client
import os
import sys

TIMEOUT_S = 3


def main() -> None:
    """End with 0 where the job lives, else with 1 and what is wrong."""
    listen = os.environ.get("SAMZA_MONITORING__LISTEN")
    if not listen:
        return
    host, _, port = listen.rpartition(":")
    connection = http.client.HTTPConnection(f"{host or '127.0.0.1'}:{port}", timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"no answer at {listen}: {error!r}")
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"{answer.status} {said}")


if __name__ == "__main__":
    main()
