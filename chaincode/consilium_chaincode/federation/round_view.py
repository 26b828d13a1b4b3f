"""Everything that a round's parties wrote, as readers see it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.federation.round import advance
from consilium_chaincode.federation.round_reading import (
    read_anchors,
    read_attestations,
    read_fingerprints,
    read_held,
    read_joins,
    read_named,
    read_reveals,
    read_written,
)
from consilium_chaincode.federation.verification import claimed, expected_lists
from consilium_proto.records import (
    AnchoredHospital,
    AttestedModel,
    Consortium,
    DisprovedListing,
    Fingerprint,
    HeldVector,
    JoinedHospital,
    Listing,
    MalformedVector,
    ProofNote,
    Publication,
    PublishedSum,
    RevealedValue,
    Round,
    RoundPhase,
    RoundView,
    StudyTerms,
    WrittenFingerprint,
    WrittenListing,
)

_BEFORE_UPLOADS = (RoundPhase.OPEN, RoundPhase.SEALED)


async def read_view(
    ledger: LedgerState, channel: str, terms: StudyTerms, state: Round, consortium: Consortium, timestamp: int
) -> RoundView:
    """Read everything the round's parties wrote, and tell which phase `Advance` would enter at `timestamp`."""
    study, number = state.study, state.round
    hospitals = sorted({*state.participants, *state.missing})
    joins = await read_joins(ledger, state, hospitals)
    anchors: list[AnchoredHospital] = []
    for attempt in range(state.attempt + 1):
        found = await read_anchors(ledger, state, hospitals, attempt)
        anchors += [AnchoredHospital(hospital=name, anchor=anchor) for name, anchor in found.items()]
    publishers = sorted({*consortium.aggregators, *state.rejected, *([state.publisher] if state.publisher else [])})
    publications = await read_named(
        ledger, Publication, publishers, [state_keys.publication(study, number, name) for name in publishers]
    )
    attestations = await read_attestations(ledger, state, hospitals)
    written = await read_written(ledger, channel, terms, state, consortium)
    following = advance(terms, state, written, timestamp)
    revealed, fingerprints, listings, disproofs = await _read_publications(ledger, state)
    return RoundView(
        round=state,
        joins=tuple(JoinedHospital(hospital=name, join=join) for name, join in joins.items()),
        anchors=tuple(anchors),
        held=await _read_held(ledger, terms, state),
        publications=tuple(PublishedSum(aggregator=name, publication=sum_) for name, sum_ in publications.items()),
        reveals=tuple(revealed),
        fingerprints=tuple(fingerprints),
        listings=tuple(listings),
        disproofs=tuple(disproofs),
        malformed=await _read_malformed(ledger, state, [*hospitals, *publishers]),
        attestations=tuple(AttestedModel(hospital=name, attestation=one) for name, one in attestations.items()),
        next_phase=None if following is None else following.phase,
    )


async def _read_held(ledger: LedgerState, terms: StudyTerms, state: Round) -> tuple[HeldVector, ...]:
    if (state.ended_in or state.phase) in _BEFORE_UPLOADS:
        return ()
    held = await read_held(ledger, terms, state)
    return tuple(HeldVector(owner=owner, witness=witness) for owner, witness in sorted(held))


async def _read_publications(
    ledger: LedgerState, state: Round
) -> tuple[list[RevealedValue], list[WrittenFingerprint], list[WrittenListing], list[DisprovedListing]]:
    """Read what was written about each publication so far, the rejected ones too, but of these no lists.

    Lists are long, and `check_terms` bounds those of one publication.
    """
    revealed: list[RevealedValue] = []
    written: list[WrittenFingerprint] = []
    listings: list[WrittenListing] = []
    disproofs: list[DisprovedListing] = []
    for publication in range(1, state.publication + 1):
        values = await read_reveals(ledger, state, publication, state.participants)
        revealed += [RevealedValue(hospital=name, reveal=value) for name, value in values.items()]
        found = await read_fingerprints(ledger, state, publication, state.participants)
        written += [WrittenFingerprint(hospital=name, fingerprint=value) for name, value in found.items()]
        listed, disproved = await _read_dispute(ledger, state, publication, found)
        listings = listed
        disproofs += disproved
    return revealed, written, listings, disproofs


async def _read_dispute(
    ledger: LedgerState, state: Round, publication: int, found: dict[str, Fingerprint]
) -> tuple[list[WrittenListing], list[DisprovedListing]]:
    if len(found) < len(state.participants):
        return [], []
    pairs = _disputed_pairs(state, found)
    place = (state.study, state.round, publication)
    lists = await ledger.read_all(Listing, [state_keys.listing(*place, *pair) for pair in pairs])
    notes = await ledger.read_all(ProofNote, [state_keys.disproof(*place, *pair) for pair in pairs])
    listed = [
        WrittenListing(hospital=author, listing=listing)
        for (author, _), listing in zip(pairs, lists, strict=True)
        if listing is not None
    ]
    disproved = [
        DisprovedListing(publication=publication, vector=vector, author=author, note=note)
        for (author, vector), note in zip(pairs, notes, strict=True)
        if note is not None
    ]
    return listed, disproved


def _disputed_pairs(state: Round, found: dict[str, Fingerprint]) -> list[tuple[str, str]]:
    """Return (author, vector) of every list there may be; whose sum a rejected publication was isn't in the state."""
    publishers = sorted({*state.rejected, *([state.publisher] if state.publisher else [])})
    claims = claimed(replace(state, publisher=publishers[0]), found)
    return [
        (author, name)
        for author, vector in sorted(expected_lists(claims))
        for name in (publishers if vector == publishers[0] else [vector])
    ]


async def _read_malformed(ledger: LedgerState, state: Round, vectors: Sequence[str]) -> tuple[MalformedVector, ...]:
    keys = [state_keys.malformed(state.study, state.round, state.attempt, vector) for vector in vectors]
    found = await read_named(ledger, ProofNote, vectors, keys)
    return tuple(MalformedVector(vector=vector, note=note) for vector, note in found.items())
