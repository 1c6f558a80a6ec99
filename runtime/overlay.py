"""The state of one store in one task: committed entries below, uncommitted ones above.

What an attempt writes stays with the attempt until it succeeds; then it comes to the newest
*generation* here. A commit takes that generation away whole, writes it to the changelog together
with the checkpoint, and only then hands it down to the engine: the engine never holds anything
that a crash could undo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from samza_py.errors import SerdeError, StoreError
from samza_py.store import Store, StoreEngine

K = TypeVar("K")
V = TypeVar("V")

_MISSING: Any = object()


class MemoryEngine(StoreEngine):
    """Committed entries in a dict: restored from the changelog at every start."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._marker = ""

    def marker(self) -> str:
        """The marker of the last ``apply``."""
        return self._marker

    def get(self, key: bytes) -> bytes | None:
        """The encoded value."""
        return self._entries.get(key)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries."""
        return iter(self._entries.items())

    def apply(self, changes: Any, marker: str) -> None:
        """Make changes and marker take effect."""
        entries = self._entries
        for key, value in changes:
            if value is None:
                entries.pop(key, None)
            else:
                entries[key] = value
        self._marker = marker

    def wipe(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._marker = ""


class Overlay(Generic[K, V]):
    """One store of one task, above its engine.

    Args:
        store: the declaration.
        engine: where committed entries are.
    """

    def __init__(self, store: Store[K, V], engine: StoreEngine) -> None:
        self.store = store
        self.engine = engine
        self.size = 0
        #: Counts the attempts whose writes were taken over.
        self.version = 0
        self._current: dict[bytes, bytes | None] = {}
        self._cut: dict[bytes, bytes | None] = {}
        self._encode_key: Callable[[Any], bytes] = store.key_serde.encoder()
        self._encode_value: Callable[[Any], bytes] = store.value_serde.encoder()
        self.decode_key: Callable[[bytes], K] = store.key_serde.decoder()
        self.decode_value: Callable[[bytes], V] = store.value_serde.decoder()

    def encoded_key(self, key: K) -> bytes:
        """A key's bytes. Raises ``SerdeError``."""
        try:
            return self._encode_key(key)
        except Exception as error:
            raise SerdeError(
                f"key {key!r} does not fit store {self.store.name}: {error}"
            ) from error

    def encoded_value(self, value: V) -> bytes:
        """A value's bytes. Raises ``SerdeError``."""
        try:
            return self._encode_value(value)
        except Exception as error:
            raise SerdeError(f"a value does not fit store {self.store.name}: {error}") from error

    def get(self, key: bytes) -> bytes | None:
        """What all succeeded attempts have left for a key."""
        value = self._current.get(key, _MISSING)
        if value is _MISSING:
            value = self._cut.get(key, _MISSING)
            if value is _MISSING:
                return self.engine.get(key)
        return value  # type: ignore[no-any-return]  # bytes or None by now

    def apply(self, writes: Mapping[bytes, bytes | None]) -> None:
        """Take over the writes of an attempt that succeeded."""
        self._current.update(writes)
        self.version += 1
        self.size += sum(len(k) + len(v or b"") + 64 for k, v in writes.items())

    def items(self, writes: Mapping[bytes, bytes | None]) -> Iterator[tuple[bytes, bytes]]:
        """All entries as an attempt with these writes sees them."""
        above = {**self._cut, **self._current, **writes}
        entries = [(k, v) for k, v in self.engine.items() if k not in above]
        entries.extend((k, v) for k, v in above.items() if v is not None)
        return iter(entries)

    def cut(self) -> Mapping[bytes, bytes | None]:
        """Begin a new generation and give the one that belongs to the commit."""
        if self._cut:
            raise StoreError(f"store {self.store.name} was cut while a commit was under way")
        self._cut, self._current = self._current, {}
        self.size = 0
        return self._cut

    def committed(self, marker: str) -> None:
        """Hand the cut generation down: its changelog and checkpoint are durable."""
        self.engine.apply(self._cut.items(), marker)
        self._cut = {}
