"""Runs the unit and the conformance tests on every Python that the classifiers claim.

    make versions

Each version has an environment of its own in `.venvs`, made from the `test` lock. A version that
this machine lacks is named at the end; with `--require-all` it fails the run.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from dev import pythons

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = "not slow and not campaign and not tooling and not service"
"""The checks of the checkout itself (packaging, floors, types) do not differ between versions."""

TESTS = ["-m", LEFT_OUT, "-q", "-n", "auto", "--maxprocesses=8"]


def run_tests(version: str, python: Path) -> bool:
    """Bring one version's environment up to date and run the tests in it."""
    print(f"\n-- Python {version}", flush=True)
    started = time.monotonic()
    venv = ROOT / ".venvs" / version
    steps = [
        [str(python), "-m", "dev.environment", "--venv", str(venv), "test"],
        [str(venv / "bin" / "python"), "-m", "pytest", *TESTS],
    ]
    passed = all(subprocess.run(step, cwd=ROOT, check=False).returncode == 0 for step in steps)
    took = time.monotonic() - started
    print(f"-- Python {version}: {'passed' if passed else 'FAILED'} in {took:.0f} s", flush=True)
    return passed


def main() -> None:
    """Run every claimed version that is here; end with what failed and what was missing."""
    parser = argparse.ArgumentParser(description="Test every claimed Python.")
    parser.add_argument("--require-all", action="store_true", help="a missing version is a failure")
    parser.add_argument("--only", metavar="X.Y", help="run this one version, which must be here")
    asked = parser.parse_args()
    wanted = [asked.only] if asked.only else pythons.claimed()
    found = {version: python for version in wanted if (python := pythons.find(version))}
    missing = [version for version in wanted if version not in found]
    failed = [version for version, python in found.items() if not run_tests(version, python)]
    for version in missing:
        print(f"!! Python {version} was NOT tested: it is not on this machine.")
        print(f"!!   {pythons.how_to_install(version)}")
    if failed:
        sys.exit(f"failed on Python {', '.join(failed)}")
    if missing and (asked.require_all or asked.only or not found):
        sys.exit(f"missing Python {', '.join(missing)}")
    print(f"passed on Python {', '.join(found)}")


if __name__ == "__main__":
    main()
