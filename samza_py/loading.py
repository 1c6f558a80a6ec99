"""Finding the job that a command line names, and running one that a program holds.

    samza-py run FILE.py[:name]          a file; its folder goes on the path
    samza-py run package.module[:name]   a module on the path; so does the current folder

A job file is code and runs with the rights of whoever starts it. It is imported under its own
name and never as ``__main__``, so ``if __name__ == "__main__": job.run()`` stays quiet.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import re
import stat
import sys
import traceback
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from samza_py import connectors
from samza_py.errors import ConfigError, JobFileError
from samza_py.interruption import end_watch, say_interrupted
from samza_py.job import Job
from samza_py.nearest import nearest

_NAME = re.compile(r"^(?P<place>.*?)(?::(?P<name>[A-Za-z_]\w*))?$", re.DOTALL)

_loading: ContextVar[bool] = ContextVar("samza_py_loading", default=False)

#: What ends so is meant as a file, unless it is a module of a package.
_FILES = re.compile(r"\.(cfg|csv|ini|ipynb|jsonl?|md|py[ciw]|sh|toml|txt|ya?ml)$")

#: Systems that are planned and not there yet, by the module that they will be.
_PLANNED = {
    "samza_py.connectors.kinesis": "Amazon Kinesis",
    "samza_py.connectors.eventhubs": "Azure Event Hubs",
    "samza_py.connectors.elasticsearch": "Elasticsearch",
    "samza_py.connectors.hdfs": "HDFS",
}

DECLARE = 'from samza_py import Job\n\n    job = Job("orders")'


def load_job(target: str) -> Job[Any]:
    """Import the file or module that a command line names, and find its job.

    Args:
        target: ``FILE.py``, ``package.module``, or either with ``:name`` of the variable.

    Raises:
        ConfigError: there is no such file, no job in it, or several and none was named.
        JobFileError: its code raised.
    """
    end_watch()  # the user's own code may have something to put in order
    found = _NAME.match(target)
    assert found is not None  # the pattern matches every text
    place, name = found["place"], found["name"]
    if not place:
        raise ConfigError("JOB", "names no file; write it as orders.py or orders.py:job", target)
    module = _import_file(place) if _is_file_name(place) else _import_module(place)
    return _job_in(module, place, name)


def run_from_main(job: Job[Any]) -> None:
    """Run a job from its own file with this process's arguments, then end the process.

    Args:
        job: the one to run; the arguments are those of ``samza-py run``, without the job.

    Raises:
        ConfigError: the file is being imported, not run; or an event loop runs here already.
    """
    if _loading.get():
        why = 'stands outside of `if __name__ == "__main__":`; move it below such a line'
        raise ConfigError("job.run()", why)
    if _in_a_loop():
        why = "starts an event loop, and one runs here already; write `await job.arun()`"
        raise ConfigError("job.run()", why)
    try:
        from samza_py.cli.running import run_here

        code = run_here(job, sys.argv)
    except KeyboardInterrupt:
        code = say_interrupted()
    sys.exit(code)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def run_in_loop(job: Job[Any]) -> None:
    """Run a job in the running loop until it ends, for notebooks. Cancelling it stops it.

    Settings come from the code and the environment; nothing is shown and no signal is caught.

    Raises:
        ConfigError: it cannot run as declared; names every problem.
        SamzaError: it failed.
    """
    # In a thread: the first import of pydantic and of the runtime takes a while.
    run = await asyncio.to_thread(_checked, job)
    await run()


def _checked(job: Job[Any]) -> Callable[[], Awaitable[None]]:
    """Check a job against code and environment; what runs it."""
    from samza_py.planning import one_error, problems
    from samza_py.resolving import Sources, resolve
    from samza_py.runtime.container import Container

    resolution = resolve(job, Sources(environment=os.environ))
    found = [*resolution.problems, *problems(resolution.resolved)]
    if found:
        raise one_error(job.name, found)
    return lambda: Container(resolution.resolved).run()


# Importing -----------------------------------------------------------------------------------


def _is_file_name(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place or Path(place).exists()


def _import_file(place: str) -> ModuleType:
    path = Path(place)
    _check_file(path, place)
    name = re.sub(r"\W", "_", path.stem)
    if name in sys.stdlib_module_names:
        why = f"hides Python's own module {name} from everything it imports; rename the file"
        raise ConfigError("JOB", why, place)
    refuse_writable_by_all(path)
    for folder in _import_folders(path.resolve()):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path.resolve())
    if spec is None or spec.loader is None:
        raise ConfigError("JOB", "is not a Python file; its name must end in .py", place)
    module = importlib.util.module_from_spec(spec)
    # Types are looked up by their module's name later on, so it must be found there.
    sys.modules[name] = module
    with _users_errors(place, str(path.resolve())):
        spec.loader.exec_module(module)
    return module


def _import_folders(file: Path) -> list[str]:
    """Where what a job file imports is looked for, the last one first.

    Beside it, as Python itself does; and for a file in a package, where that package is found.
    """
    above = file.parent
    while (above / "__init__.py").is_file():
        above = above.parent
    return [str(above), str(file.parent)] if above != file.parent else [str(above)]


def _check_file(path: Path, place: str) -> None:
    if path.is_dir():
        inside = sorted(p.name for p in path.glob("*.py"))[:5]
        such = path / inside[0] if inside else "orders.py"
        where = "in it" if inside else "of a job"
        raise ConfigError("JOB", f"is a folder; name a file {where}, such as {such}", place)
    if path.is_file():
        if not os.access(path, os.R_OK):
            raise ConfigError("JOB", "cannot be read: you lack the right to; chmod u+r it", place)
        return
    if "\\" in place and Path(place.replace("\\", "/")).is_file():
        raise ConfigError("JOB", f"write it with slashes: {place.replace(chr(92), '/')}", place)
    beside = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
    close = nearest(path.name, beside)
    hint = f"; did you mean {path.parent / close}?" if close else ""
    if not hint and path.suffix != ".py":
        hint = "; the name of a job file ends in .py"
    elif not hint and "\\" not in place:
        hint = f"; `samza-py new {place}` writes one to begin with"
    raise ConfigError("JOB", f"there is no such file in {Path.cwd()}{hint}", place)


def _import_module(place: str) -> ModuleType:
    if not all(part.isidentifier() for part in place.split(".")):
        why = "is neither a file (orders.py) nor a module (package.module)"
        raise ConfigError("JOB", why, place)
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if _FILES.search(place) and not _is_package(place.partition(".")[0]):
        _check_file(Path(place), place)
    try:
        spec = importlib.util.find_spec(place)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        why = f"there is no module of this name in {folder}, nor installed for {sys.executable}"
        raise ConfigError("JOB", why, place)
    if spec.origin is not None and Path(spec.origin).is_file():
        refuse_writable_by_all(Path(spec.origin))
    with _users_errors(place, spec.origin or ""):
        return importlib.import_module(place)


def _is_package(name: str) -> bool:
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.submodule_search_locations is not None


def refuse_writable_by_all(path: Path) -> None:
    """Refuse code that any user of the machine could have written.

    Who may write to its folder may put another file in its place, unless the sticky bit is set.

    Raises:
        ConfigError: everybody may write to the file or its folder.
    """
    if os.name != "posix":
        return
    if path.stat().st_mode & stat.S_IWOTH:
        why = "everybody on this machine may change it, and it would run as you; chmod o-w it"
        raise ConfigError("JOB", why, str(path))
    for folder in {path.absolute().parent, path.resolve().parent}:  # of the link, too, if it is one
        if folder.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            why = (
                f"everybody on this machine may exchange {path.name} in it, and that would run as "
                "you; chmod o-w it"
            )
            raise ConfigError("JOB", why, str(folder))


@contextmanager
def _users_errors(place: str, file: str) -> Generator[None]:
    token = _loading.set(True)
    try:
        yield
    except ConfigError as error:
        raise ConfigError(
            _line_in(error, place, file) + error.key, error.why, error.value
        ) from None
    except Exception as error:
        planned = _planned(error)
        if planned is not None:
            raise ConfigError(_line_in(error, place, file) + "import", planned) from None
        raise JobFileError(place, _why(error)) from error
    except SystemExit as error:
        raise ConfigError(
            place, f"ended Python while it was imported (code {error.code})"
        ) from None
    finally:
        _loading.reset(token)


def _planned(error: Exception) -> str | None:
    """What to say of a system that is planned; None where the error is another."""
    if not isinstance(error, ImportError) or error.name is None:
        return None
    name = error.name
    if name == "samza_py.connectors":  # from samza_py.connectors import kafka
        found = re.match(r"cannot import name '(\w+)'", error.msg)
        name = f"{name}.{found[1]}" if found else name
    if name not in _PLANNED:
        return None
    here = ", ".join(sorted(part.name for part in iter_modules(connectors.__path__)))
    return f"{name}: {_PLANNED[name]} is planned and not there yet; there are: {here}"


def _line_in(error: Exception, place: str, file: str) -> str:
    """Where in the job file a wrong value was written."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return f"{place}, line {lines[-1]}: " if lines else ""


def _why(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return "is not valid Python"
    if isinstance(error, ModuleNotFoundError):
        return f"imports {error.name}, which is not installed for {sys.executable}{_meant(error)}"
    if isinstance(error, ImportError):
        return f"imports what is not there{_meant(error)}"
    return f"failed while it was imported: {type(error).__name__}"


def _meant(error: ImportError) -> str:
    """Which module, or which name of one, was probably meant."""
    name = error.name or ""
    wrong = re.match(r"cannot import name '(\w+)'", error.msg)
    above, _, last = name.rpartition(".")
    if wrong is not None:
        known, last, above = dir(sys.modules.get(name)), wrong[1], name
    elif above in sys.modules:
        paths = getattr(sys.modules[above], "__path__", [])
        known = [module.name for module in iter_modules(paths)]
    else:
        known = [] if above else sorted(sys.stdlib_module_names)
    close = nearest(last, known, likeness=0.75)
    if close is None:
        return ""
    return f"; did you mean {close} of {above}?" if above else f"; did you mean {close}?"


# Finding the job -----------------------------------------------------------------------------


def _job_in(module: ModuleType, place: str, name: str | None) -> Job[Any]:
    jobs: dict[str, Job[Any]] = {n: v for n, v in vars(module).items() if isinstance(v, Job)}
    if name is not None:
        return _named_job(module, place, name, jobs)
    # One job under two names is one job.
    different = {id(job): (variable, job) for variable, job in reversed(jobs.items())}
    if len(different) == 1:
        return next(iter(jobs.values()))
    if not different:
        raise ConfigError(place, f"declares no job; at its top level, write\n\n    {DECLARE}\n")
    pairs = reversed(different.values())
    listed = "".join(f"\n  {place}:{variable}   ({job.name})" for variable, job in pairs)
    raise ConfigError(place, f"declares {len(different)} jobs; name the one you mean{listed}")


def _named_job(module: ModuleType, place: str, name: str, jobs: dict[str, Job[Any]]) -> Job[Any]:
    if name in jobs:
        return jobs[name]
    value: object = getattr(module, name, None)
    if value is not None:
        why = f"is a {type(value).__name__}, not a Job"
    else:
        close = nearest(name, jobs)
        why = "is not in the file" + (f"; did you mean {place}:{close}?" if close else "")
        if not close and jobs:
            why += f"; there are: {', '.join(jobs)}"
    raise ConfigError(f"{place}:{name}", why)
