"""Every record of the federation: what the contract's functions take, what the ledger stores, what events carry.

All numbers are integers: milliseconds for time, milli- or micro-units for reals, so that each endorser computes the
same bytes. Hashes are SHA-256 in lower-case hex. An organisation is named by its MSP id, as certificates name it.
Patterns end in \\Z, not $: the latter also matches in front of a trailing line feed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record

PROTOCOL_VERSION = 1

Identifier = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
MspId = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9.-]{0,62}\Z")]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
X25519PublicKey = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Hex = Annotated[str, Meta(pattern=r"^([0-9a-f]{2}){1,512}\Z")]
ProtocolVersion = Annotated[int, Meta(ge=PROTOCOL_VERSION, le=PROTOCOL_VERSION)]
RoundNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
EpochNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
RoundsSoFar = Annotated[int, Meta(ge=0, le=1_000_000)]
EpochsSoFar = Annotated[int, Meta(ge=0, le=1_000_000)]
Attempt = Annotated[int, Meta(ge=0, le=15)]
Count = Annotated[int, Meta(ge=1, le=2**40)]
Seconds = Annotated[int, Meta(ge=1, le=604_800)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Organizations = Annotated[tuple[MspId, ...], Meta(min_length=0, max_length=256)]


class StudyPhase(StrEnum):
    """The life of a study."""

    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    CLOSED = "CLOSED"


class RoundPhase(StrEnum):
    """The life of a round; the last three are final."""

    OPEN = "OPEN"
    SEALED = "SEALED"
    ANCHORED = "ANCHORED"
    AGGREGATED = "AGGREGATED"
    FINAL = "FINAL"
    EXPIRED = "EXPIRED"
    VOID = "VOID"

    @property
    def decided(self) -> bool:
        """True when nothing more happens in the round."""
        return self in (RoundPhase.FINAL, RoundPhase.EXPIRED, RoundPhase.VOID)


# ---- the consortium


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


# ---- studies


class Participant(Record, frozen=True, kw_only=True):
    """A hospital of a study and the largest sample count it may claim: approval of the study fixes influence."""

    hospital: MspId
    sample_cap: Count


class PrivacyTerms(Record, frozen=True, kw_only=True):
    """The privacy mechanism of a study: DP-SGD (Abadi et al. 2016) with Poisson sampling."""

    noise_multiplier_milli: Annotated[int, Meta(ge=1, le=1_000_000)]
    clip_milli: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    delta_numerator: Annotated[int, Meta(ge=1, le=2**40)]
    delta_denominator: Annotated[int, Meta(ge=2, le=2**50)]
    epsilon_budget_micro: Annotated[int, Meta(ge=1, le=10**12)]


class Deadlines(Record, frozen=True, kw_only=True):
    """How long each phase may last, in seconds."""

    open: Seconds
    sealed: Seconds
    anchored: Seconds
    aggregated: Seconds


class StudyTerms(Record, frozen=True, kw_only=True):
    """What the hospitals approve. Nothing in it changes afterwards: a changed study is a new study.

    `code` is the digest of the training task's source and parameters, `initial_model` the digest of the first model,
    `schema` the digest of the columns, units and classes that every hospital's table must have. `update_bound_micro`
    is the largest magnitude of one coordinate of a weighted update (millionths); what lies beyond is clipped.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    purpose: Identifier
    coordinator: MspId
    participants: Annotated[tuple[Participant, ...], Meta(min_length=3, max_length=256)]
    max_colluding: Annotated[int, Meta(ge=1, le=255)]
    rounds: RoundNumber
    attempts: Annotated[int, Meta(ge=1, le=16)]
    deadlines: Deadlines
    clock_tolerance: Seconds
    code: Digest
    schema: Digest
    initial_model: Digest
    parameters: Annotated[int, Meta(ge=1, le=2**36)]
    parameter_set: Identifier
    update_bound_micro: Annotated[int, Meta(ge=1, le=2**50)]
    privacy: PrivacyTerms | None


class Study(Record, frozen=True, kw_only=True):
    """A study as the ledger holds it."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    terms: StudyTerms
    proposer: MspId
    phase: StudyPhase


class StudyApproval(Record, frozen=True, kw_only=True):
    """One hospital's approval of one study, by the digest of its terms."""

    terms: Digest


class StudyApprovalRequest(Record, frozen=True, kw_only=True):
    """Approves a study by its name and the digest of the terms that the hospital has read."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    terms: Digest


class StudyProgress(Record, frozen=True, kw_only=True):
    """How far a study's rounds are. The ledger keeps this apart from the current epoch: see `CurrentEpoch`."""

    round: RoundsSoFar
    undecided: bool
    last_final_round: RoundsSoFar
    final_rounds: RoundsSoFar
    model: Digest
    idle_since: Milliseconds


class CurrentEpoch(Record, frozen=True, kw_only=True):
    """The number of a study's current key epoch, 0 before the first.

    It has a ledger key of its own, so that nobody who opens key epochs can conflict with a round becoming final.
    """

    epoch: EpochsSoFar


class StudyHead(Record, frozen=True, kw_only=True):
    """Where a study stands: its newest round and key epoch, and the model of its last final round.

    `final_rounds` counts the rounds that ended FINAL. `idle_since` is when the study became active or its newest round
    was decided (milliseconds since 1970).
    """

    round: RoundsSoFar
    undecided: bool
    last_final_round: RoundsSoFar
    final_rounds: RoundsSoFar
    model: Digest
    epoch: EpochsSoFar
    idle_since: Milliseconds


# ---- key epochs


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


# ---- rounds: arguments and what each party writes


class RoundReference(Record, frozen=True, kw_only=True):
    """Names a round; the argument of functions that need nothing else."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber


class StudyReference(Record, frozen=True, kw_only=True):
    """Names a study."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier


class Opening(Record, frozen=True, kw_only=True):
    """Opens a round on the model `base` under key epoch `epoch`."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    base: Digest
    epoch: EpochNumber


class Join(Record, frozen=True, kw_only=True):
    """A hospital takes part with `samples` rows and an X25519 key for this round's pairwise masks."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    samples: Count
    mask_key: X25519PublicKey


class PrivacyEntry(Record, frozen=True, kw_only=True):
    """What one round costs one data set, all integers: sample rate, noise, steps, delta; and the epsilon so far."""

    data_set: Digest
    sample_rate_numerator: Annotated[int, Meta(ge=1, le=2**40)]
    sample_rate_denominator: Annotated[int, Meta(ge=1, le=2**40)]
    noise_multiplier_milli: Annotated[int, Meta(ge=1, le=1_000_000)]
    clip_milli: Annotated[int, Meta(ge=1, le=1_000_000_000)]
    steps: Annotated[int, Meta(ge=1, le=2**31)]
    delta_numerator: Annotated[int, Meta(ge=1, le=2**40)]
    delta_denominator: Annotated[int, Meta(ge=2, le=2**50)]
    epsilon_before_micro: Annotated[int, Meta(ge=0, le=10**12)]
    epsilon_after_micro: Annotated[int, Meta(ge=0, le=10**12)]


class Anchor(Record, frozen=True, kw_only=True):
    """The root of a hospital's encrypted, masked update, written before anything is uploaded."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    attempt: Attempt
    root: Digest
    chunks: Annotated[int, Meta(ge=1, le=2**24)]
    privacy: PrivacyEntry | None


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


class Round(Record, frozen=True, kw_only=True):
    """The state of a round, which only `OpenRound` creates and only `Advance` changes.

    `participants` shrinks from attempt to attempt until ANCHORED and never changes from then on. `missing` names every
    hospital whose write was absent when a phase ended. `entered` and `deadline` are those of the current phase
    (milliseconds since 1970); `deadline` is 0 when the round is decided, and `ended_in` is then the phase it was
    decided in: a round that ended in OPEN or SEALED never let anyone upload.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    round: RoundNumber
    phase: RoundPhase
    base: Digest
    epoch: EpochNumber
    attempt: Attempt
    participants: Organizations
    missing: Organizations
    publisher: MspId | None
    model: Digest | None
    attested_by: Organizations
    entered: Milliseconds
    deadline: Milliseconds
    ended_in: RoundPhase | None = None


# ---- what queries return and events carry


class JoinedHospital(Record, frozen=True, kw_only=True):
    """A join and whose it is."""

    hospital: MspId
    join: Join


class AnchoredHospital(Record, frozen=True, kw_only=True):
    """An anchor and whose it is."""

    hospital: MspId
    anchor: Anchor


class PublishedSum(Record, frozen=True, kw_only=True):
    """A publication and whose it is."""

    aggregator: MspId
    publication: Publication


class AttestedModel(Record, frozen=True, kw_only=True):
    """An attestation and whose it is."""

    hospital: MspId
    attestation: Attestation


class RoundView(Record, frozen=True, kw_only=True):
    """A round with everything its parties wrote, and the phase that `Advance` would enter now (none: not yet).

    `anchors` are those of all attempts so far, oldest first.
    """

    round: Round
    joins: tuple[JoinedHospital, ...]
    anchors: tuple[AnchoredHospital, ...]
    publications: tuple[PublishedSum, ...]
    attestations: tuple[AttestedModel, ...]
    next_phase: RoundPhase | None


class StudyView(Record, frozen=True, kw_only=True):
    """A study with its approvals, head and current key epoch."""

    study: Study
    approvals: Organizations
    head: StudyHead
    key_epoch: KeyEpoch | None


class StudyList(Record, frozen=True, kw_only=True):
    """The identifiers of all studies, sorted."""

    studies: tuple[Identifier, ...]


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
    SUM_PUBLISHED = "SumPublished"
    SUM_AGGREGATED = "SumAggregated"
    MODEL_ATTESTED = "ModelAttested"
    ROUND_FINAL = "RoundFinal"
    ROUND_EXPIRED = "RoundExpired"
    ROUND_VOID = "RoundVoid"


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
