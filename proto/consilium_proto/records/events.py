"""What the contract's events carry."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.records.scalars import PROTOCOL_VERSION, MspId, ProtocolVersion, RoundsSoFar


class EventName(StrEnum):
    """The names of the contract's events: one per writing function but ApproveConsortium and RegisterHospitalKey."""

    CONSORTIUM_ENACTED = "ConsortiumEnacted"
    STUDY_PROPOSED = "StudyProposed"
    STUDY_APPROVED = "StudyApproved"
    STUDY_ACTIVATED = "StudyActivated"
    STUDY_CLOSED = "StudyClosed"
    KEY_EPOCH_OPENED = "KeyEpochOpened"
    ROUND_OPENED = "RoundOpened"
    HOSPITAL_JOINED = "HospitalJoined"
    ROUND_SEALED = "RoundSealed"
    UPDATE_ANCHORED = "UpdateAnchored"
    ATTEMPT_STARTED = "AttemptStarted"
    UPDATES_ANCHORED = "UpdatesAnchored"
    UPDATE_HELD = "UpdateHeld"
    SUM_PUBLISHED = "SumPublished"
    SUM_AGGREGATED = "SumAggregated"
    VALUE_REVEALED = "ValueRevealed"
    ROUND_CHALLENGED = "RoundChallenged"
    FINGERPRINT_WRITTEN = "FingerprintWritten"
    LISTING_BEGUN = "ListingBegun"
    LISTING_WRITTEN = "ListingWritten"
    PROVING_BEGUN = "ProvingBegun"
    LISTING_DISPROVED = "ListingDisproved"
    CHUNK_MALFORMED = "ChunkMalformed"
    SUM_REJECTED = "SumRejected"
    SUM_VERIFIED = "SumVerified"
    MODEL_ATTESTED = "ModelAttested"
    ROUND_FINAL = "RoundFinal"
    ROUND_EXPIRED = "RoundExpired"
    ROUND_VOID = "RoundVoid"
    READMISSION_APPROVED = "ReadmissionApproved"
    PARTY_READMITTED = "PartyReadmitted"


class FederationEvent(Record, frozen=True, kw_only=True):
    """What every event of the contract carries: what it is about. Readers fetch the rest from the ledger.

    `study` is empty and `round` 0 where the event is about the consortium or a whole study; `phase` is the phase of the
    round or study after the transaction.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,62})?\Z")]
    round: RoundsSoFar
    phase: str
    author: MspId
