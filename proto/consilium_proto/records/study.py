"""A study: what the hospitals approve, and where its rounds stand."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from consilium_proto.canonical import Record
from consilium_proto.ethereum.scalars import Amount
from consilium_proto.records.phases import StudyPhase
from consilium_proto.records.scalars import (
    PROTOCOL_VERSION,
    Count,
    Digest,
    EpochsSoFar,
    Identifier,
    Milliseconds,
    MspId,
    ProtocolVersion,
    RoundNumber,
    RoundsSoFar,
    Seconds,
)


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


class RewardTerms(Record, frozen=True, kw_only=True):
    """What each final round of a study is worth, split by samples, of which a hospital's count up to `weight_cap`."""

    pot: Amount
    weight_cap: Count


class Deadlines(Record, frozen=True, kw_only=True):
    """How long each phase may last, in seconds."""

    open: Seconds
    sealed: Seconds
    anchored: Seconds
    aggregated: Seconds
    challenged: Seconds
    listing: Seconds
    proving: Seconds
    verified: Seconds


class StudyTerms(Record, frozen=True, kw_only=True):
    """What the hospitals approve. Nothing in it changes afterwards: a changed study is a new study.

    `code` is the digest of the training task's source and parameters, `initial_model` the digest of the first model,
    `schema` the digest of the columns, units and classes that every hospital's table must have. `update_bound_micro`
    is the largest magnitude of one coordinate of a weighted update (millionths); what lies beyond is clipped. Terms
    without a reward leave the field out altogether: they have the bytes, and so the digest, that they had before there
    were rewards (`test_terms_without_a_reward_have_the_bytes_they_had_before_there_were_rewards`).
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
    reward: RewardTerms | UnsetType = UNSET


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


class StudyReference(Record, frozen=True, kw_only=True):
    """Names a study."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
