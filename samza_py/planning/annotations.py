"""What a handler says of itself: its parameters, and the types that it is annotated with.

What cannot be resolved, such as a name that only a type checker imports, is ``Any``: it
contradicts nothing.
"""

from __future__ import annotations

import functools
import inspect
import types
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from samza_py.serde import Serde
from samza_py.specification import TaskSpec
from samza_py.system import Input

_AS_GOOD: dict[Any, tuple[type, ...]] = {float: (int,), bytes: (bytearray, memoryview)}
"""What a declared class takes besides its own kind, as the type checkers do (PEP 484)."""

_SAYS_NOTHING: tuple[Any, ...] = (Any, object)


class Signature:
    """The parameters and the result of one handler, annotations resolved.

    Args:
        function: what is called for a message.
        bound: how many of its first parameters are not the caller's: 1 for a method.
    """

    def __init__(self, function: Any, bound: int = 0) -> None:
        self._function = _written(function)
        signature = inspect.signature(function)
        self.parameters = list(signature.parameters.values())[bound:]
        self.returns: Any = self._resolved(signature.return_annotation)

    def takes(self, parameter: inspect.Parameter) -> Any:
        """The annotation of a parameter; ``Any`` where it has none."""
        return self._resolved(parameter.annotation)

    @property
    def place(self) -> str:
        """``, FILE:LINE`` of the function, as an editor opens it; empty where unknown."""
        return place_of(self._function)

    def _resolved(self, annotation: Any) -> Any:
        if annotation is inspect.Parameter.empty:
            return Any
        # Each by itself: a context that only the type checker knows hides no wrong message.
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            return get_type_hints(holder, getattr(self._function, "__globals__", {}))["it"]
        except Exception:
            return Any


def signature_of(spec: TaskSpec) -> Signature | None:
    """The signature of a task's handler; None where there is nothing to look at."""
    function: Any = spec.handler
    if spec.kind == "object":
        # A factory says nothing of what it makes.
        function = getattr(function, "process", None) if isinstance(function, type) else None
    try:
        return Signature(function, 1 if spec.kind == "object" else 0)
    except (TypeError, ValueError):  # written in C, or no function
        return None


def place_of(function: Any) -> str:
    """``, FILE:LINE`` of a function, as an editor opens it; empty where it is none of Python."""
    code = getattr(function, "__code__", None)
    if code is None:
        return ""
    path = Path(code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f", {shown}:{code.co_firstlineno}"


def _written(function: Any) -> Any:
    """The function that somebody wrote, inside what was wrapped around it."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    return function if inspect.isroutine(function) else type(function).__call__


# Types -----------------------------------------------------------------------------------------


def members(annotation: Any) -> tuple[Any, ...]:
    """The types of a union; the type itself where it is none."""
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def admits(annotated: Any, serde: Serde[Any]) -> bool:
    """Whether what a stream holds is all of an annotated type."""
    content = serde.content
    if content in (None, Any) or annotated is Any or isinstance(annotated, TypeVar):
        return True
    # Message is covariant: a handler that takes more than the stream holds is right.
    takes = members(annotated)
    return all(any(_covers(take, held) for take in takes) for held in members(content))


def never_is(given: Any, wanted: Any) -> bool:
    """Whether no value of an annotated type is of a declared one; false where that is unknown."""
    return all(_differ(given, one) for one in members(wanted))


def class_of(annotation: Any) -> type | None:
    """The class that values of an annotation have; None where it does not say."""
    kind: Any = get_origin(annotation) or annotation
    while hasattr(kind, "__supertype__"):  # a NewType
        kind = kind.__supertype__
    if is_typeddict(kind):
        return dict
    says_nothing = kind in _SAYS_NOTHING or getattr(kind, "_is_protocol", False)
    return kind if isinstance(kind, type) and not says_nothing else None


def held(source: Input[Any, Any]) -> str:
    """The messages of an input, as the annotation of a parameter that takes them."""
    return f"Message[{shown(source.key_serde.content)}, {shown(source.value_serde.content)}]"


def shown(of: Any) -> str:
    """A type as one writes it."""
    if of in (None, type(None), ...):
        return "..." if of is ... else "None"
    origin, inside = get_origin(of), get_args(of)
    if origin in (Union, types.UnionType):
        return " | ".join(map(shown, inside))
    if inside and isinstance(origin, type):
        return f"{origin.__name__}[{', '.join(map(shown, inside))}]"
    return of.__name__ if isinstance(of, type) else str(of)


def _covers(take: Any, held: Any) -> bool:
    both_classes = isinstance(take, type) and isinstance(held, type)
    return take == held or (both_classes and not get_args(take) and issubclass(held, take))


def _differ(given: Any, wanted: Any) -> bool:
    kind, plain = class_of(given), class_of(wanted)
    # A plain class alone is what a value is held against when it is sent.
    if kind is None or plain is None or plain is not wanted:
        return False
    as_good = _AS_GOOD.get(plain, ())
    return not (issubclass(kind, (plain, *as_good)) or issubclass(plain, kind))
