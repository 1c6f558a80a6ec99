"""`check`, `config`, `graph`, `checkpoint`, `new`: what they print; and they run nothing."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from samza_py.cli import main

JOB = """
from dataclasses import dataclass
from samza_py import DeadLetter, Job, Message, Record, Retry, Secret, Skip
from samza_py.connectors.memory import Memory

memory = Memory()
orders = memory.stream("orders", key=str, value=int)
refunds = memory.stream("refunds", key=str, value=int)
priced = memory.stream("priced", key=str, value=int)
job = Job("pricing", commit_interval="2s")
counts = job.store("counts", key=str, value=int)

@job.task(orders, refunds, to=priced, max_concurrency=64, timeout="5s", stores=[counts],
          on_error=Retry(3, then=DeadLetter(memory.stream("orders.dead"))))
async def price(order: Message[str, int]) -> int:
    raise RuntimeError("was run")

@job.batch_task(priced, on_error=Skip())
def tally(batch):
    return None
"""

DRAWN = """\
pricing

                   ╭───────────────────────╮
  memory.orders ──▶│ price                 ├──▶ memory.priced   ↳ tally
  memory.refunds ─▶│ async, 64 at once     ├╌╌▶ memory.orders.dead   what fails 3 times
                   │ timeout 5 s           │
                   │ state: counts         │
                   ╰───────────────────────╯

                   ╭───────────────────────╮
  memory.priced ──▶│ tally                 │
                   │ def, batches of 1,000 │
                   │ skips what fails      │
                   ╰───────────────────────╯

  memory         reads orders, priced, refunds · writes orders.dead, priced
"""

MERMAID = """\
flowchart LR
    subgraph y0["memory"]
        s0[/"orders"/]
        s1[/"refunds"/]
        s2[/"priced"/]
        s3[/"orders.dead"/]
    end
    t0("price<br/>async, 64 at once<br/>timeout 5 s")
    s0 --> t0
    s1 --> t0
    t0 --> s2
    t0 -. "what fails 3 times" .-> s3
    k0[("counts")]
    t0 <--> k0
    t1("tally<br/>def, batches of 1,000<br/>skips what fails")
    s2 --> t1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in os.environ if name.startswith("SAMZA_")]:
        monkeypatch.delenv(name)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(text: str, name: str = "orders.py") -> Path:
    path = Path(name)
    path.write_text(dedent(text))
    return path


# check -------------------------------------------------------------------------------------


def test_check_says_that_nothing_stands_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    write(JOB)
    assert main(["check", "orders.py"]) == 0
    out, err = capsys.readouterr()
    assert "pricing: 2 handlers, 4 streams, 1 system: nothing stands in its way" in out
    assert "checkpoints would be kept in" in out
    assert err == ""


@pytest.mark.parametrize("command", ["check", "graph", "checkpoint"])
def test_the_place_of_the_checkpoints_is_printed_as_it_is(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/var/ann")
    head = "from samza_py.connectors.local import LocalCheckpoints\n"
    named = JOB.replace('Job("pricing", ', 'Job("pricing", checkpoints=LocalCheckpoints(), ')
    write(head + named)
    assert main([command, "orders.py"]) == 0
    assert "/var/ann/samza-py/pricing/checkpoints.log" in capsys.readouterr().out


def test_check_names_every_problem_and_warning(capsys: pytest.CaptureFixture[str]) -> None:
    write(JOB + "\njob.store('unused', key=str, value=int)\n")
    file = write("[job]\nmax_thread = 1\n[streams.order]\nname = 'x'\n", "prod.toml")
    assert main(["check", "orders.py", "--config", str(file)]) == 2
    _, err = capsys.readouterr()
    assert "warning: store unused: no task uses it" in err
    assert "prod.toml, line 2" in err
    assert "prod.toml, line 4" in err
    assert "pricing: 2 problems; it would not start" in err


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_handler_that_cannot_work_is_named_before_anything_is_opened(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(JOB.replace("price(order: Message[str, int]) -> int", "price(order: int) -> str"))
    assert main([command, "orders.py"]) == 2
    _, err = capsys.readouterr()
    assert (
        "samza-py: job pricing, task price, parameter order, orders.py:13: is a Message, and no "
        "int; write `order: Message[str, int]` and read order.value\n"
        "samza-py: job pricing, task price, orders.py:13: says that it returns str, but its output "
        "memory.priced takes int; "
    ) in err


# config ------------------------------------------------------------------------------------


def test_config_prints_each_value_with_who_set_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(JOB)
    monkeypatch.setenv("SAMZA_JOB__MAX_THREADS", "3")
    assert main(["config", "orders.py", "--set", "streams.orders.name=o2"]) == 0
    lines = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}
    assert lines["job.commit_interval_s"] == ["2", "s", "job", "file"]
    assert lines["job.max_threads"] == ["3", "SAMZA_JOB__MAX_THREADS"]
    assert lines["streams.orders.name"] == ["'o2'", "--set"]
    assert lines["job.profile"] == ["'default'", "default"]


# graph -------------------------------------------------------------------------------------


def test_graph_draws_the_job_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    write(JOB)
    assert main(["graph", "orders.py"]) == 0
    assert capsys.readouterr().out.startswith(DRAWN)


def test_graph_writes_mermaid(capsys: pytest.CaptureFixture[str]) -> None:
    write(JOB)
    assert main(["graph", "orders.py", "--format", "mermaid"]) == 0
    assert capsys.readouterr().out == MERMAID


def test_graph_draws_with_ascii_where_the_terminal_knows_no_more() -> None:
    write(JOB)
    done = subprocess.run(
        [sys.executable, "-m", "samza_py", "graph", "orders.py"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )
    assert "memory.orders -->| price" in done.stdout.decode("ascii")


def test_graph_draws_a_job_with_problems_too(capsys: pytest.CaptureFixture[str]) -> None:
    write(JOB)
    assert main(["graph", "orders.py", "--set", "job.nothing=1"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(DRAWN)
    assert "job.nothing" in err


def test_graph_into_a_closed_pipe_says_nothing() -> None:
    write(JOB)
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "samza_py", "graph", "orders.py"],
        stdout=written,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(written)
    assert (done.returncode, done.stderr) == (1, "")


# checkpoint --------------------------------------------------------------------------------


def test_checkpoint_says_that_there_is_none_yet(capsys: pytest.CaptureFixture[str]) -> None:
    write(JOB)
    assert main(["checkpoint", "orders.py"]) == 0
    assert "none yet: a run starts where its inputs say" in capsys.readouterr().out


# new ---------------------------------------------------------------------------------------


def test_new_overwrites_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("mine", "first.py")
    assert main(["new", "first.py"]) == 2
    assert "exists already, nothing was written; choose another name" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["first.py"]
    write("mine too", "second-input.jsonl")
    assert main(["new", "second.py"]) == 2
    assert not Path("second.py").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("first", "must end in .py"),
        ("queue.py", "would hide Python's own module queue"),
        ("none/first.py", "cannot be written: No such file or directory"),
    ],
)
def test_new_says_why_it_cannot(name: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", name]) == 2
    assert told in capsys.readouterr().err


# Usage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rnu", "orders.py"], "did you mean: samza-py run\n"),
        (["orders.py"], "did you mean: samza-py run orders.py"),
        (["orders.py:job"], "did you mean: samza-py run orders.py:job"),
        ([], "COMMAND"),
        (["run"], "see: samza-py run --help"),
        (["check", "orders.py", "--sett", "a=b"], "--sett a=b; did you mean --set?"),
    ],
)
def test_wrong_usage_ends_with_two_and_a_hint(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    for command in ("run", "check", "config", "graph", "plan", "checkpoint", "new"):
        assert f"\n    {command} " in out
    for code in ("0 ", "1 ", "2 ", "130 "):
        assert f"\n  {code}" in out
    assert max(map(len, out.splitlines())) <= 90


def test_help_imports_nothing_that_takes_long() -> None:
    program = (
        "import sys\nfrom samza_py.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "slow = {'pydantic', 'rich', 'uvloop', 'fsspec', 'samza_py.runtime', 'yaml'}\n"
        "sys.exit(repr(slow & set(sys.modules)) if slow & set(sys.modules) else 0)\n"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The bar is 250 ms; a machine that runs other tests beside this one is given more.
    assert used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("samza-py ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["run", "orders.py", "--confg", "a.toml"],
            "samza-py run: does not know --confg a.toml; di",
        ),
        (["run", "orders.py", "--confg", "a.toml"], "did you mean --config?"),
        (["check", "orders.py", "more"], "samza-py check: does not know more\n"),
        (["graph", "orders.py", "--xyz"], "see: samza-py graph --help"),
    ],
)
def test_what_a_command_does_not_know_is_told_with_what_was_meant(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_new_says_how_to_make_the_folder_that_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["new", "nope/dir/job.py"]) == 2
    assert "make the folder first: mkdir -p nope/dir" in capsys.readouterr().err


def test_what_a_checkpoint_remembers_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "job.py"]) == 0
    done = subprocess.run([sys.executable, "job.py"], capture_output=True, check=False)
    assert done.returncode == 0
    assert main(["checkpoint", "job.py"]) == 0
    assert "    has told its handler the end of its inputs\n" in capsys.readouterr().out
