"""What is shipped is what is here: wheel, sdist, the command, and what an extra's absence says."""

import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("samza_py", "connectors", "runtime")

pytestmark = [pytest.mark.tooling, pytest.mark.timeout(180)]


def build(source: Path, kind: str, into: Path) -> Path:
    """Build a wheel or an sdist with the tools that are here, without asking the network."""
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(into)]
    done = subprocess.run(
        [*command, str(source)], capture_output=True, text=True, check=False, env=outside()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = into.iterdir()
    return built


def outside() -> dict[str, str]:
    """The environment of a user who knows nothing of this checkout."""
    dropped = ("PYTHON", "COV_", "COVERAGE", "SAMZA_", "VIRTUAL_ENV")
    return {key: value for key, value in os.environ.items() if not key.startswith(dropped)}


def contents(wheel: Path) -> dict[str, int]:
    """List a wheel's files with their checksums; RECORD repeats them in another order."""
    with zipfile.ZipFile(wheel) as archive:
        return {i.filename: i.CRC for i in archive.infolist() if not i.filename.endswith("RECORD")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from the tree."""
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist."""
    archive = build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))
    into = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    (unpacked,) = into.iterdir()
    return unpacked


def core_distributions() -> Iterator[importlib.metadata.Distribution]:
    """Follow the project's requirements without extras to everything that they need."""
    waiting = ["samza-py"]
    seen: set[str] = set()
    while waiting:
        distribution = importlib.metadata.distribution(waiting.pop())
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        if name in seen:
            continue
        seen.add(name)
        if name != "samza-py":
            yield distribution
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a fresh environment: the wheel, what it requires without extras, no more.

    The requirements are linked from this environment, so that nothing is fetched.
    """
    venv = tmp_path_factory.mktemp("user") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    scheme = {"base": str(venv), "platbase": str(venv)}
    site = Path(sysconfig.get_path("purelib", "venv", scheme))
    for distribution in core_distributions():
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    python = venv / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    install = [*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, env=outside())
    subprocess.run([*pip, "check"], check=True, env=outside())
    return venv / "bin"


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder outside the repository."""
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=outside()
    )


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="an unpacked sdist has folders, not links")
@pytest.mark.parametrize("folder", ["connectors", "runtime"])
def test_the_links_are_relative_and_lead_to_the_folders_at_the_top(folder: str) -> None:
    link = ROOT / "samza_py" / folder
    assert link.readlink() == Path("..") / folder
    assert link.resolve() == ROOT / folder


@pytest.mark.parametrize("folder", ["connectors", "runtime"])
def test_a_folder_at_the_top_refuses_its_bare_name(folder: str) -> None:
    result = run(ROOT, sys.executable, "-c", f"import {folder}")
    assert result.returncode == 1
    assert f"import samza_py.{folder}, not {folder}" in result.stderr


def test_the_wheel_from_the_sdist_is_the_wheel_from_the_tree(
    wheel: Path, sdist: Path, tmp_path: Path
) -> None:
    assert contents(build(sdist, "wheel", tmp_path)) == contents(wheel)


def test_the_wheel_holds_every_module_and_nothing_else(wheel: Path) -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    relative = {path.relative_to(ROOT).as_posix() for path in files}
    modules = {name if name.startswith("samza_py/") else f"samza_py/{name}" for name in relative}
    shipped = {name for name in contents(wheel) if name.startswith("samza_py/")}
    assert {name for name in shipped if name.endswith(".py")} == modules
    assert "samza_py/py.typed" in shipped
    tops = {name.partition("/")[0] for name in contents(wheel)}
    assert tops == {"samza_py", wheel.name.partition("-py3")[0] + ".dist-info"}


def test_the_licence_and_the_notice_are_shipped(wheel: Path, sdist: Path) -> None:
    shipped = {name.rpartition("/")[2] for name in contents(wheel)}
    assert {"LICENSE", "NOTICE"} <= shipped
    assert (sdist / "LICENSE").is_file()
    assert (sdist / "NOTICE").is_file()


def test_the_installed_wheel_comes_from_no_checkout(installed: Path, tmp_path: Path) -> None:
    program = "import samza_py, samza_py.connectors, samza_py.runtime; print(samza_py.__file__)"
    result = run(tmp_path, installed / "python", "-c", program)
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).is_relative_to(installed.parent)


def test_the_installed_wheel_runs_a_new_job_outside_the_repository(
    installed: Path, tmp_path: Path
) -> None:
    for arguments in (("new", "job.py"), ("check", "job.py"), ("run", "job.py")):
        result = run(tmp_path, installed / "samza-py", *arguments)
        assert result.returncode == 0, result.stdout + result.stderr


def test_a_missing_extra_names_itself(installed: Path, tmp_path: Path) -> None:
    assert run(tmp_path, installed / "samza-py", "new", "job.py").returncode == 0
    (tmp_path / "settings.yaml").write_text("job:\n  commit_interval: 1s\n")
    result = run(tmp_path, installed / "samza-py", "check", "job.py", "--config", "settings.yaml")
    assert result.returncode == 2, result.stdout + result.stderr
    assert "samza-py[yaml]" in result.stderr
    assert "Traceback" not in result.stderr
    listen = ("--set", "monitoring.listen=127.0.0.1:0")
    result = run(tmp_path, installed / "samza-py", "run", "job.py", *listen)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "samza-py[monitoring]" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_extra_is_in_all() -> None:
    lines = [Requirement(line) for line in importlib.metadata.requires("samza-py") or ()]
    optional = {line.name: line.marker for line in lines if "extra" in str(line.marker)}
    in_all = {line.name for line in lines if line.marker and line.marker.evaluate({"extra": "all"})}
    assert in_all == set(optional) != set()
