"""What the contract's queries return."""

from __future__ import annotations

from consilium_proto.canonical import Record
from consilium_proto.records.key_epochs import KeyEpoch
from consilium_proto.records.phases import RoundPhase
from consilium_proto.records.round import Bar, Round
from consilium_proto.records.round_writes import (
    Anchor,
    Attestation,
    Fingerprint,
    Join,
    Listing,
    ProofNote,
    Publication,
    Reveal,
)
from consilium_proto.records.scalars import Identifier, MspId, Organizations, PublicationNumber
from consilium_proto.records.study import Study, StudyHead


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


class HeldVector(Record, frozen=True, kw_only=True):
    """Who confirmed whose vector."""

    owner: MspId
    witness: MspId


class RevealedValue(Record, frozen=True, kw_only=True):
    """A revealed value and whose it is."""

    hospital: MspId
    reveal: Reveal


class WrittenFingerprint(Record, frozen=True, kw_only=True):
    """A hospital's fingerprints."""

    hospital: MspId
    fingerprint: Fingerprint


class WrittenListing(Record, frozen=True, kw_only=True):
    """A listing and whose it is."""

    hospital: MspId
    listing: Listing


class DisprovedListing(Record, frozen=True, kw_only=True):
    """Whose listing of which vector was disproved for which publication, and by which chunk."""

    publication: PublicationNumber
    vector: MspId
    author: MspId
    note: ProofNote


class MalformedVector(Record, frozen=True, kw_only=True):
    """Whose anchored vector or published sum was shown to have a malformed chunk."""

    vector: MspId
    note: ProofNote


class RoundView(Record, frozen=True, kw_only=True):
    """A round with everything its parties wrote, and the phase that `Advance` would enter now (none: not yet).

    `anchors` are those of all attempts so far, oldest first. `reveals`, `fingerprints`, `listings` and `disproofs`
    are those of all publications so far, oldest first.
    """

    round: Round
    joins: tuple[JoinedHospital, ...]
    anchors: tuple[AnchoredHospital, ...]
    held: tuple[HeldVector, ...] = ()
    publications: tuple[PublishedSum, ...]
    reveals: tuple[RevealedValue, ...] = ()
    fingerprints: tuple[WrittenFingerprint, ...] = ()
    listings: tuple[WrittenListing, ...] = ()
    disproofs: tuple[DisprovedListing, ...] = ()
    malformed: tuple[MalformedVector, ...] = ()
    attestations: tuple[AttestedModel, ...]
    next_phase: RoundPhase | None


class StudyView(Record, frozen=True, kw_only=True):
    """A study with its approvals, head, current key epoch and whoever is barred from it."""

    study: Study
    approvals: Organizations
    head: StudyHead
    key_epoch: KeyEpoch | None
    bars: tuple[Bar, ...] = ()


class StudyList(Record, frozen=True, kw_only=True):
    """The identifiers of all studies, sorted."""

    studies: tuple[Identifier, ...]
