"""Serdes: how the bytes of a stream become values and back.

A stream owns its serdes, handlers never see bytes they did not ask for. Most are made from a type
by ``serde_for``: ``str`` is UTF-8 text, ``bytes`` are left alone, anything else is JSON read into
that type by msgspec (or by pydantic where the type is a pydantic model).
"""

from __future__ import annotations

import functools
import types
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar, Union, cast, get_args, get_origin

import msgspec

from samza_py.errors import ConfigError

T = TypeVar("T")


class Serde(ABC, Generic[T]):
    """Turns stored data into values of one type and back. A value itself: holds no resource.

    The two factories are called once a container and task; what they return is called for every
    message on the event loop, so it must not block. Any exception that the returned functions
    raise counts as ``SerdeError`` and goes by the error policy of the input.
    """

    #: Whether a missing value (a tombstone) is a value of this type. Where it is not, a tombstone
    #: is undecodable. Missing *keys* are always allowed and arrive as None.
    nullable: bool = False

    @abstractmethod
    def decoder(self) -> Callable[[Any], T]:
        """A function from stored data (never None) to a value."""

    @abstractmethod
    def encoder(self) -> Callable[[T], Any]:
        """A function from a value to what is stored: bytes, or a row for columnar formats."""

    @property
    def content(self) -> object:
        """The Python type of its values, for ``check`` and for messages; None where unknown."""
        return None


def _same(data: Any) -> Any:
    return data


class Raw(Serde[bytes]):
    """Bytes, left as they are. What a stream without declared types has."""

    nullable = True

    def decoder(self) -> Callable[[Any], bytes]:
        """Gives the data back unchanged."""
        return _same

    def encoder(self) -> Callable[[bytes], Any]:
        """Gives the bytes back; anything else is refused with the type that came."""
        return _only_bytes

    @property
    def content(self) -> object:
        """``bytes``."""
        return bytes


def _only_bytes(value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    raise TypeError(f"the output takes bytes, not {type(value).__name__}; declare its type")


class Text(Serde[str]):
    """UTF-8 text."""

    def decoder(self) -> Callable[[Any], str]:
        """Decodes strictly: bytes that are not UTF-8 are undecodable."""
        return bytes.decode

    def encoder(self) -> Callable[[str], Any]:
        """Encodes as UTF-8."""
        return str.encode

    @property
    def content(self) -> object:
        """``str``."""
        return str


class Json(Serde[T]):
    """JSON text of one type: ``Json[Order]()``, ``Json[Order | Refund]()``, or ``Json(Order)``.

    Args:
        of: the type, where it is not given in brackets. ``Json()`` alone reads plain Python values.
    """

    def __init__(self, of: type[T] | None = None) -> None:
        self._of: object = of

    @property
    def content(self) -> object:
        """The type inside the brackets; ``Any`` where there is none."""
        if self._of is None:
            # typing sets __orig_class__ only after __init__ has returned, so it is read late.
            alias = getattr(self, "__orig_class__", None)
            self._of = get_args(alias)[0] if alias is not None else Any
        return self._of

    @property
    def nullable(self) -> bool:  # type: ignore[override]  # derived from the type, not set
        """Whether the type admits None."""
        return admits_none(self.content)

    def decoder(self) -> Callable[[Any], T]:
        """Reads and validates in one pass."""
        of = self.content
        if _is_pydantic(of):
            return cast("Callable[[Any], T]", cast("Any", of).model_validate_json)
        _refuse_unknown(of, read=True)
        decoder: Any = msgspec.json.Decoder(cast("Any", of), dec_hook=_from_plain)
        return cast("Callable[[Any], T]", decoder.decode)

    def encoder(self) -> Callable[[T], Any]:
        """Writes the shortest JSON; the value's own type decides how."""
        if _is_pydantic(self.content):
            return _dump_pydantic
        _refuse_unknown(self.content, read=False)
        return msgspec.json.Encoder(enc_hook=_to_plain).encode

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Json) and other.content == self.content

    def __hash__(self) -> int:
        return hash((Json, str(self.content)))

    def __repr__(self) -> str:
        return f"Json({getattr(self.content, '__name__', self.content)})"


class Row(Serde[T]):
    """A row of named columns, as CSV and columnar files give it, read into one type.

    Text that stands for a number, a date or a truth value is converted to the field's type. Where
    a field admits None, the text for a missing value is None.

    Args:
        of: a Struct, dataclass, TypedDict or pydantic model; ``dict`` leaves the row as it is.
        missing: the text that stands for a missing value, such as ``"NA"`` in files made by R.

    Raises:
        ConfigError: ``missing`` is given for a pydantic model, whose own validators say it.
    """

    def __init__(self, of: type[T], *, missing: str = "") -> None:
        if missing and _is_pydantic(of):
            why = "is not for pydantic models: let a validator of the model turn it into None"
            raise ConfigError("Row.missing", why, missing)
        self._of = of
        self._missing = missing

    @property
    def content(self) -> object:
        """The type of a row."""
        return self._of

    def decoder(self) -> Callable[[Any], T]:
        """Converts a mapping of column names to the type."""
        of = self._of
        if _is_pydantic(of):
            return cast("Callable[[Any], T]", cast("Any", of).model_validate)
        if of is dict:
            return _same
        _refuse_unknown(of, read=True)
        missing, blank = self._missing, _fields_admitting_none(of)

        def decode(row: dict[str, Any]) -> T:
            absent = [name for name in blank if row.get(name) == missing]
            if absent:
                # A copy: the row itself is what a dead letter would hold.
                row = {**row, **dict.fromkeys(absent)}
            try:
                return msgspec.convert(row, of, strict=False, dec_hook=_from_plain)
            except msgspec.ValidationError as error:
                if "missing required" not in str(error):
                    raise
                columns = ", ".join(map(str, row))
                raise msgspec.ValidationError(f"{error}; the columns are: {columns}") from None

        return decode

    def encoder(self) -> Callable[[T], Any]:
        """Gives a mapping of column names to plain values."""
        return functools.partial(msgspec.to_builtins, enc_hook=_to_plain)

    def __repr__(self) -> str:
        return f"Row({self._of.__name__})"


def serde_for(of: type[T] | Serde[T]) -> Serde[T]:
    """The serde that a stream declared with this type uses.

    Args:
        of: a type, or a serde, which is given back as it is.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(of, Serde):
        return of
    if of is str:
        return cast("Serde[T]", Text())
    if of is bytes:
        return cast("Serde[T]", Raw())
    given = cast("object", of)
    if isinstance(given, type) or get_origin(given) is not None or given is Any:
        return Json(cast("type[T]", given))
    raise ConfigError("value", "must be a type or a serde such as Json[Order]()", of)


def admits_none(of: object) -> bool:
    """Whether None is a value of the type."""
    if of is Any or of is None or of is type(None):
        return True
    if get_origin(of) in (Union, types.UnionType):
        return any(admits_none(arg) for arg in get_args(of))
    return False


def _refuse_unknown(of: object, *, read: bool) -> None:
    """Raise ``ConfigError`` for a type that no value can be read into, or written from."""
    name = getattr(of, "__name__", str(of))
    try:
        kind = msgspec.inspect.type_info(cast("Any", of))
    except Exception as error:  # what msgspec raises, and what a field's annotation does
        if not read:
            return  # a value is written by its own type, which may know more
        raise ConfigError("value", f"{name} cannot be read: {error}") from error
    if isinstance(kind, msgspec.inspect.CustomType):
        why = "is a class without declared fields; put @dataclass above it, or declare a Struct"
        raise ConfigError("value", f"{name} {why}")


def _is_pydantic(of: object) -> bool:
    return isinstance(of, type) and hasattr(of, "model_validate_json")


def _dump_pydantic(value: Any) -> bytes:
    text: str = value.model_dump_json()
    return text.encode()


def _to_plain(value: Any) -> Any:
    """What msgspec writes for a pydantic model inside of another value."""
    if hasattr(value, "model_dump_json"):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"{value.__class__.__name__} cannot be written as JSON")


def _from_plain(of: Any, value: Any) -> Any:
    """What msgspec reads where such a model is declared inside of another type."""
    if _is_pydantic(of):
        return of.model_validate(value)
    raise NotImplementedError(f"{of.__name__} cannot be read: it declares no fields")


def _fields_admitting_none(of: object) -> list[str]:
    kind = msgspec.inspect.type_info(cast("Any", of))
    fields: Any = getattr(kind, "fields", ())
    return [
        field.encode_name
        for field in fields
        if isinstance(field.type, msgspec.inspect.UnionType | msgspec.inspect.NoneType)
        and (not isinstance(field.type, msgspec.inspect.UnionType) or field.type.includes_none)
    ]
