"""Fetches and prepares the servers of the tests, so that no test waits for the network.

    python -m tests.services [--record]

With `--record` it writes the lists of what the artifacts of this version consist of, anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.services.failing import ServiceError
from tests.services.kafka_installation import JARS, installed
from tests.services.maven import digests, fetch


def record() -> None:
    """Write the lists of hashes from what Maven fetches now."""
    with tempfile.TemporaryDirectory() as folder:
        fetch(JARS, Path(folder))
        lines = (f"{digest}  {name}\n" for name, digest in digests(Path(folder)).items())
        JARS.hashes.write_text("".join(lines))
    print(f"{JARS.hashes} is written")


def main() -> None:
    """Read the command line; end with one message where something cannot be had."""
    parser = argparse.ArgumentParser(description="Fetch the servers of the tests.")
    parser.add_argument("--record", action="store_true", help="write the lists of hashes anew")
    try:
        if parser.parse_args().record:
            record()
        kafka = installed()
    except ServiceError as error:
        sys.exit(str(error))
    print(f"{JARS.name} on Java {kafka.java.version}: {kafka.jars}")


if __name__ == "__main__":
    main()
