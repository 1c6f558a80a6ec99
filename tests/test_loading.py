"""The job that a command line names is found, and a file that holds none says how to mend it."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError, JobFileError
from samza_py.job import Job
from samza_py.loading import load_job, run_in_loop
from samza_py.message import Message
from samza_py.seam import Seam, use_seam


class Unwatched(Seam):
    """The real world without the thread that watches the loop, which these tests forbid to join."""

    watches_loop = False


ONE = "from samza_py import Job\njob = Job('pricing')\n"
TWO = "from samza_py import Job\npricing = Job('a')\nbilling = Job('b')\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


def refusal(target: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_job(target)
    return str(raised.value)


# Found -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["orders.py", "orders.py:job", "./orders.py", "orders", "orders:job"]
)
def test_a_job_is_found_in_a_file_or_a_module(target: str) -> None:
    write("orders.py", ONE)
    assert load_job(target).name == "pricing"


def test_a_job_is_found_in_a_module_of_a_package() -> None:
    write("shop/__init__.py", "")
    write("shop/pricing.py", ONE)
    assert load_job("shop.pricing:job").name == "pricing"


def test_a_file_elsewhere_imports_what_stands_beside_it() -> None:
    write("jobs/prices.py", "NAME = 'pricing'\n")
    write("jobs/orders.py", "import prices\nfrom samza_py import Job\njob = Job(prices.NAME)\n")
    assert load_job("jobs/orders.py").name == "pricing"


def test_one_of_several_jobs_is_named() -> None:
    write("orders.py", TWO)
    assert load_job("orders.py:billing").name == "b"


def test_one_job_under_two_names_is_one_job() -> None:
    write("orders.py", ONE + "again = job\n")
    assert load_job("orders.py").name == "pricing"
    assert load_job("orders.py:again").name == "pricing"


def test_a_file_whose_name_is_no_identifier_is_imported_all_the_same() -> None:
    write("my-orders.v2.py", ONE)
    assert load_job("my-orders.v2.py").name == "pricing"


def test_a_job_file_is_never_main() -> None:
    write("orders.py", ONE + "if __name__ == '__main__':\n    raise SystemExit('ran')\n")
    assert load_job("orders.py").name == "pricing"


def test_types_of_a_job_file_are_found_by_their_module() -> None:
    write(
        "orders.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import get_type_hints
        from samza_py import Job

        @dataclass
        class Order:
            parent: Order | None

        get_type_hints(Order)
        job = Job("pricing")
        """,
    )
    assert load_job("orders.py").name == "pricing"


# Not found ---------------------------------------------------------------------------------


def test_a_missing_file_is_told_with_what_resembles_it() -> None:
    write("orders.py", ONE)
    assert "did you mean orders.py?" in refusal("order.py")


def test_a_missing_file_that_resembles_none_is_told_how_to_begin() -> None:
    assert "`samza-py new orders.py` writes one" in refusal("orders.py")


@pytest.mark.parametrize("target", ["nosuch.txt", "nosuch.toml", "jobs/nosuch", "nosuch.json:job"])
def test_what_looks_like_a_file_is_told_as_a_missing_file(target: str) -> None:
    told = refusal(target)
    assert "there is no such file" in told
    assert "ends in .py" in told
    assert "module" not in told


def test_a_module_of_a_package_may_be_called_like_a_suffix() -> None:
    write("shop/__init__.py", "")
    write("shop/json.py", ONE)
    assert load_job("shop.json").name == "pricing"


def test_a_folder_is_told_what_is_in_it() -> None:
    write("jobs/orders.py", ONE)
    assert "name a file in it, such as jobs/orders.py" in refusal("jobs")


def test_a_path_with_backslashes_is_told_with_slashes() -> None:
    write("jobs/orders.py", ONE)
    assert "write it with slashes: jobs/orders.py" in refusal("jobs\\orders.py")


def test_a_missing_module_is_told_where_it_was_looked_for(folder: Path) -> None:
    assert str(folder) in refusal("no.such.module")
    assert "no module of this name" in refusal("no.such.module")


def test_a_name_that_is_neither_says_what_may_be_written() -> None:
    assert "neither a file (orders.py) nor a module" in refusal("orders!")
    assert "names no file" in refusal(":job")


def test_several_jobs_without_a_name_are_listed() -> None:
    write("orders.py", TWO)
    told = refusal("orders.py")
    assert "orders.py:pricing   (a)" in told
    assert "orders.py:billing   (b)" in told


def test_a_file_without_a_job_says_how_to_declare_one() -> None:
    write("orders.py", "x = 1\n")
    assert 'job = Job("orders")' in refusal("orders.py")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pricin", "did you mean orders.py:pricing?"),
        ("Job", "is a type, not a Job"),
        ("zzz", "there are: pricing, billing"),
    ],
)
def test_a_wrong_name_of_a_job_is_told_what_there_is(name: str, told: str) -> None:
    write("orders.py", TWO)
    assert told in refusal(f"orders.py:{name}")


# Refused -----------------------------------------------------------------------------------


def test_a_file_that_everybody_may_write_is_refused_unread() -> None:
    path = write("orders.py", "raise RuntimeError('was read')")
    path.chmod(0o666)
    assert "chmod o-w it" in refusal("orders.py")


def test_a_module_that_everybody_may_write_is_refused_unread() -> None:
    write("shop/__init__.py", "")
    write("shop/orders.py", "raise RuntimeError('was read')").chmod(0o666)
    assert "chmod o-w it" in refusal("shop.orders")


@pytest.mark.parametrize("target", ["shop/orders.py", "shop.orders"])
def test_a_folder_in_which_everybody_may_exchange_the_file_is_refused(target: str) -> None:
    write("shop/__init__.py", "")
    folder = write("shop/orders.py", "raise RuntimeError('was read')").parent
    folder.chmod(0o777)
    assert re.search(r"shop.*everybody on this machine may exchange orders.py", refusal(target))


def test_the_folder_of_a_link_to_the_file_is_looked_at_too() -> None:
    path = write("shop/orders.py", "raise RuntimeError('was read')")
    links = write("links/other", "").parent
    (links / "orders.py").symlink_to(path.resolve())
    links.chmod(0o777)
    assert "may exchange orders.py" in refusal("links/orders.py")


def test_a_folder_with_the_sticky_bit_is_not_refused() -> None:
    write("shop/orders.py", ONE).parent.chmod(0o1777)
    assert load_job("shop/orders.py").name == "pricing"


def test_a_file_that_hides_a_module_of_python_is_refused() -> None:
    write("queue.py", ONE)
    assert "hides Python's own module queue" in refusal("queue.py")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def x(:\n", "is not valid Python"),
        (
            "import nothing_of_this_name\n",
            "imports nothing_of_this_name, which is not installed for",
        ),
        ("1 / 0\n", "failed while it was imported: ZeroDivisionError"),
        ("from samza_py import DeadLeter\n", "did you mean DeadLetter of samza_py[?]"),
        ("import samza_py.connectors.file\n", "did you mean files of samza_py.connectors[?]"),
        ("import dataclass\n", "did you mean dataclasses[?]"),
        ("from samza_py import xyz\n", "imports what is not there$"),
    ],
)
def test_an_error_of_the_file_is_kept_as_the_cause(text: str, told: str) -> None:
    write("orders.py", text)
    with pytest.raises(JobFileError, match=f"(?m){told}") as raised:
        load_job("orders.py")
    assert raised.value.__cause__ is not None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "from samza_py.connectors.eventhubs import EventHubs\n",
            "Azure Event Hubs is planned and not there yet",
        ),
        (
            "from samza_py.connectors import kinesis\n",
            "Amazon Kinesis is planned and not there yet",
        ),
        ("import samza_py.connectors.hdfs.files\n", "HDFS is planned and not there yet"),
    ],
)
def test_a_planned_system_is_told_as_such_with_those_that_are_there(text: str, told: str) -> None:
    write("orders.py", text)
    refused = refusal("orders.py")
    assert refused.startswith("orders.py, line 1: import")
    assert told in refused
    assert "there are: files, kafka, local, memory" in refused


def test_a_wrong_value_in_the_file_is_named_with_its_line() -> None:
    write("orders.py", "from samza_py import Job\n\njob = Job('pricing', commit_interval='soon')\n")
    assert refusal("orders.py").startswith("orders.py, line 3: job.commit_interval_s = 'soon'")


def test_a_file_that_ends_python_is_named() -> None:
    write("orders.py", "import sys\nsys.exit(3)\n")
    assert "ended Python while it was imported (code 3)" in refusal("orders.py")


def test_running_a_job_outside_of_main_is_explained() -> None:
    write("orders.py", ONE + "job.run()\n")
    told = refusal("orders.py")
    assert told.startswith("orders.py, line 3: job.run()")
    assert 'if __name__ == "__main__"' in told


# Notebooks ---------------------------------------------------------------------------------


async def test_a_job_runs_in_the_running_loop() -> None:
    memory = Memory()
    orders = memory.stream("orders", key=str, value=int, finite=True)
    doubled = memory.stream("doubled", key=str, value=int)
    memory.put_all(orders, [("a", 1), ("b", 2)])
    job = Job("doubling")

    @job.task(orders, to=doubled)
    async def double(order: Message[str, int]) -> int:
        return order.value * 2

    with use_seam(Unwatched()):
        await run_in_loop(job)
    assert sorted(message.value for message in memory.read(doubled)) == [2, 4]


async def test_a_job_that_cannot_run_is_refused_in_the_loop_with_all_its_problems(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SAMZA_JOB__MAX_THREAD", "3")
    job: Job[Any] = Job("empty")
    with pytest.raises(ConfigError) as raised:
        await run_in_loop(job)
    assert "MAX_THREADS" in str(raised.value)
    assert "declares no task" in str(raised.value)


async def test_a_job_that_is_run_inside_a_loop_is_told_to_be_awaited() -> None:
    with pytest.raises(ConfigError, match=r"job\.run\(\): .*write `await job\.arun\(\)`"):
        Job("orders").run()


def test_a_file_in_a_package_finds_what_is_beside_it_and_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    shop = Path("a_shop/of_orders")
    shop.mkdir(parents=True)
    for folder in (shop.parent, shop):
        (folder / "__init__.py").write_text("")
    (shop / "names.py").write_text("NAME = 'in-a-package'\n")
    (shop / "job_in_package.py").write_text(
        "from a_shop.of_orders.names import NAME\nimport names\n"
        "from samza_py import Job\njob = Job(NAME)\nassert names.NAME == NAME\n"
    )
    assert load_job("a_shop/of_orders/job_in_package.py").name == "in-a-package"
