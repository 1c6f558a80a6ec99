"""Writes `dev/locks` from the lists in pyproject.toml: every package pinned, every file hashed.

    make lock

One lock serves every claimed Python and platform. The widest lock is made first, and the others
take their versions from it, so that no package has two versions in two environments.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = Path("dev/locks")
COMPILE = [
    *("uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-header", "--no-annotate", "--no-emit-package", "samza-py", "--quiet"),
]
PROJECT = ["--extra", "all", "pyproject.toml"]
LISTS = {
    "dev": [*PROJECT, "--group", "dev"],
    "test": [*PROJECT, "--group", "test", "-c", str(LOCKS / "dev.txt")],
    "run": [*PROJECT, "--group", "build", "-c", str(LOCKS / "dev.txt")],
    "audit": ["--group", "audit"],
    "demo": ["--group", "demo", "--no-deps"],
}


def main() -> None:
    """Write every lock, the widest first."""
    for name, arguments in LISTS.items():
        print(f"locking {LOCKS / name}.txt", flush=True)
        command = [*COMPILE, *sys.argv[1:], *arguments, "-o", str(LOCKS / f"{name}.txt")]
        subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
