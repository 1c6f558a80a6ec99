"""What a connector and its harness can do: checks name what they need."""

from __future__ import annotations

from enum import Enum


class Capability(Enum):
    """One thing that a harness declares. The text explains what is left out."""

    # What the connector does.
    READS = "reads"
    WRITES = "writes"
    TWO_PHASE = "stages its writes before the checkpoint"
    TRANSACTIONAL = "writes within a transaction"
    IDEMPOTENT = "knows a message that is sent again"

    # What its streams are like.
    PARTITIONS = "has at least two partitions that can be read"
    GROWS = "takes more messages while it is read"
    ENDS = "has partitions that end"
    PARENTS = "has partitions that follow others"
    LINEAGE = "tells a stream from one of the same name made later"
    CHOOSES_PARTITION = "lets the sender choose the partition"
    KEEPS_KEYS = "keeps keys"
    KEEPS_HEADERS = "keeps headers"
    KEEPS_TIMESTAMPS = "keeps timestamps"
    KEEPS_TOMBSTONES = "keeps messages without a value"
    TELLS_MISSING = "tells that a stream is not there"
    FINDS_TIMES = "finds a position for a time"
    CREATES = "creates streams"
    TRIMS = "forgets what is trimmed"
    TELLS_REMAINING = "tells how much is left to read"

    # What the harness can bring about.
    UNDECODABLE = "the harness can put what cannot be decoded"
    REJECTS = "the harness knows a message that is never taken"
    READ_FAULTS = "the harness can make one partition fail"
    WRITE_FAULTS = "the harness can make writing fail"

    # What checkpoints and coordinators are like.
    REOPENS = "what is stored is there for the next store that is opened"
    FENCES = "several owners may be open at once, and older ones are fenced"
    CHANGELOG = "keeps changes beside the checkpoint"
    DAMAGE = "the harness can damage what is stored"
    LOSES_ANSWERS = "the harness can lose the answer to a write"
