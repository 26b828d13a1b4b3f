"""What one hospital or aggregator did in a study, and where it was silent."""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.audit.entries import Entry
from consilium_peers.audit.history import History
from consilium_peers.audit.moments import shown_moment
from consilium_peers.audit.transitions import round_states
from consilium_proto.records import Round


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that an organisation did, or that the ledger noted of it.

    Attributes:
        act: the contract's function, or what a transition notes: missing (silence, no fault), witness missing, vector
            not confirmed, sum rejected, barred (proved to have lied).
        sent: True when the organisation sent the transaction itself.
        proposed: the transaction's time, as its client claims.
    """

    round: int
    act: str
    sent: bool
    proposed: str
    endorsers: tuple[str, ...]
    block: int
    tx_id: str


def participation(history: History, study: str, organization: str) -> tuple[Act, ...]:
    """Return what an organisation did in a study, in the ledger's order; nothing when it isn't in it.

    Raises:
        NotOnLedgerError: no such study.
    """
    noted = _noted(history, study, organization)
    acts: list[Act] = []
    for entry in history.of_study(study):
        if entry.creator == organization:
            acts.append(_act(entry, entry.round, entry.function, sent=True))
        acts += [_act(entry, number, what, sent=False) for number, what in noted.get(entry.tx_id, ())]
    return tuple(acts)


def _noted(history: History, study: str, organization: str) -> dict[str, list[tuple[int, str]]]:
    """Return what transitions say of an organisation for the first time, by transaction."""
    found: dict[str, list[tuple[int, str]]] = {}
    before: dict[int, set[str]] = {}
    for entry, state in round_states(history, study):
        now = _remarks(state, organization)
        for what in sorted(now - before.get(state.round, set())):
            found.setdefault(entry.tx_id, []).append((state.round, what))
        before[state.round] = now
    return found


def _remarks(state: Round, organization: str) -> set[str]:
    remarks = {
        "missing": organization in state.missing,
        "sum rejected": organization in state.rejected,
        "barred": organization in state.barred,
        "vector not confirmed": organization in {pair.owner for pair in state.unheld},
        "witness missing": organization in {pair.witness for pair in state.unheld},
    }
    return {what for what, said in remarks.items() if said}


def _act(entry: Entry, number: int, what: str, *, sent: bool) -> Act:
    return Act(
        round=number,
        act=what,
        sent=sent,
        proposed=shown_moment(entry.proposed),
        endorsers=entry.endorsers,
        block=entry.block,
        tx_id=entry.tx_id,
    )
