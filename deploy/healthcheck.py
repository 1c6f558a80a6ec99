"""Asks the job of this container whether it is well: what HEALTHCHECK of the Dockerfile runs.

The job answers where ``SAMZA_ADMIN_LISTEN`` says. One that was not told to answer is as well as its
process, which the engine watches by itself. Without a client library: the image may have none.
"""

import http.client
import os
import sys

TIMEOUT_S = 3


def main() -> None:
    """End with 0 where the job is well, else with 1 and what it said."""
    listen = os.environ.get("SAMZA_ADMIN_LISTEN")
    if not listen:
        return
    connection = http.client.HTTPConnection(listen, timeout=TIMEOUT_S)
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
