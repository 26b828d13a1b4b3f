"""Rounds with every transition and the transaction that made it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consilium_peers.audit.entries import Entry
from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.history import History
from consilium_peers.audit.moments import shown_moment
from consilium_proto.records import Round, StudyTerms


@dataclass(frozen=True, slots=True)
class Transition:
    """One state of a round and the transaction that put it there.

    Attributes:
        round, phase, attempt, publication, publisher: of the state.
        participants, missing, rejected, barred, attested_by: MSP ids.
        model: its digest; "" before the round is FINAL.
        proposed: the transaction's time, as its client claims.
        author: the MSP id of who sent it.
    """

    round: int
    phase: str
    attempt: int
    publication: int
    publisher: str
    participants: tuple[str, ...]
    missing: tuple[str, ...]
    rejected: tuple[str, ...]
    barred: tuple[str, ...]
    attested_by: tuple[str, ...]
    model: str
    event: str
    proposed: str
    author: str
    endorsers: tuple[str, ...]
    block: int
    tx_id: str


def round_states(history: History, study: str, number: int | None = None) -> Iterator[tuple[Entry, Round]]:
    """Yield every state of a study's rounds, or of one of them, with the transaction that wrote it.

    Raises:
        NotOnLedgerError: no such study.
    """
    attributes = (study,) if number is None else (study, str(number))
    for entry in history.of_study(study):
        for _, state in entry.written(Round, "round", *attributes):
            yield entry, state


def last_states(history: History, study: str) -> dict[int, Round]:
    """Return the newest state of each of a study's rounds, by number."""
    return {state.round: state for _, state in round_states(history, study)}


def transitions(history: History, study: str, number: int | None = None) -> tuple[Transition, ...]:
    """Return a study's transitions, or those of one round, in the ledger's order.

    Raises:
        NotOnLedgerError: no such study or round.
    """
    found = tuple(_transition(entry, state) for entry, state in round_states(history, study, number))
    if number is not None and not found:
        raise NotOnLedgerError(f"study {study} has no round {number}")
    return found


def study_terms(history: History, study: str) -> StudyTerms:
    """Return the terms of a study, as they were proposed.

    Raises:
        NotOnLedgerError: no such study.
    """
    for entry in history.of_study(study):
        if entry.function == "ProposeStudy":
            return entry.asked(StudyTerms)
    raise NotOnLedgerError(f"study {study} was never proposed in blocks 0 to {history.height - 1}")


def _transition(entry: Entry, state: Round) -> Transition:
    return Transition(
        round=state.round,
        phase=state.phase.value,
        attempt=state.attempt,
        publication=state.publication,
        publisher=state.publisher or "",
        participants=state.participants,
        missing=state.missing,
        rejected=state.rejected,
        barred=state.barred,
        attested_by=state.attested_by,
        model=state.model or "",
        event=entry.event,
        proposed=shown_moment(entry.proposed),
        author=entry.creator,
        endorsers=entry.endorsers,
        block=entry.block,
        tx_id=entry.tx_id,
    )
