"""Which of a round's keys a transaction reads: each by name, absent ones included, never by range.

A range would let a stranger's write in it conflict with `Advance`; and reading an absent key by name is what makes an
anchor and the retry that drops it conflict when both are in one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.federation.round import Written, expected_holders
from consilium_chaincode.federation.verification import claimed, expected_lists
from consilium_proto.canonical import Record
from consilium_proto.chunk_tree import VectorContext
from consilium_proto.fingerprint import challenge_seed
from consilium_proto.records import (
    Anchor,
    Attestation,
    Consortium,
    Fingerprint,
    FingerprintValue,
    Held,
    Join,
    Listing,
    ProofNote,
    Publication,
    Reveal,
    Round,
    RoundPhase,
    StudyTerms,
)

R = TypeVar("R", bound=Record)

_WITH_FINGERPRINTS = (RoundPhase.CHALLENGED, RoundPhase.LISTING, RoundPhase.PROVING)


async def read_written(
    ledger: LedgerState, channel: str, terms: StudyTerms, state: Round, consortium: Consortium
) -> Written:
    """Read what the round's current phase waits for: every expected key, and nothing else."""
    study, names = state.study, state.participants
    if state.phase is RoundPhase.OPEN:
        joins = await read_joins(ledger, state, names)
        return Written(joined=frozenset(joins), current_epoch=await ledger.current_epoch(study))
    if state.phase is RoundPhase.SEALED:
        anchors = await read_anchors(ledger, state, names)
        return Written(anchored=frozenset(anchors), current_epoch=await ledger.current_epoch(study))
    if state.phase is RoundPhase.ANCHORED:
        return await _read_anchored(ledger, terms, state, consortium)
    if state.phase is RoundPhase.AGGREGATED:
        return await _read_aggregated(ledger, channel, state)
    if state.phase in _WITH_FINGERPRINTS:
        return await _read_verification(ledger, state)
    if state.phase is RoundPhase.VERIFIED:
        attestations = await read_attestations(ledger, state, names)
        return Written(attested={name: attestation.model for name, attestation in attestations.items()})
    return Written()


async def _read_anchored(ledger: LedgerState, terms: StudyTerms, state: Round, consortium: Consortium) -> Written:
    held = await read_held(ledger, terms, state)
    publishers = consortium.aggregators
    keys = [state_keys.publication(state.study, state.round, name) for name in publishers]
    published = await read_named(ledger, Publication, publishers, keys)
    malformed = await _read_malformed(ledger, state, state.participants)
    return Written(held=held, published=frozenset(published), malformed=malformed)


async def _read_aggregated(ledger: LedgerState, channel: str, state: Round) -> Written:
    assert state.publisher is not None
    reveals = await read_reveals(ledger, state, state.publication, state.participants)
    written = Written(revealed=frozenset(reveals), malformed=await _read_malformed(ledger, state, [state.publisher]))
    if len(reveals) < len(state.participants):
        return written
    anchors = await read_anchors(ledger, state, state.participants)
    key = state_keys.publication(state.study, state.round, state.publisher)
    published = await ledger.require(Publication, key, f"publication of {state.publisher}")
    context = VectorContext(channel, state.study, state.epoch, state.round, state.attempt, state.publisher, "sum")
    roots = [anchors[name].root for name in state.participants]
    values = [reveals[name].value for name in state.participants]
    seed = challenge_seed(context, state.publication, roots, published.root, values)
    return replace(written, challenge=seed)


async def _read_verification(ledger: LedgerState, state: Round) -> Written:
    assert state.publisher is not None
    fingerprints = await read_fingerprints(ledger, state, state.publication, state.participants)
    written = Written(fingerprints=fingerprints, malformed=await _read_malformed(ledger, state, [state.publisher]))
    if state.phase is RoundPhase.CHALLENGED:
        return written
    pairs = sorted(expected_lists(claimed(state, fingerprints)))
    place = (state.study, state.round, state.publication)
    listed = await _read_present(ledger, Listing, pairs, [state_keys.listing(*place, *pair) for pair in pairs])
    if state.phase is RoundPhase.LISTING:
        return replace(written, listed=listed)
    disproved = await _read_present(ledger, ProofNote, pairs, [state_keys.disproof(*place, *pair) for pair in pairs])
    return replace(written, listed=listed, disproved=disproved)


async def read_held(ledger: LedgerState, terms: StudyTerms, state: Round) -> frozenset[tuple[str, str]]:
    """Return (owner, witness) of every vector of the current attempt that is confirmed."""
    pairs = expected_holders(terms, state)
    keys = [state_keys.held(state.study, state.round, state.attempt, *pair) for pair in pairs]
    return await _read_present(ledger, Held, pairs, keys)


async def read_claims(
    ledger: LedgerState, state: Round, vector: str, authors: Sequence[str]
) -> dict[str, FingerprintValue]:
    """Return what each author wrote of a vector for the round's current publication."""
    claims: dict[str, FingerprintValue] = {}
    for author, written in (await read_fingerprints(ledger, state, state.publication, authors)).items():
        if vector == state.publisher:
            value = written.sum
        elif vector == author:
            value = written.own
        else:
            value = next((entry.value for entry in written.witnessed if entry.owner == vector), None)
        if value is not None:
            claims[author] = value
    return claims


async def read_joins(ledger: LedgerState, state: Round, names: Sequence[str]) -> dict[str, Join]:
    """Return hospitals' joins of a round."""
    keys = [state_keys.join(state.study, state.round, name) for name in names]
    return await read_named(ledger, Join, names, keys)


async def read_anchors(
    ledger: LedgerState, state: Round, names: Sequence[str], attempt: int | None = None
) -> dict[str, Anchor]:
    """Return hospitals' anchors, of the current attempt if no other is named."""
    chosen = state.attempt if attempt is None else attempt
    keys = [state_keys.anchor(state.study, state.round, chosen, name) for name in names]
    return await read_named(ledger, Anchor, names, keys)


async def read_reveals(ledger: LedgerState, state: Round, publication: int, names: Sequence[str]) -> dict[str, Reveal]:
    """Return what hospitals revealed for a publication."""
    keys = [state_keys.reveal(state.study, state.round, publication, name) for name in names]
    return await read_named(ledger, Reveal, names, keys)


async def read_fingerprints(
    ledger: LedgerState, state: Round, publication: int, names: Sequence[str]
) -> dict[str, Fingerprint]:
    """Return hospitals' fingerprints for a publication."""
    keys = [state_keys.fingerprint(state.study, state.round, publication, name) for name in names]
    return await read_named(ledger, Fingerprint, names, keys)


async def read_attestations(ledger: LedgerState, state: Round, names: Sequence[str]) -> dict[str, Attestation]:
    """Return hospitals' attestations for the current publication; none while there is no publisher."""
    if state.publisher is None:
        return {}
    keys = [state_keys.attestation(state.study, state.round, state.publisher, name) for name in names]
    return await read_named(ledger, Attestation, names, keys)


async def read_named(ledger: LedgerState, kind: type[R], names: Sequence[str], keys: Sequence[str]) -> dict[str, R]:
    """Return the records that are there, by the names that go with their keys."""
    records = await ledger.read_all(kind, keys)
    return {name: record for name, record in zip(names, records, strict=True) if record is not None}


async def _read_malformed(ledger: LedgerState, state: Round, vectors: Sequence[str]) -> frozenset[str]:
    keys = [state_keys.malformed(state.study, state.round, state.attempt, vector) for vector in vectors]
    return frozenset(await read_named(ledger, ProofNote, vectors, keys))


async def _read_present(
    ledger: LedgerState, kind: type[R], pairs: Sequence[tuple[str, str]], keys: Sequence[str]
) -> frozenset[tuple[str, str]]:
    records = await ledger.read_all(kind, keys)
    return frozenset(pair for pair, record in zip(pairs, records, strict=True) if record is not None)
