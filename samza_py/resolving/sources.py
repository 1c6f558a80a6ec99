"""Where settings come from outside the code: a TOML or YAML file, the environment, ``--set``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, cast

from samza_py.errors import ConfigError

ENVIRONMENT = "SAMZA_"
CONTAINER = ("SAMZA_CONTAINER_COUNT", "SAMZA_CONTAINER_INDEX")
"""Variables that are read elsewhere: which container of how many this is."""

# Kubernetes sets SAMZA_JOB_SERVICE_HOST for a service named samza-job: not meant for us.
_KUBERNETES = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)

Lines: TypeAlias = dict[str, int]
Table: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Sources:
    """What may change a job from outside, weakest first.

    Attributes:
        file: a TOML or YAML file.
        environment: variables; only ``SAMZA_*`` are looked at, and not those that Kubernetes sets
            for a service of such a name.
        overrides: ``key=value`` texts of ``--set``.
    """

    file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    overrides: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """One value from outside, not yet matched with what the job has.

    Attributes:
        key: as a dotted key; for the environment the variable's name.
        value: text, or what the file's format made of it.
        source: for people: ``pricing.toml, line 3``.
        kind: which source it is of; decides how keys are matched.
    """

    key: str
    value: Any
    source: str
    kind: str


def read_file(path: Path, known: Collection[str]) -> list[Given]:
    """The settings of a file, with their lines.

    Args:
        path: ends in ``.toml``, ``.yaml`` or ``.yml``.
        known: keys that take a table as their value, which is then not read as keys itself.

    Raises:
        ConfigError: it is missing, cannot be read, or is not what its name says.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError("--config", f"there is no file {path}", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--config", f"cannot be read: {error}", str(path)) from error
    if path.suffix == ".toml":
        tree, lines = _toml(text, path)
    elif path.suffix in (".yaml", ".yml"):
        tree, lines = _yaml(text, path)
    else:
        raise ConfigError("--config", "must end in .toml, .yaml or .yml", str(path))
    if not isinstance(tree, dict):
        raise ConfigError(str(path), "must hold tables such as [job], [systems.kafka]")
    return [
        Given(key, value, _place(path, key, lines), "file")
        for key, value in _flat(cast("Table", tree), frozenset(known))
    ]


def read_environment(environment: Mapping[str, str]) -> list[Given]:
    """The variables that are meant for a job, by name."""
    return [
        Given(name, value, name, "environment")
        for name, value in sorted(environment.items())
        if name.startswith(ENVIRONMENT)
        and name not in CONTAINER
        and ("__" in name or not _KUBERNETES.search(name))
    ]


def read_overrides(overrides: Sequence[str]) -> Iterator[Given | ConfigError]:
    """What ``--set`` gave, or what is wrong with it."""
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            yield ConfigError("--set", "takes KEY=VALUE, such as job.commit_interval=5s", text)
        else:
            yield Given(key.strip(), value, "--set", "flag")


def _flat(tree: Table, known: frozenset[str], above: str = "") -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        key = f"{above}{name}"
        if isinstance(value, dict) and key not in known:
            yield from _flat(cast("Table", value), known, f"{key}.")
        else:
            yield key, value


def _place(path: Path, key: str, lines: Lines) -> str:
    while key not in lines and "." in key:
        key = key.rpartition(".")[0]
    return f"{path}, line {lines[key]}" if key in lines else str(path)


def _toml(text: str, path: Path) -> tuple[dict[str, Any], Lines]:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # A backslash begins an escape: `"C:\data"` fails, and `"C:\Users"` for another reason.
        windows = "Unescaped" in str(error) or "hex value" in str(error)
        hint = "; write a Windows path in single quotes: 'C:\\data'" if windows else ""
        raise ConfigError(str(path), f"is not TOML: {error}{hint}") from None
    return tree, _toml_lines(text)


def _toml_lines(text: str) -> Lines:
    """Where keys stand. Python's reader tells no lines, so each is read for its key alone."""
    lines: Lines = {}
    table: list[str] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        try:
            if line.startswith("["):
                table = list(_path(tomllib.loads(line)))
                lines.setdefault(".".join(table), number)
            elif "=" in line and not line.startswith("#"):
                keys = _path(tomllib.loads(f"{line.partition('=')[0]} = 0"))
                lines.setdefault(".".join([*table, *keys]), number)
        except tomllib.TOMLDecodeError:
            continue  # inside a text or an array of several lines: not a key
    return lines


def _path(tree: object) -> Iterator[str]:
    while isinstance(tree, dict) and tree:
        name, tree = next(iter(cast("Table", tree).items()))
        yield name


def _yaml(text: str, path: Path) -> tuple[Any, Lines]:
    try:
        import yaml
    except ModuleNotFoundError:
        why = 'needs PyYAML: pip install "samza-py[yaml]", or write the settings as TOML'
        raise ConfigError(str(path), why) from None
    try:
        tree = yaml.safe_load(text)
        lines: Lines = {}
        _yaml_lines(yaml.compose(text, Loader=yaml.SafeLoader), "", lines)
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"is not YAML: {' '.join(str(error).split())}") from None
    return ({} if tree is None else _with_text_keys(tree)), lines


def _yaml_lines(node: Any, above: str, lines: Lines) -> None:
    if node is None or node.id != "mapping":
        return
    for key, value in node.value:
        name = f"{above}{key.value}"
        lines.setdefault(name, key.start_mark.line + 1)
        _yaml_lines(value, f"{name}.", lines)


def _with_text_keys(tree: Any) -> Any:
    # YAML makes numbers and truth values of bare keys; a setting's name is always text.
    if isinstance(tree, dict):
        table = cast("dict[object, object]", tree)
        return {str(key): _with_text_keys(value) for key, value in table.items()}
    return tree
