"""Lists what the project needs, what this machine has, and how to get the rest.

    make doctor

Ends with 1 where something is missing that `make demo` or `make test` cannot do without.
"""

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev import java, pythons

ROOT = Path(__file__).resolve().parent.parent
LINKS = ("samza_py/connectors", "samza_py/runtime")
MIN_OPEN_FILES = 1024
MIN_FREE_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: its name.
        seen: what is here; empty where it is missing.
        cure: the command that brings it, or what to change.
        required: whether `make demo` or `make test` cannot do without it.
    """

    what: str
    seen: str
    cure: str = ""
    required: bool = False


def look_at_python() -> Iterator[Finding]:
    """Look for the Python of .venv and for every claimed version."""
    yield Finding("Python for .venv", f"{sys.version.split()[0]} at {sys.executable}")
    for version in pythons.claimed():
        python = pythons.find(version)
        cure = f"{pythons.how_to_install(version)} (for `make versions`)"
        yield Finding(f"Python {version}", str(python or ""), cure)


def look_at_checkout() -> Iterator[Finding]:
    """Look at the links, the environment and the tools in it."""
    for link in LINKS:
        whole = (ROOT / link / "__init__.py").is_file()
        cure = "git config core.symlinks true && git checkout -- samza_py"
        yield Finding(f"link {link}", os.readlink(ROOT / link) if whole else "", cure, True)
    for tool, use in (("pytest", "make test"), ("ruff", "make check"), ("pyright", "make check")):
        here = (ROOT / ".venv" / "bin" / tool).exists()
        yield Finding(f"{tool} in .venv", "installed" if here else "", f"{use} installs it")


def look_at_programs() -> Iterator[Finding]:
    """Look for programs that some targets call."""
    yield Finding("git", shutil.which("git") or "", "sudo apt-get install git", True)
    cure = "sudo apt-get install valgrind (only for `make instructions`)"
    yield Finding("valgrind", shutil.which("valgrind") or "", cure)
    # debootstrap is for root, and lies where only root looks.
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    for tool in ("buildah", "debootstrap"):
        cure = f"sudo apt-get install {tool} (only for `make image`)"
        yield Finding(tool, shutil.which(tool, path=path) or "", cure)
    yield Finding("uv", shutil.which("uv") or "", "pipx install uv (only for `make lock`)")


def look_at_java() -> Iterator[Finding]:
    """Look for what runs and fetches the servers of the tests."""
    cure = f"{java.how_to_install()} (for the servers of `make test`)"
    found = java.find()
    seen = f"{found.version} at {found.home}" if found else ""
    yield Finding(f"Java {java.OLDEST} or newer", seen, cure, True)
    yield Finding("Maven", str(java.find_maven() or ""), cure, True)


def look_at_machine() -> Iterator[Finding]:
    """Look at the limits that tests and benchmarks feel."""
    cores = os.cpu_count() or 1
    yield Finding("cores", f"{cores}")
    free = shutil.disk_usage(ROOT).free
    enough = free >= MIN_FREE_BYTES
    yield Finding("free disk", f"{free / 2**30:.0f} GiB" if enough else "", "free 2 GiB", True)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    seen = f"{soft} (hard limit {hard})" if soft >= MIN_OPEN_FILES else ""
    yield Finding("open files", seen, f"ulimit -n {MIN_OPEN_FILES}", True)


def main() -> None:
    """Print every finding, one a line."""
    missing_required = False
    looks = (look_at_python, look_at_checkout, look_at_programs, look_at_java, look_at_machine)
    for look in looks:
        for finding in look():
            mark = "ok  " if finding.seen else ("MISS" if finding.required else "none")
            print(f"{mark}  {finding.what:<28} {finding.seen or 'get it: ' + finding.cure}")
            missing_required |= finding.required and not finding.seen
    if missing_required:
        sys.exit("something that the project needs is missing: see the lines marked MISS")


if __name__ == "__main__":
    main()
