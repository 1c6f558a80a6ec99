"""From what a file, a variable or a flag holds to what a field wants; the only use of pydantic."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from samza_py.errors import ConfigError
from samza_py.resolving.settings import Setting, shown
from samza_py.resolving.sources import Given
from samza_py.values import Secret


def converted(setting: Setting, given: Given) -> Any:
    """The value to put in place of the code's.

    Raises:
        ConfigError: it is not what the field takes, or a secret came where others can read it.
    """
    if setting.secret:
        return _secret(setting, given)
    if setting.annotation is Any:
        return given.value
    if isinstance(given.value, bool) and setting.annotation in (int, float):
        # Python takes a truth value for a number, and pydantic with it.
        raise ConfigError(setting.key, f"must be a number; it is {shown(given.value)}")
    adapter = _adapter(setting)
    try:
        return adapter.validate_python(given.value)
    except ValidationError as first:
        if given.kind == "file" or not isinstance(given.value, str):
            raise _refusal(setting, given, first) from None
        # Text from outside may spell out a list or a table.
        for reading in (_as_json, _as_list):
            try:
                return reading(adapter, given.value)
            except ValidationError:
                continue
        raise _refusal(setting, given, first) from None


def _as_json(adapter: TypeAdapter[Any], text: str) -> Any:
    return adapter.validate_json(text)


def _as_list(adapter: TypeAdapter[Any], text: str) -> Any:
    return adapter.validate_python([part.strip() for part in text.split(",")])


def _adapter(setting: Setting) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(setting.annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # a model brings its own configuration and takes no other
        try:
            return TypeAdapter(setting.annotation)
        except (PydanticSchemaGenerationError, PydanticUserError) as error:
            why = "can only be set in the job file: it is no plain value"
            raise ConfigError(setting.key, why) from error


def _secret(setting: Setting, given: Given) -> Any:
    if setting.from_file:
        text = _read_secret(setting, given)
    elif given.kind == "flag":
        variable = next(setting.variables())
        raise ConfigError(
            setting.key,
            f"is a secret, and everyone on this machine can read a command line; set {variable}, "
            f"or {variable}_FILE to the path of a file that holds it",
        )
    elif isinstance(given.value, str):
        text = given.value
    else:
        raise ConfigError(setting.key, "must be text")
    kinds = (setting.annotation, *typing.get_args(setting.annotation))
    return Secret(text) if Secret in kinds else text


def _read_secret(setting: Setting, given: Given) -> str:
    if not isinstance(given.value, str):
        raise ConfigError(setting.key, "must be the path of a file that holds the secret")
    try:
        text = Path(given.value).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise ConfigError(setting.key, f"cannot be read: {reason}", given.value) from None
    secret = text.removesuffix("\n").removesuffix("\r")
    if not secret:
        raise ConfigError(setting.key, "names an empty file", given.value)
    return secret


def _refusal(setting: Setting, given: Given, error: ValidationError) -> ConfigError:
    first = error.errors(include_url=False, include_input=False)[0]
    message = str(first["msg"]).replace("Input should be", "must be").removeprefix("Value error, ")
    why = message[:1].lower() + message[1:]
    return ConfigError(setting.key, f"{why}; it is {shown(given.value)}")
