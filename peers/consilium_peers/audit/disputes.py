"""Disputes: who listed what, whose list or vector was disproved and by which chunk, who was barred and readmitted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consilium_peers.audit.entries import Entry
from consilium_peers.audit.history import History
from consilium_peers.audit.moments import shown_moment
from consilium_peers.audit.transitions import round_states
from consilium_proto.records import Disproof, Listing, MalformedChunk, Readmission


@dataclass(frozen=True, slots=True)
class DisputeStep:
    """One step of a dispute.

    Attributes:
        step: listed, disproved, malformed chunk, sum rejected, barred, readmission approved, readmitted.
        vector: whose vector it is about; a hospital's update, or an aggregator's sum.
        culprit: who is proved to have lied by this step, or barred by it; "" when the step proves nothing.
        chunk: the index of the chunk that was shown; -1 for none.
    """

    round: int
    publication: int
    step: str
    vector: str
    culprit: str
    chunk: int
    author: str
    proposed: str
    block: int
    tx_id: str


def disputes(history: History, study: str, number: int | None = None) -> tuple[DisputeStep, ...]:
    """Return every step of a study's disputes, or of one round's, in the ledger's order.

    Raises:
        NotOnLedgerError: no such study.
    """
    decisions = _decisions(history, study)
    steps: list[DisputeStep] = []
    for entry in history.of_study(study):
        steps += _steps(entry)
        steps += decisions.get(entry.tx_id, [])
    return tuple(step for step in steps if number in (None, step.round))


def _steps(entry: Entry) -> Iterator[DisputeStep]:
    if entry.function == "List":
        listing = entry.asked(Listing)
        yield _step(entry, "listed", listing.publication, listing.vector, "")
    elif entry.function == "Disprove":
        disproof = entry.asked(Disproof)
        index = disproof.chunk.index
        yield _step(entry, "disproved", disproof.publication, disproof.vector, disproof.author, index)
    elif entry.function == "ProveMalformed":
        malformed = entry.asked(MalformedChunk)
        yield _step(entry, "malformed chunk", 0, malformed.vector, malformed.vector, malformed.chunk.index)
    elif entry.function in ("ApproveReadmission", "Readmit"):
        party = entry.asked(Readmission).party
        yield _step(entry, "readmitted" if entry.function == "Readmit" else "readmission approved", 0, party, "")


def _decisions(history: History, study: str) -> dict[str, list[DisputeStep]]:
    """Return what transitions decided, by transaction: who is barred or rejected from then on."""
    found: dict[str, list[DisputeStep]] = {}
    barred: dict[int, set[str]] = {}
    rejected: dict[int, set[str]] = {}
    for entry, state in round_states(history, study):
        publication = state.publication
        for party in state.rejected:
            if party not in rejected.setdefault(state.round, set()):
                rejected[state.round].add(party)
                found.setdefault(entry.tx_id, []).append(_step(entry, "sum rejected", publication, party, ""))
        for party in state.barred:
            if party not in barred.setdefault(state.round, set()):
                barred[state.round].add(party)
                found.setdefault(entry.tx_id, []).append(_step(entry, "barred", publication, party, party))
    return found


def _step(entry: Entry, step: str, publication: int, vector: str, culprit: str, chunk: int = -1) -> DisputeStep:
    return DisputeStep(
        round=entry.round,
        publication=publication,
        step=step,
        vector=vector,
        culprit=culprit,
        chunk=chunk,
        author=entry.creator,
        proposed=shown_moment(entry.proposed),
        block=entry.block,
        tx_id=entry.tx_id,
    )
