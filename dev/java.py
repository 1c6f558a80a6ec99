"""Where this machine has a Java and Maven, which the servers of the tests run on."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = 17
"""What the servers of the tests run on, at least."""

FOLDERS = (Path("/usr/lib/jvm"), Path("/Library/Java/JavaVirtualMachines"), Path("/opt/java"))
"""Where packages of a system put one Java beside another."""


@dataclass(frozen=True)
class Java:
    """One Java that starts.

    Args:
        home: what `JAVA_HOME` has to be for it.
        version: all that it says of its version, such as `17.0.15`.
    """

    home: Path
    version: str

    @property
    def release(self) -> int:
        """The first number of the version."""
        return int(re.split(r"\D", self.version, maxsplit=1)[0])

    @property
    def program(self) -> Path:
        """The program that runs classes."""
        return self.home / "bin" / "java"


def find(at_least: int = OLDEST) -> Java | None:
    """Find a Java that is recent enough.

    `JAVA_HOME` goes first, then PATH, then the newest of those that the system keeps. Each one is
    run, not just found: a shim may be on PATH and start nothing.
    """
    named = (java for candidate in candidates() if (java := ask(candidate)) is not None)
    if (java := next((java for java in named if java.release >= at_least), None)) is not None:
        return java
    kept = [java for program in installed() if (java := ask(program)) is not None]
    newest = max(kept, key=lambda java: java.release, default=None)
    return newest if newest is not None and newest.release >= at_least else None


def candidates() -> Iterator[Path]:
    """The programs that somebody chose."""
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)


def installed() -> Iterator[Path]:
    """The programs that the system keeps beside each other."""
    for folder in FOLDERS:
        yield from folder.glob("*/bin/java")
        yield from folder.glob("*/Contents/Home/bin/java")


def ask(program: Path) -> Java | None:
    """Ask a Java for its home and version; none where it does not start."""
    command = [str(program), "-XshowSettings:properties", "-version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    said = dict(re.findall(r"^ +(java\.home|java\.version) = (.+)$", done.stderr, re.MULTILINE))
    if done.returncode != 0 or len(said) != len(("home", "version")):
        return None
    return Java(Path(said["java.home"]), said["java.version"])


def find_maven() -> Path | None:
    """Find Maven on PATH; it fetches the jars of the servers, by the user's own settings."""
    found = shutil.which("mvn")
    return Path(found) if found else None


def how_to_install() -> str:
    """Name the command that brings both."""
    if shutil.which("dnf"):
        return "sudo dnf install java-21-openjdk-headless maven"
    if shutil.which("brew"):
        return "brew install openjdk@21 maven"
    return "sudo apt-get install default-jdk-headless maven"
