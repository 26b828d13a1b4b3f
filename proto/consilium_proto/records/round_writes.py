"""What each party writes in a round: the arguments of the contract's functions, stored as they came."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.records.privacy import PrivacyEntry
from consilium_proto.records.scalars import (
    PROTOCOL_VERSION,
    Attempt,
    Count,
    Digest,
    EpochNumber,
    FingerprintValue,
    Hex,
    Identifier,
    MspId,
    ProtocolVersion,
    PublicationNumber,
    RoundNumber,
    X25519PublicKey,
)

MAX_LISTED_CHUNKS = 2**16
"""The most chunks a vector may have: a dispute lists them all in one transaction."""


class RoundReference(Record, frozen=True, kw_only=True):
    """Names a round; the argument of functions that need nothing else."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber


class Opening(Record, frozen=True, kw_only=True):
    """Opens a round on the model `base` under key epoch `epoch`."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    base: Digest
    epoch: EpochNumber


class Join(Record, frozen=True, kw_only=True):
    """A hospital takes part with `samples` rows and an X25519 key for this round's pairwise masks.

    `chain_end` is the end of a secret hash chain (`consilium_proto.reveal_chain`), of which one value is revealed for
    every publication.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    samples: Count
    mask_key: X25519PublicKey
    chain_end: Digest


class Anchor(Record, frozen=True, kw_only=True):
    """The root of a hospital's encrypted, masked update, written before anything is uploaded."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    attempt: Attempt
    root: Digest
    chunks: Annotated[int, Meta(ge=1, le=2**24)]
    privacy: PrivacyEntry | None


class Held(Record, frozen=True, kw_only=True):
    """A witness has fetched every chunk of `owner`'s anchored vector and found each well-formed."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    attempt: Attempt
    owner: MspId


class Publication(Record, frozen=True, kw_only=True):
    """The root of the encrypted sum, published by an aggregator."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    attempt: Attempt
    root: Digest
    chunks: Annotated[int, Meta(ge=1, le=2**24)]


class Attestation(Record, frozen=True, kw_only=True):
    """The digest of the model that a hospital derived from the round's sum."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    publication: MspId
    model: Digest


class Reveal(Record, frozen=True, kw_only=True):
    """The value `publication` steps before the end of a hospital's hash chain (32 bytes)."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    publication: PublicationNumber
    value: Digest


class WitnessedFingerprint(Record, frozen=True, kw_only=True):
    """What a witness computed of the vector it holds for `owner`."""

    owner: MspId
    value: FingerprintValue


class Fingerprint(Record, frozen=True, kw_only=True):
    """A hospital's fingerprints of its own vector, of those it witnesses (sorted by owner) and of the published sum.

    `sum` is absent when the aggregator withheld the sum from this hospital.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    publication: PublicationNumber
    own: FingerprintValue
    witnessed: Annotated[tuple[WitnessedFingerprint, ...], Meta(max_length=255)]
    sum: FingerprintValue | None


class Listing(Record, frozen=True, kw_only=True):
    """The fingerprints of each chunk of `vector`, in order, that add up to the value its author wrote.

    `vector` names the vector by its owner: a hospital, or the aggregator that published the sum.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    publication: PublicationNumber
    vector: MspId
    values: Annotated[tuple[FingerprintValue, ...], Meta(min_length=1, max_length=MAX_LISTED_CHUNKS)]


class ProvedChunk(Record, frozen=True, kw_only=True):
    """A chunk with its path in the tree of an anchored or published root (siblings, lowest first)."""

    index: Annotated[int, Meta(ge=0, lt=2**24)]
    content: Hex
    path: Annotated[tuple[Digest, ...], Meta(max_length=24)]


class Disproof(Record, frozen=True, kw_only=True):
    """A chunk whose fingerprint isn't the one that `author` listed for `vector`."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    publication: PublicationNumber
    vector: MspId
    author: MspId
    chunk: ProvedChunk


class MalformedChunk(Record, frozen=True, kw_only=True):
    """A chunk of an anchored vector or of the published sum that isn't one: its length, header or a word is wrong."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    vector: MspId
    chunk: ProvedChunk


class ProofNote(Record, frozen=True, kw_only=True):
    """What the ledger keeps of a disproof or of a malformed chunk: who showed it, and which chunk it was.

    The chunk itself is in the transaction; `digest` is its SHA-256.
    """

    shown_by: MspId
    index: Annotated[int, Meta(ge=0, lt=2**24)]
    digest: Digest
