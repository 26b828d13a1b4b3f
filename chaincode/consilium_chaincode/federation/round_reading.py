"""Which of a round's keys a transaction reads: each by name, absent ones included, never by range.

A range would let a stranger's write in it conflict with `Advance`; and reading an absent key by name is what makes an
anchor and the retry that drops it conflict when both are in one block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.federation.round import Written, advance
from consilium_proto.canonical import Record
from consilium_proto.records import (
    Anchor,
    AnchoredHospital,
    Attestation,
    AttestedModel,
    Consortium,
    Join,
    JoinedHospital,
    Publication,
    PublishedSum,
    Round,
    RoundPhase,
    RoundView,
    StudyTerms,
)

R = TypeVar("R", bound=Record)


async def read_written(ledger: LedgerState, state: Round, consortium: Consortium) -> Written:
    """Read what the round's current phase waits for: every expected key, and nothing else."""
    study, number = state.study, state.round
    if state.phase is RoundPhase.OPEN:
        joins = await _read_named(
            ledger, Join, state.participants, [state_keys.join(study, number, name) for name in state.participants]
        )
        return Written(joined=frozenset(joins), current_epoch=await ledger.current_epoch(study))
    if state.phase is RoundPhase.SEALED:
        keys = [state_keys.anchor(study, number, state.attempt, name) for name in state.participants]
        anchors = await _read_named(ledger, Anchor, state.participants, keys)
        return Written(anchored=frozenset(anchors), current_epoch=await ledger.current_epoch(study))
    if state.phase is RoundPhase.ANCHORED:
        keys = [state_keys.publication(study, number, name) for name in consortium.aggregators]
        publications = await _read_named(ledger, Publication, consortium.aggregators, keys)
        return Written(published=frozenset(publications))
    if state.phase is RoundPhase.AGGREGATED:
        attestations = await _read_attestations(ledger, state, state.participants)
        return Written(attested={name: attestation.model for name, attestation in attestations.items()})
    return Written()


async def read_view(
    ledger: LedgerState, terms: StudyTerms, state: Round, consortium: Consortium, timestamp: int
) -> RoundView:
    """Read everything the round's parties wrote, and tell which phase `Advance` would enter at `timestamp`."""
    study, number = state.study, state.round
    hospitals = sorted({*state.participants, *state.missing})
    joins = await _read_named(ledger, Join, hospitals, [state_keys.join(study, number, name) for name in hospitals])
    anchors: list[AnchoredHospital] = []
    for attempt in range(state.attempt + 1):
        keys = [state_keys.anchor(study, number, attempt, name) for name in hospitals]
        found = await _read_named(ledger, Anchor, hospitals, keys)
        anchors += [AnchoredHospital(hospital=name, anchor=anchor) for name, anchor in found.items()]
    aggregators = sorted({*consortium.aggregators, *([state.publisher] if state.publisher else [])})
    publications = await _read_named(
        ledger, Publication, aggregators, [state_keys.publication(study, number, name) for name in aggregators]
    )
    attestations = await _read_attestations(ledger, state, hospitals)
    written = await read_written(ledger, state, consortium)
    following = advance(terms, state, written, timestamp)
    return RoundView(
        round=state,
        joins=tuple(JoinedHospital(hospital=name, join=join) for name, join in joins.items()),
        anchors=tuple(anchors),
        publications=tuple(PublishedSum(aggregator=name, publication=sum_) for name, sum_ in publications.items()),
        attestations=tuple(AttestedModel(hospital=name, attestation=one) for name, one in attestations.items()),
        next_phase=None if following is None else following.phase,
    )


async def _read_attestations(ledger: LedgerState, state: Round, hospitals: Sequence[str]) -> dict[str, Attestation]:
    if state.publisher is None:
        return {}
    keys = [state_keys.attestation(state.study, state.round, state.publisher, name) for name in hospitals]
    return await _read_named(ledger, Attestation, hospitals, keys)


async def _read_named(ledger: LedgerState, kind: type[R], names: Sequence[str], keys: Sequence[str]) -> dict[str, R]:
    records = await ledger.read_all(kind, keys)
    return {name: record for name, record in zip(names, records, strict=True) if record is not None}
