"""The state of a round, and who is barred from a study."""

from __future__ import annotations

from consilium_proto.canonical import Record
from consilium_proto.records.phases import RoundPhase
from consilium_proto.records.scalars import (
    PROTOCOL_VERSION,
    Attempt,
    Digest,
    EpochNumber,
    Identifier,
    Milliseconds,
    MspId,
    Organizations,
    ProtocolVersion,
    PublicationsSoFar,
    RoundNumber,
)


class UnheldVector(Record, frozen=True, kw_only=True):
    """A vector that a witness hadn't confirmed when ANCHORED ended. Either may be why, or an aggregator."""

    owner: MspId
    witness: MspId


class Round(Record, frozen=True, kw_only=True):
    """The state of a round, which only `OpenRound` creates and only `Advance` changes.

    `participants` shrinks from attempt to attempt until ANCHORED and never changes from then on. `missing` names every
    hospital whose write was absent when a phase ended, `unheld` every vector that a witness didn't confirm: silence,
    not fault. `publication` counts the publications that were taken up, `publisher` is whose the current one is (none
    before AGGREGATED and after a rejection), `rejected` names the aggregators whose publications were rejected,
    `challenge` is the current one's. `barred` names who was proved to have lied in this round. `entered` and
    `deadline` are those of the current phase (milliseconds since 1970); `deadline` is 0 when the round is decided, and
    `ended_in` is then the phase it was decided in: a round that ended in OPEN or SEALED never let anyone upload.
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
    unheld: tuple[UnheldVector, ...] = ()
    publication: PublicationsSoFar = 0
    publisher: MspId | None
    rejected: Organizations = ()
    challenge: Digest | None = None
    barred: Organizations = ()
    model: Digest | None
    attested_by: Organizations
    entered: Milliseconds
    deadline: Milliseconds
    ended_in: RoundPhase | None = None


class Bar(Record, frozen=True, kw_only=True):
    """Who was proved to have lied in a study, and in which round; until readmitted it neither joins nor publishes."""

    party: MspId
    round: RoundNumber


class StudyBars(Record, frozen=True, kw_only=True):
    """Everybody who is barred from a study, sorted by party. Written by Advance and Readmit alone."""

    bars: tuple[Bar, ...]


class Readmission(Record, frozen=True, kw_only=True):
    """Names a party to readmit and the round it was barred in."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    study: Identifier
    party: MspId
    round: RoundNumber


class ReadmissionApproval(Record, frozen=True, kw_only=True):
    """One hospital's word that a party be readmitted, by the digest of the `Readmission`."""

    readmission: Digest
