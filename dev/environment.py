"""Makes a virtual environment and keeps it up to date with the locks in `dev/locks`.

    python3 -m dev.environment [--venv .venv] PART [PART ...]

A part is the name of a lock (`run`, `test`, `dev`, `demo`, `audit`). What is up to date is left
alone without asking the network, so a second call takes a fraction of a second.
"""

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "dev" / "locks"
PROGRESS_EVERY = 10
"""How many packages between two lines of progress where output is not a terminal."""

STANDALONE = {"audit"}
"""Parts that look at the project from outside and do without the package itself."""

UNRESOLVED = {"demo": ["--no-deps", "--no-build-isolation", "--use-pep517"]}
"""Locks that name a package without its dependencies, or that has to be built: how to install."""


@contextmanager
def held(venv: Path) -> Generator[None]:
    """Keep a second call away from the same environment until this one has finished."""
    venv.mkdir(parents=True, exist_ok=True)
    with (venv / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fingerprint(*parts: bytes) -> str:
    """Name the content that an installation came from."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def usable(venv: Path) -> bool:
    """Say whether the environment's Python starts, is recent enough and has pip."""
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    try:
        return subprocess.run([venv / "bin" / "python", "-c", probe], check=False).returncode == 0
    except OSError:
        return False


def make(venv: Path) -> None:
    """Create the environment where it is missing or broken."""
    if (venv / "bin" / "python").exists() and usable(venv):
        return
    for leftover in ("bin", "lib", "include", "installed"):
        shutil.rmtree(venv / leftover, ignore_errors=True)
    print(f"creating {shown(venv)} with Python {sys.version.split()[0]}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)


def shown(path: Path) -> str:
    """Write a path as the user would, seen from the repository."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def pip_install(venv: Path, arguments: list[str], total: int) -> None:
    """Run pip and show how far it is; on failure show all that it said."""
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-input", *arguments]
    said: list[str] = []
    seen = 0
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            said.append(line)
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen += 1
                show_progress(seen, total, line.split(": ")[-1].removeprefix("Collecting "))
            elif line.startswith("Installing collected packages"):
                print("\r\033[K  unpacking" if sys.stdout.isatty() else "  unpacking", flush=True)
    if pip.returncode != 0:
        sys.stderr.write("".join(said))
        sys.exit(f"pip could not install {' '.join(arguments)}; what it said stands above")


def show_progress(seen: int, total: int, requirement: str) -> None:
    """Show one package more: in place on a terminal, now and then in a pipe."""
    name = requirement.split(maxsplit=1)[0].partition("=")[0]
    if sys.stdout.isatty():
        print(f"\r\033[K  [{seen}/{total}] {name}", end="", flush=True)
    elif seen % PROGRESS_EVERY == 0:
        print(f"  [{seen}/{total}] {name}", flush=True)


def install_once(venv: Path, name: str, content: str, arguments: list[str], total: int) -> None:
    """Install something unless the same content was installed here before."""
    stamp = venv / "installed" / name
    if stamp.exists() and stamp.read_text() == content:
        return
    packages = "1 package" if total == 1 else f"{total} packages"
    print(f"installing {name} into {shown(venv)} ({packages}, once)", flush=True)
    pip_install(venv, arguments, total)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(content)


def install_lock(venv: Path, part: str) -> None:
    """Install what one lock lists, each file checked against its hash."""
    lock = LOCKS / f"{part}.txt"
    text = lock.read_text()
    total = sum(1 for line in text.splitlines() if "==" in line and not line.startswith(" "))
    arguments = ["--require-hashes", *UNRESOLVED.get(part, []), "-r", str(lock)]
    install_once(venv, part, fingerprint(text.encode()), arguments, total)


def install_package(venv: Path) -> None:
    """Install the project itself so that a change of its source is seen at once."""
    content = fingerprint((ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode())
    arguments = ["--no-index", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
    install_once(venv, "samza-py", content, arguments, 1)


def main() -> None:
    """Read the command line and bring one environment up to date."""
    parser = argparse.ArgumentParser(description="Make or update an environment.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("parts", nargs="+", choices=sorted(p.stem for p in LOCKS.glob("*.txt")))
    asked = parser.parse_args()
    venv: Path = asked.venv.absolute()
    with held(venv):
        make(venv)
        for part in asked.parts:
            install_lock(venv, part)
            if part not in STANDALONE:
                install_package(venv)


if __name__ == "__main__":
    main()
