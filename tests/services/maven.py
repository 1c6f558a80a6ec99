"""The jars of a server, from Maven Central or the mirror that the user's Maven is told of.

What is fetched is pinned twice. The artifacts and the plugin that fetches them have exact versions;
and beside this file stands a list for each server with the SHA-256 of every jar, `NAME.sha256`:
what came has to equal it. After a change of versions: `python -m tests.services --record`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from dev import java
from tests.services.caching import filled
from tests.services.failing import ServiceError
from tests.services.jvm import needed_java

GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
FETCH_S = 600
SAID_LINES = 15


@dataclass(frozen=True)
class Jars:
    """What one server's class path is made of.

    Args:
        name: of the server with its version; names the entry of the cache and the list of hashes.
        artifacts: as `group:name:version`; what they depend on comes with them.
    """

    name: str
    artifacts: tuple[str, ...]

    @property
    def hashes(self) -> Path:
        """The list of what has to come."""
        return Path(__file__).parent / f"{self.name}.sha256"

    @property
    def pom(self) -> str:
        """A project that depends on the artifacts and is nothing else."""
        wanted = [artifact.split(":") for artifact in self.artifacts]
        parts = "".join(
            f"<dependency><groupId>{escape(group)}</groupId><artifactId>{escape(name)}</artifactId>"
            f"<version>{escape(version)}</version></dependency>"
            for group, name, version in wanted
        )
        return (
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            f"<groupId>none</groupId><artifactId>jars</artifactId><version>1</version>"
            f"<packaging>pom</packaging><dependencies>{parts}</dependencies></project>"
        )

    def folder(self) -> Path:
        """The folder with the jars, fetched now if this user's cache has not got them.

        Raises:
            ServiceError: there is no Java or no Maven, Maven failed, or what came is not what was
                listed.
        """

        def fill(folder: Path) -> None:
            fetch(self, folder)
            self.verify(folder)

        return filled(self.fingerprint(), fill)

    def fingerprint(self) -> str:
        """The entry's name in the cache: it changes with the list of hashes."""
        return f"{self.name}-{hashlib.sha256(self.hashes.read_bytes()).hexdigest()[:12]}"

    def verify(self, folder: Path) -> None:
        """Compare a folder with the list.

        Raises:
            ServiceError: a jar is missing, is not listed, or has another content.
        """
        lines = [line.split() for line in self.hashes.read_text().splitlines()]
        listed = {name: digest for digest, name in lines}
        came = digests(folder)
        wrong = sorted({name for name, _ in listed.items() ^ came.items()})
        if wrong:
            raise ServiceError(f"not what {self.hashes.name} lists: {', '.join(wrong)}")


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of every jar in a folder, by its file name."""
    jars = sorted(folder.glob("*.jar"))
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars}


def fetch(jars: Jars, into: Path) -> None:
    """Have Maven put the jars and all that they depend on into a folder.

    Raises:
        ServiceError: there is no Java or no Maven, or Maven failed; with what it said.
    """
    home = needed_java().home
    maven = java.find_maven()
    if maven is None:
        raise ServiceError(f"Maven is needed. Install it with: {java.how_to_install()}")
    with tempfile.TemporaryDirectory() as work:
        pom = Path(work) / "pom.xml"
        pom.write_text(jars.pom)
        options = ["-B", "-q", "-ntp", "--strict-checksums", "-f", str(pom)]
        try:
            done = subprocess.run(
                [maven, *options, GOAL, "-DincludeScope=runtime", f"-DoutputDirectory={into}"],
                env={**os.environ, "JAVA_HOME": str(home)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=FETCH_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ServiceError(f"Maven did not fetch {jars.name} in {FETCH_S} s") from error
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[:SAID_LINES])
        raise ServiceError(f"Maven could not fetch {jars.name}; it said:\n{said}")
