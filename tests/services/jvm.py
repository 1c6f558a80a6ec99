"""What every server on Java shares: the Java itself, and options that halve its start."""

from __future__ import annotations

import os
from pathlib import Path

from dev import java
from tests.services.failing import ServiceError

QUICK = (
    *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    *("-Xshare:auto", "-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Djava.awt.headless=true"),
)
"""One collector thread, one quick compiler, and silence where an archive of classes is no use."""


def needed_java(at_least: int = java.OLDEST) -> java.Java:
    """The Java that servers run on.

    Raises:
        ServiceError: there is none that is recent enough.
    """
    found = java.find(at_least)
    if found is None:
        cure = java.how_to_install()
        raise ServiceError(f"Java {at_least} or newer is needed. Install it with: {cure}")
    return found


def class_path(folder: Path) -> str:
    """All jars of a folder in one order: an archive of classes is of use for that order alone."""
    return os.pathsep.join(str(jar) for jar in sorted(folder.glob("*.jar")))
