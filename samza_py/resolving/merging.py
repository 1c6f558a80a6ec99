"""The one function that makes a resolved job of a declared one and everything from outside."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from samza_py.checkpoint import Checkpoints
from samza_py.connectors.local import LocalCheckpoints
from samza_py.coordination import Coordination
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.monitoring.settings import Monitoring
from samza_py.nearest import nearest
from samza_py.options import JobOptions
from samza_py.resolved import ResolvedJob
from samza_py.resolving.conversion import converted
from samza_py.resolving.keeping import checkpoints_of, coordination_of
from samza_py.resolving.settings import Setting, Shown, secrets_of, settings_of, shown
from samza_py.resolving.sources import (
    CONTAINER,
    ENVIRONMENT,
    Given,
    Sources,
    read_environment,
    read_file,
    read_overrides,
)
from samza_py.system import AnyStream, System
from samza_py.values import HIDDEN, shown_size

T = TypeVar("T")

Chosen = dict[tuple[str, ...], tuple[Any, str]]
"""Converted values and their sources, by the parts of their setting."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What came of merging.

    Attributes:
        resolved: the job to run; where there are problems, with the code's values in their place.
        monitoring: where it is to listen for whoever watches it.
        shown: every setting with its value, secrets hidden, and who set it.
        problems: everything that is wrong in the sources.
        secrets: the secret texts of the job, for whoever must keep them out of an output.
    """

    resolved: ResolvedJob
    monitoring: Monitoring
    shown: tuple[Shown, ...]
    problems: tuple[ConfigError, ...]
    secrets: frozenset[str]


def resolve(
    job: Job[Any],
    sources: Sources | None = None,
    *,
    coordination: Coordination | None = None,
    ignore_checkpoint: bool = False,
) -> Resolution:
    """Merge code, file, environment and flags; later ones win.

    Args:
        job: the declaration; it is not changed.
        sources: what comes from outside; None for nothing.
        coordination: from the command line, instead of the job's.
        ignore_checkpoint: start from the inputs' configured start.
    """
    problems: list[ConfigError] = []
    settings = settings_of(job)
    chosen = _choose(settings, sources or Sources(), problems)
    options = _merged_options(job.options, chosen, problems)
    systems = {
        name: _merged(("systems", name), system, chosen, problems).for_profile(options.profile)
        for name, system in job.systems.items()
    }
    streams = {
        name: _merged_stream(stream, systems[stream.system.name], chosen, problems)
        for name, stream in job.streams.items()
    }
    resolved = ResolvedJob(
        job=job,
        options=options,
        systems=systems,
        streams=streams,
        checkpoints=_checkpoints(job, systems, problems),
        coordination=coordination if coordination is not None else coordination_of(job),
        ignore_checkpoint=ignore_checkpoint,
    )
    monitoring = _merged(("monitoring",), Monitoring(), chosen, problems)
    secrets = {
        text
        for holder in (*job.systems.values(), *systems.values(), monitoring)
        for text in secrets_of(holder)
        if text
    }
    return Resolution(
        resolved,
        monitoring,
        tuple(_shown(settings, chosen, options)),
        tuple(problems),
        frozenset(secrets),
    )


def _checkpoints(
    job: Job[Any], systems: Mapping[str, System], problems: list[ConfigError]
) -> Checkpoints:
    try:
        return checkpoints_of(job, systems)
    except ConfigError as error:
        problems.append(error)
        return LocalCheckpoints("checkpoints.log")  # never opened: there is a problem


# Matching ------------------------------------------------------------------------------------


def _choose(settings: Sequence[Setting], sources: Sources, problems: list[ConfigError]) -> Chosen:
    chosen: Chosen = {}
    by_key = {key: setting for setting in settings for key in setting.keys()}  # noqa: SIM118
    by_variable: dict[str, list[Setting]] = {}
    for setting in settings:
        for variable in dict.fromkeys(setting.variables()):
            by_variable.setdefault(variable, []).append(setting)
    for given in _all_given(sources, by_key, problems):
        try:
            by_name = given.kind == "environment"
            found = _by_variable(given, by_variable) if by_name else _by_key(given, by_key)
            chosen[_target(found)] = (converted(found, given), given.source)
        except ConfigError as error:
            problems.append(_located(error, given.source))
    return chosen


def _all_given(
    sources: Sources, by_key: Mapping[str, Setting], problems: list[ConfigError]
) -> list[Given]:
    found: list[Given] = []
    if sources.file is not None:
        try:
            found.extend(read_file(sources.file, by_key))
        except ConfigError as error:
            problems.append(error)
    found.extend(read_environment(sources.environment))
    for given in read_overrides(sources.overrides):
        if isinstance(given, ConfigError):
            problems.append(given)
        else:
            found.append(given)
    return found


def _by_key(given: Given, by_key: Mapping[str, Setting]) -> Setting:
    setting = by_key.get(given.key)
    if setting is None:
        raise ConfigError(given.key, f"is not a setting of this job; {_nearest(given.key, by_key)}")
    return setting


def _by_variable(given: Given, by_variable: Mapping[str, list[Setting]]) -> Setting:
    found = by_variable.get(given.key, [])
    if len(found) == 1:
        return found[0]
    if found:
        keys = " or ".join(setting.key for setting in found)
        raise ConfigError(given.key, f"could mean {keys}; set it in a file or with --set")
    plain = re.sub(r"_+", "_", given.key)
    for variable in by_variable:
        if re.sub(r"_+", "_", variable) == plain:
            raise ConfigError(given.key, f"needs two underscores between its parts: {variable}")
    near = _nearest(given.key, by_variable) if "__" in given.key else _meant(given.key, by_variable)
    raise ConfigError(given.key, f"is not a setting of this job; {near}")


def _meant(variable: str, known: Iterable[str]) -> str:
    """The nearest variable for one that has no parts: most often it lacks ``JOB__``."""
    names = {name: name for name in CONTAINER}
    for name in known:
        names[re.sub(r"_+", "_", name)] = name
        if name.startswith(f"{ENVIRONMENT}JOB__"):
            names[name.replace("JOB__", "", 1)] = name
    close = nearest(variable, names, likeness=0.75)
    if close:
        return f"did you mean {names[close]}?"
    return (
        f"settings begin with {ENVIRONMENT}JOB__, {ENVIRONMENT}SYSTEMS__, {ENVIRONMENT}STREAMS__ "
        f"or {ENVIRONMENT}MONITORING__"
    )


def _nearest(key: str, known: Iterable[str]) -> str:
    names = list(known)
    divider = "__" if key.startswith(ENVIRONMENT) else "."
    above, _, last = key.rpartition(divider)
    beside = {n.rpartition(divider)[2]: n for n in names if n.rpartition(divider)[0] == above}
    if beside:
        close = nearest(last, beside)
        return f"did you mean {beside[close]}?" if close else f"there are: {', '.join(beside)}"
    close = nearest(key, names, likeness=0.75)
    if close:
        return f"did you mean {close}?"
    tables = sorted({name.rpartition(divider)[0] for name in names})
    return f"settings stand below {', '.join(tables)}"


def _target(setting: Setting) -> tuple[str, ...]:
    last = setting.parts[-1]
    return (*setting.parts[:-1], last.removesuffix("_file") if setting.from_file else last)


def _located(error: ConfigError, source: str) -> ConfigError:
    if error.key == source or error.key.startswith("--"):
        return error
    return ConfigError(error.key, f"{error.why} ({source})", error.value)


# Merging -------------------------------------------------------------------------------------


def _merged_options(options: JobOptions, chosen: Chosen, problems: list[ConfigError]) -> JobOptions:
    for parts, (value, source) in chosen.items():
        if parts[0] != "job":
            continue
        try:
            options = dataclasses.replace(options, **{parts[1]: value})
        except ConfigError as error:
            problems.append(_located(error, source))
    return options


def _merged(above: tuple[str, ...], holder: T, chosen: Chosen, problems: list[ConfigError]) -> T:
    """A dataclass with what was chosen below its key; as it is, where that goes wrong."""
    depth = len(above)
    changes = {p[depth:]: v for p, v in chosen.items() if p[:depth] == above}
    if not changes:
        return holder
    try:
        return cast("T", _replaced(holder, {path: v for path, (v, _) in changes.items()}))
    except ConfigError as error:
        sources = [source for path, (_, source) in changes.items() if path[-1] in error.key]
        problems.append(_located(error, sources[0]) if sources else error)
        return holder


def _replaced(holder: Any, changes: Mapping[tuple[str, ...], Any]) -> Any:
    """A copy with fields replaced, also those of dataclasses inside."""
    fields: dict[str, Any] = {p[0]: value for p, value in changes.items() if len(p) == 1}
    for inner in {p[0] for p in changes if len(p) > 1}:
        below = {p[1:]: value for p, value in changes.items() if p[0] == inner and len(p) > 1}
        fields[inner] = _replaced(getattr(holder, inner), below)
    return dataclasses.replace(holder, **fields)


def _merged_stream(
    stream: AnyStream, system: System, chosen: Chosen, problems: list[ConfigError]
) -> AnyStream:
    physical, source = stream.physical, ""
    for name in (stream.name, str(stream)):
        physical, source = chosen.get(("streams", name, "name"), (physical, source))
    if physical != stream.physical:
        try:
            stream.check_physical(physical)
        except ConfigError as error:
            problems.append(_located(error, source))
            physical = stream.physical
    if physical == stream.physical and system is stream.system:
        return stream
    merged = copy.copy(stream)
    merged.physical = physical
    merged.system = system
    return merged


def _shown(settings: Sequence[Setting], chosen: Chosen, options: JobOptions) -> Iterable[Shown]:
    for setting in settings:
        if setting.from_file:
            continue
        value, source = chosen.get(
            setting.parts, (setting.value, "default" if setting.default else "job file")
        )
        if setting.parts[0] == "job":
            text = _option_text(setting.parts[1], getattr(options, setting.parts[1]))
        else:
            hidden = setting.secret and value not in (None, "")
            text = HIDDEN if hidden else shown(value)
        yield Shown(setting.key, text, source)


def _option_text(name: str, value: Any) -> str:
    """With its unit, as it could be written."""
    if name.endswith("_s"):
        return f"{value:g} s"
    return shown_size(value) if name.endswith("_bytes") else shown(value)
