"""What of a job can be set from outside, how it is named, and how it is shown."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, cast

from samza_py.job import Job
from samza_py.monitoring.settings import Monitoring
from samza_py.options import JobOptions
from samza_py.resolving.sources import ENVIRONMENT
from samza_py.system import AnyStream
from samza_py.values import HIDDEN, Secret

_SECRET_NAME = re.compile(
    r"password|passwd|passphrase|secret|token|credential|api_?key|access_?key|private_?key"
    r"|connection_?string|sasl_jaas",
    re.IGNORECASE,
)
# The rest of an address is worth showing; what lets somebody in is not.
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SIGNATURE = re.compile(r"(?i)\b(sig|signature|SharedAccessKey|AccountKey|password|token)=[^&;\s]+")


_PLAIN = (
    str, bytes, bool, int, float, timedelta, Enum, Secret, PurePath,
    Mapping, Sequence, Set,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set from outside.

    Attributes:
        parts: its key in parts, since names of systems and streams may hold dots.
        annotation: what its values must be.
        value: what the code says.
        default: whether the code left it alone.
        secret: never shown, never taken from a command line.
        from_file: the value names a file that holds the secret.
        also: other spellings of the key, in parts.
    """

    parts: tuple[str, ...]
    annotation: Any
    value: Any
    default: bool
    secret: bool = False
    from_file: bool = False
    also: tuple[tuple[str, ...], ...] = ()

    @property
    def key(self) -> str:
        """The dotted key, as files and ``--set`` write it."""
        return ".".join(self.parts)

    def keys(self) -> Iterator[str]:
        """Every spelling of the key."""
        for parts in (self.parts, *self.also):
            yield ".".join(parts)

    def variables(self) -> Iterator[str]:
        """The environment variables that set it."""
        for parts in (self.parts, *self.also):
            yield ENVIRONMENT + "__".join(re.sub(r"\W", "_", part).upper() for part in parts)


@dataclass(frozen=True, slots=True)
class Shown:
    """A setting after merging, as people may see it: its key, its value, and who set it."""

    key: str
    value: str
    source: str


def settings_of(job: Job[Any]) -> list[Setting]:
    """Everything of a job that can be set from outside."""
    found = list(_option_settings(job.options))
    for name, system in job.systems.items():
        found.extend(_field_settings(("systems", name), system))
    found.extend(_stream_settings(job.streams))
    found.extend(_field_settings(("monitoring",), Monitoring()))
    return found


def _option_settings(options: JobOptions) -> Iterator[Setting]:
    hints = typing.get_type_hints(JobOptions)
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        also = (("job", field.name[:-2]),) if field.name.endswith("_s") else ()
        # Durations and sizes are read by the options themselves, which know their units.
        annotation = Any if field.name.endswith(("_s", "_bytes")) else hints[field.name]
        parts = ("job", field.name)
        yield Setting(parts, annotation, value, value == field.default, also=also)


def _field_settings(above: tuple[str, ...], holder: object) -> Iterator[Setting]:
    if not dataclasses.is_dataclass(holder):
        return
    try:
        hints = typing.get_type_hints(type(holder))
    except Exception:  # a name that only the type checker knows: taken as it comes
        hints = {}
    for field in dataclasses.fields(holder):
        if (
            not field.init
            or field.name.startswith("_")
            or (len(above) == 2 and field.name == "name")
        ):
            continue
        value = getattr(holder, field.name)
        parts = (*above, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from _field_settings(parts, value)
            continue
        annotation = hints.get(field.name, Any)
        if not _plain(annotation):
            continue
        secret = _is_secret(field.name, annotation)
        yield Setting(parts, annotation, value, _is_default(field, value), secret)
        if secret:
            file = (*above, f"{field.name}_file")
            yield Setting(file, annotation, None, default=True, secret=True, from_file=True)


def _stream_settings(streams: Mapping[str, AnyStream]) -> Iterator[Setting]:
    names = [stream.name for stream in streams.values()]
    for stream in streams.values():
        full = ("streams", str(stream), "name")
        # A name that two systems use must say which is meant.
        short = ("streams", stream.name, "name") if names.count(stream.name) == 1 else full
        default = stream.physical == stream.name
        yield Setting(short, str, stream.physical, default, also=(full,))


def _plain(annotation: Any) -> bool:
    """Whether text can spell a value of it; a client object or a function is left to the code."""
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_plain(member) for member in typing.get_args(annotation))
    if origin in (Literal, Annotated) or annotation is Any:
        return True
    kind = origin or annotation
    return isinstance(kind, type) and issubclass(kind, _PLAIN)


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default is not dataclasses.MISSING:
        return bool(field.default == value)
    if field.default_factory is not dataclasses.MISSING:
        return bool(field.default_factory() == value)
    return False


def _is_secret(name: str, annotation: Any) -> bool:
    kinds = (annotation, *typing.get_args(annotation))
    # A connector of somebody else's may keep a password as plain text: its name tells.
    return Secret in kinds or (str in kinds and _SECRET_NAME.search(name) is not None)


def shown(value: object) -> str:
    """A value as people may see it: secrets hidden, also those inside addresses; never long."""
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, Enum):
        return shown(value.value)
    if isinstance(value, str | PurePath):
        masked = _USER_INFO.sub(HIDDEN, str(value))
        return _cut(repr(_SIGNATURE.sub(rf"\1={HIDDEN}", masked)))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if value is None or isinstance(value, int | float) else _shown_whole(value)


def _shown_whole(value: object) -> str:
    if isinstance(value, Mapping):
        table = cast("Mapping[object, object]", value)
        items = (f"{k}: {HIDDEN if _hides(k, v) else shown(v)}" for k, v in table.items())
        return _cut("{" + ", ".join(items) + "}")
    if isinstance(value, list | tuple | set | frozenset):
        return _cut("[" + ", ".join(shown(item) for item in cast("list[object]", value)) + "]")
    # What another object prints of itself is not known to be harmless.
    return f"<{getattr(value, '__name__', type(value).__name__)}>"


def _hides(key: object, value: object) -> bool:
    return isinstance(value, str) and _SECRET_NAME.search(str(key)) is not None


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def secrets_of(holder: object, name: str = "", depth: int = 6) -> Iterator[str]:
    """Every secret text in a value: what must never be printed, wherever it may turn up."""
    if isinstance(holder, Secret):
        yield holder.reveal()
    elif isinstance(holder, str):
        if _SECRET_NAME.search(name):
            yield holder
        for info in _USER_INFO.findall(holder):
            yield info.partition(":")[2] or info
    elif depth:
        for inner, value in _parts(holder):
            yield from secrets_of(value, inner or name, depth - 1)


def _parts(holder: object) -> Iterator[tuple[str, object]]:
    """What a mapping, a sequence or a dataclass holds, with its names where it has some."""
    if isinstance(holder, Mapping):
        for key, value in cast("Mapping[object, object]", holder).items():
            yield str(key), value
    elif isinstance(holder, list | tuple | set | frozenset):
        for value in cast("list[object]", holder):
            yield "", value
    elif dataclasses.is_dataclass(holder) and not isinstance(holder, type):
        for field in dataclasses.fields(holder):
            yield field.name, getattr(holder, field.name, None)
