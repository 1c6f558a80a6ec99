"""Keyed state: how a job declares it, how a handler uses it, what keeps it on this machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from samza_py.checkpoint import Change
from samza_py.errors import ConfigError
from samza_py.serde import Serde

K = TypeVar("K")
V = TypeVar("V")


class Store(Generic[K, V]):
    """A declared store of a job; each task has its own entries. Made by ``job.store``.

    Args:
        name: unique in the job; stands in the changelog for ever.
        key: serde of the keys. Two keys are the same where their bytes are.
        value: serde of the values.
        shared: messages of different keys may use the same entry. With ``max_concurrency`` above
            1 an attempt whose read entry was changed meanwhile is then run again. A store that is
            not shared may only be asked for the key of the message in hand.
    """

    def __init__(self, name: str, key: Serde[K], value: Serde[V], *, shared: bool = False) -> None:
        if not name.isidentifier():
            raise ConfigError("store name", "must be a plain identifier such as 'counts'", name)
        self.name = name
        self.key_serde = key
        self.value_serde = value
        self.shared = shared

    def __repr__(self) -> str:
        return f"<Store {self.name}>"


class KeyValueStore(ABC, Generic[K, V]):
    """A store as one call of a handler sees it.

    Reads see the writes of this call and of all calls that succeeded before it. Writes take
    effect when the call succeeds and are as if never made when it fails, times out, or is run
    again. All methods are synchronous and do not block. After the call has ended every method
    raises ``ContextClosedError``.
    """

    @abstractmethod
    def get(self, key: K, default: V | None = None) -> V | None:
        """The value of a key, or the default. The value is a copy: change it by ``put``.

        Raises:
            StoreError: the key is not the message's own and the store is not shared.
        """

    @abstractmethod
    def put(self, key: K, value: V) -> None:
        """Set the value of a key. Raises what ``get`` raises, and ``SerdeError``."""

    @abstractmethod
    def delete(self, key: K) -> None:
        """Remove a key; nothing happens where there is none. Raises what ``get`` raises."""

    @abstractmethod
    def items(self) -> Iterator[tuple[K, V]]:
        """All entries of this task, in no order; for shared stores and tasks without concurrency.

        Raises:
            StoreError: the store is bound to the message's key.
        """


class StoreEngine(ABC):
    """What keeps a task's committed entries on this machine: a dict, later an embedded database.

    The runtime keeps what is not committed above it in memory, so an engine never sees anything
    that could be undone. Methods are synchronous and short; called by one task only.
    """

    @abstractmethod
    def marker(self) -> str:
        """The marker of the last ``apply``; empty for a new or wiped engine."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None:
        """The encoded value of an encoded key."""

    @abstractmethod
    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """All entries. The engine is not changed while this is iterated."""

    @abstractmethod
    def apply(self, changes: Iterable[Change], marker: str) -> None:
        """Make changes and marker take effect together."""

    @abstractmethod
    def wipe(self) -> None:
        """Forget everything, before a restore from the changelog."""

    def close(self) -> None:
        """Free what is held. The entries may stay for the next start, under their marker."""
