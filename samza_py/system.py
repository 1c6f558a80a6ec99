"""Systems and the streams they hold: what a job file declares, and nothing that opens anything.

    memory = Memory()
    orders = memory.stream("orders", key=str, value=Order)

A system is a value. What it makes (consumer, producer, admin) is opened by the runtime, in its
own loop, and closed by it. Anyone adds a system by writing these classes; there is no registry.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Literal, Self, TypeVar

from samza_py.admin import Admin, Oldest, StartAt
from samza_py.checkpoint import Checkpoints, Claim
from samza_py.consumer import Consumer
from samza_py.errors import ConfigError
from samza_py.producer import Producer, Promise
from samza_py.serde import Serde
from samza_py.transaction import Transaction

K = TypeVar("K")
V = TypeVar("V")
K_co = TypeVar("K_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)
K_contra = TypeVar("K_contra", contravariant=True)
V_contra = TypeVar("V_contra", contravariant=True)


class System(ABC):
    """One outside service that holds streams: a broker, a file tree. Building one opens nothing.

    Subclasses are frozen dataclasses whose fields are their settings; ``name`` is one of them.

    Attributes:
        name: unique in a job; by default the kind of the system. Stands in logs, checkpoints and
            in settings from outside (``SAMZA_SYSTEMS__<NAME>__...``).
        promise: the best its outputs can promise.
        producer_scope: whether a producer serves a whole container or one claim. Two-phase and
            transactional producers are always made for a claim.
    """

    name: str
    promise: Promise = Promise.AT_LEAST_ONCE
    producer_scope: Literal["container", "claim"] = "container"

    @abstractmethod
    def admin(self, streams: Mapping[str, AnyStream]) -> Admin:
        """A new admin for the job's streams of this system, by logical name."""

    def consumer(self, inputs: Mapping[str, Input[Any, Any]]) -> Consumer:
        """A new consumer for the job's inputs of this system, by logical name.

        Raises:
            ConfigError: this system cannot be read from.
        """
        raise ConfigError(f"systems.{self.name}", "cannot be read from: it is only an output")

    def producer(self, outputs: Mapping[str, Output[Any, Any]], claim: Claim | None) -> Producer:
        """A new producer for the job's outputs of this system, by logical name.

        Args:
            outputs: the outputs it will be given messages for.
            claim: whose messages it writes, None for a container-wide one.

        Raises:
            ConfigError: this system cannot be written to.
        """
        raise ConfigError(f"systems.{self.name}", "cannot be written to: it is only an input")

    def transaction(self, claim: Claim) -> Transaction | None:
        """The transactions of a claim; None where the system has none."""
        return None

    def for_profile(self, profile: str) -> Self:
        """The system as it serves a job of this profile, which decides what its fields leave open.

        Called when a job is resolved, before anything is made of it.

        Args:
            profile: ``default`` (little CPU) or ``low_latency``.
        """
        return self

    def checkpoints(self) -> Checkpoints | None:
        """Checkpoints kept in this system, used when a job names none; None where it cannot."""
        return None


class _Declared:
    """What inputs and outputs share: a place in a system, and the serdes of what is there."""

    def __init__(
        self,
        system: System,
        name: str,
        key: Serde[Any],
        value: Serde[Any],
        physical: str | None = None,
    ) -> None:
        if not name or any(c in name for c in "/[]\0") or name.strip() != name:
            raise ConfigError("stream name", "must be text without '/', '[' or ']'", name)
        self.system = system
        self.name = name
        self.physical = physical if physical is not None else name
        self.key_serde = key
        self.value_serde = value

    def check_physical(self, physical: str) -> None:
        """See that the system could have a stream of this name, without asking it.

        Called with the name that was set from outside, before the stream gets it.

        Raises:
            ConfigError: it could not.
        """

    def __str__(self) -> str:
        return f"{self.system.name}.{self.name}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


class Input(_Declared, Generic[K_co, V_co]):
    """A stream that tasks may read.

    Attributes:
        system, name: where it is; ``name`` is the logical name that checkpoints use.
        physical: what the system itself calls it; may be changed from outside.
        key_serde, value_serde: how its messages are decoded.
        start: where a partition without a checkpoint begins.
        stable_keys: a key stays in its partition for ever, so that keyed state may be kept by
            partition. False for files and shards.
        fixed_partitions: no partition ever comes while a job runs, so the system is asked for them
            once, at the start. True for files.
        creatable: the declaration says all that is needed to make it, so that a start makes it
            where it is missing. What a job only reads is an error else: a mistyped name would be
            read for ever, and nothing come.
    """

    start: StartAt = Oldest()
    stable_keys: bool = True
    fixed_partitions: bool = False
    creatable: bool = False

    def changed(self, before: str, now: str) -> str:
        """What differs between two lineages of a partition, in a user's words.

        Called by the runtime when a checkpoint has another lineage than the partition. It refuses
        to go on, unless the answer is empty: then nothing differs but how two versions of a
        connector write the same lineage down.

        Args:
            before: the checkpoint's.
            now: what the system says.
        """
        return f"the stream was made anew (lineage {before} before, {now} now)"


class Output(_Declared, Generic[K_contra, V_contra]):
    """A stream that tasks may send to.

    Attributes:
        system, name: where it is.
        physical: what the system itself calls it.
        key_serde, value_serde: how its messages are encoded.
        promise: what a message sent again does there; the system's by default.
    """

    @property
    def promise(self) -> Promise:
        """What this output can promise; that of its system unless the output narrows it."""
        return self.system.promise


class Stream(Input[K, V], Output[K, V]):
    """A stream that can be read and written, such as a topic.

    Args:
        system: the system that holds it.
        name: its logical name.
        key: the keys' serde.
        value: the values' serde.
        start: where a partition without a checkpoint begins.
        physical: the system's own name for it; by default the logical one.
    """

    def __init__(
        self,
        system: System,
        name: str,
        key: Serde[K],
        value: Serde[V],
        *,
        start: StartAt = Oldest(),
        physical: str | None = None,
    ) -> None:
        super().__init__(system, name, key, value, physical)
        self.start = start


AnyStream = Input[Any, Any] | Output[Any, Any]
