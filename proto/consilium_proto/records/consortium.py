"""Who belongs to the consortium, and to which keys hospitals want secrets wrapped."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.records.scalars import (
    PROTOCOL_VERSION,
    Digest,
    MspId,
    Organizations,
    ProtocolVersion,
    X25519PublicKey,
)


class Consortium(Record, frozen=True, kw_only=True):
    """Who may act: decided by the hospitals, all of them at first and a majority of them later."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    hospitals: Annotated[tuple[MspId, ...], Meta(min_length=1, max_length=256)]
    aggregators: Organizations
    revision: Annotated[int, Meta(ge=1, le=1_000_000)]


class ConsortiumApproval(Record, frozen=True, kw_only=True):
    """One hospital's approval of one consortium record, by the record's digest."""

    consortium: Digest


class HospitalReference(Record, frozen=True, kw_only=True):
    """Names a hospital."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    hospital: MspId


class HospitalKey(Record, frozen=True, kw_only=True):
    """The X25519 key to which key epochs are wrapped (HPKE, RFC 9180)."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    wrapping_key: X25519PublicKey
