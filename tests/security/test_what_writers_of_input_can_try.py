"""Whoever may write to an input may try anything: names, links, control characters, paths."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest

from samza_py.checkpoint import Token
from samza_py.cli import main
from samza_py.connectors.files import Files
from samza_py.connectors.files.parts import names_in
from samza_py.connectors.files.storage import storage_at
from samza_py.errors import ConfigError, ConnectorError

JOB = """
import json, logging, os
from samza_py import DeadLetter, Job, Message, Skip
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints

files = Files(root="data")
items = files.text("items", "in")
echoes = files.jsonl_output("echoes", "out/echoes", value=str)
dead = files.jsonl_output("dead", "out/dead", value=bytes)
job = Job("echo", checkpoints=LocalCheckpoints("state/checkpoints.log"),
          on_error=Skip() if os.environ.get("SKIPS") else DeadLetter(dead))
logger = logging.getLogger("mine")

@job.task(items, to=echoes)
def echo(item: Message[None, str]) -> str:
    logger.warning("seen %s", item.value)
    if "fail" in item.value:
        raise ValueError(item.value)
    return item.value
"""

ATTACKS = [
    "\x1b[2J\x1b[1;31mred",
    "a\rSpoofed: everything is fine",
    "bell\x07 and backspace\x08\x08\x08",
    "next\x85line",
    "separator\u2028line and \u2029paragraph",
    "\x9b31mC1 control",
    "fail \x1b]0;title\x07 with a title",
]

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job in the current folder, with an empty input."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "in").mkdir(parents=True)
    name = re.sub(r"\W", "_", tmp_path.name)
    (tmp_path / f"{name}.py").write_text(JOB)
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    """Run the job; each test has a module of its own."""
    return main(["run", re.sub(r"\W", "_", folder.name) + ".py", *arguments])


# Log injection -------------------------------------------------------------------------------


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("form", [[], ["--log-json"]])
def test_no_value_forges_a_line_or_drives_the_terminal(
    folder: Path,
    form: list[str],
    skips: bool,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if skips:
        monkeypatch.setenv("SKIPS", "1")
    (folder / "data" / "in" / "a.txt").write_bytes("\n".join(ATTACKS).encode())
    assert run(folder, "--log-level", "debug", *form) == 0
    out, err = capfd.readouterr()
    assert "Spoofed" in err, "the attack was not even logged"
    assert not CONTROL.search(out + err), ascii(err)
    if form:
        for line in err.splitlines():
            json.loads(line)
    assert not [line for line in err.splitlines() if line.startswith("Spoofed")]


def test_no_file_name_forges_a_line(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "data" / "in" / "a\x1b[31m\rfail\u2028b.txt").write_text("fail here\n")
    assert run(folder, "--log-level", "debug") == 0
    assert not CONTROL.search("".join(capfd.readouterr()))


def test_a_payload_is_not_in_the_log_above_debug(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The log names a message by its place; what is in it is for its user to say."""
    (folder / "data" / "in" / "a.txt").write_bytes(b"payload-canary \xff\n")
    assert run(folder) == 0
    assert "payload-canary" not in "".join(capfd.readouterr())


# Paths ---------------------------------------------------------------------------------------

OUTSIDE = [
    "../outside",
    "in/../../outside",
    "/etc/passwd",
    "~/outside",
    "file:///etc/passwd",
    "http://169.254.169.254/latest",
    "in/\0outside",
    "",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_stream_is_declared_outside_the_root(path: str) -> None:
    files = Files(root="data")
    with pytest.raises(ConfigError):
        files.jsonl("items", path, value=dict)
    with pytest.raises(ConfigError):
        files.jsonl_output("items", path, value=dict)


@pytest.mark.parametrize("path", OUTSIDE)
def test_no_physical_name_from_outside_leads_out_of_the_root(
    folder: Path, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Settings may rename a stream; they come from elsewhere than the job file."""
    if "\0" in path:
        return  # no command line can hold one
    (folder / "data" / "in" / "a.txt").write_text("x\n")
    for stream in ("items", "echoes"):
        assert run(folder, "--set", f"streams.{stream}.name={path}") in (1, 2)
        assert "Traceback" not in capfd.readouterr().err
    assert not (folder / "outside").exists()


@pytest.mark.parametrize(
    "root", ["http://169.254.169.254/latest", "s3://bucket", "ftp://host/x", "github://a:b@/x", ""]
)
def test_a_root_reaches_no_network(root: str) -> None:
    with pytest.raises(ConfigError):
        Files(root=root)


@pytest.mark.parametrize("path", [p for p in OUTSIDE if "\0" not in p])
def test_a_token_in_a_checkpoint_leads_nowhere_outside(tmp_path: Path, path: str) -> None:
    """Who can write the state directory can skip and repeat, and must not rename files."""
    token = Token(json.dumps({"staged": path, "final": "ok"}))
    with pytest.raises(ConnectorError):
        names_in(token)
    with pytest.raises(ConnectorError):
        names_in(Token(json.dumps({"staged": "ok", "final": path})))


def test_a_link_out_of_the_root_is_not_followed(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "secret.txt").write_text("outside-canary\n")
    (folder / "data" / "in" / "a.txt").write_text("x\n")
    (folder / "data" / "in" / "link.txt").symlink_to(folder / "secret.txt")
    assert run(folder) == 1
    assert "outside-canary" not in "".join(capfd.readouterr())
    written = [p.read_text() for p in (folder / "data").rglob("part-*.jsonl")]
    assert not [text for text in written if "outside-canary" in text]


def test_a_folder_that_is_a_link_out_of_the_root_is_not_written_to(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "data" / "in" / "a.txt").write_text("x\n")
    (folder / "elsewhere").mkdir()
    (folder / "data" / "out").symlink_to(folder / "elsewhere", target_is_directory=True)
    assert run(folder) == 1
    assert list((folder / "elsewhere").iterdir()) == []
    assert "leads out of" in capfd.readouterr().err


def test_a_link_inside_the_root_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert storage_at(str(tmp_path)).resolve("link/x") == str(tmp_path / "real" / "x")


# Files that are left -------------------------------------------------------------------------


def test_what_a_job_writes_is_for_its_user_alone(folder: Path) -> None:
    """Checkpoints 0600; parts may be read by the group; nothing for others, whatever the umask."""
    before = os.umask(0)
    try:
        (folder / "data" / "in" / "a.txt").write_text("x\nfail\n")
        assert run(folder) == 0
    finally:
        os.umask(before)
    state = list((folder / "state").iterdir())
    parts = list((folder / "data").rglob("part-*.jsonl"))
    assert state
    assert parts
    for path in state:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for path in parts:
        assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0, path


def test_a_job_file_that_others_may_write_to_is_refused(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = re.sub(r"\W", "_", folder.name) + ".py"
    (folder / name).chmod(0o666)
    for command in ("run", "check", "config", "graph", "checkpoint"):
        assert main([command, name]) == 2
        err = capfd.readouterr().err
        assert name in err
        assert "chmod o-w" in err
