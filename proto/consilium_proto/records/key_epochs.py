"""Key epochs: whose keys open a study's ciphertexts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.records.scalars import (
    PROTOCOL_VERSION,
    Digest,
    EpochNumber,
    Identifier,
    MspId,
    ProtocolVersion,
    X25519PublicKey,
)


class WrappedKey(Record, frozen=True, kw_only=True):
    """The epoch's 64-byte key seed, sealed to one holder (HPKE base mode, X25519, HKDF-SHA256, AES-256-GCM)."""

    holder: MspId
    encapsulated: X25519PublicKey
    ciphertext: Annotated[str, Meta(pattern=r"^[0-9a-f]{160}\Z")]


class KeyEpoch(Record, frozen=True, kw_only=True):
    """A key of a study: its commitment and who holds it. A removed holder starts the next epoch."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    epoch: EpochNumber
    commitment: Digest
    holders: Annotated[tuple[WrappedKey, ...], Meta(min_length=3, max_length=256)]


class KeyEpochReference(Record, frozen=True, kw_only=True):
    """Names a key epoch of a study."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    epoch: EpochNumber
