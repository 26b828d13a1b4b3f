"""The types of single fields: identifiers, digests, counts and times."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

PROTOCOL_VERSION = 1
MAX_PUBLICATIONS = 4
"""One per registered aggregator and round: the soundness of fingerprints is computed for so many."""

Identifier = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
MspId = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9.-]{0,62}\Z")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
X25519PublicKey = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Hex = Annotated[str, Meta(pattern=r"^([0-9a-f]{2})*\Z", max_length=2**20)]
Residue = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}\Z")]
"""A number below q: 16 hex digits, since JSON readers elsewhere lose integers above 2^53."""
FingerprintValue = tuple[Residue, Residue]
"""The two rows of one fingerprint, of a vector or of a chunk."""
ProtocolVersion = Annotated[int, Meta(ge=PROTOCOL_VERSION, le=PROTOCOL_VERSION)]
RoundNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
EpochNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
RoundsSoFar = Annotated[int, Meta(ge=0, le=1_000_000)]
EpochsSoFar = Annotated[int, Meta(ge=0, le=1_000_000)]
Attempt = Annotated[int, Meta(ge=0, le=15)]
PublicationNumber = Annotated[int, Meta(ge=1, le=MAX_PUBLICATIONS)]
PublicationsSoFar = Annotated[int, Meta(ge=0, le=MAX_PUBLICATIONS)]
Count = Annotated[int, Meta(ge=1, le=2**40)]
Seconds = Annotated[int, Meta(ge=1, le=604_800)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Organizations = Annotated[tuple[MspId, ...], Meta(min_length=0, max_length=256)]
