"""What each round cost the ledger, and how long its transactions took, as far as the ledger tells.

The ledger doesn't hold when a transaction was committed: blocks have no time. It holds when each was proposed, by its
client's claim, and which later transaction read what it had written. A transaction was committed before the first
transaction that read its write was proposed, so the time between both is an upper bound of its commit latency, as true
as the two clients' clocks. A transaction whose write nobody read has none.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from consilium_peers.audit.history import Entry, History
from consilium_peers.audit.moments import shown_moment
from consilium_peers.audit.transitions import last_states, study_terms
from consilium_trail.blocks.read_write_sets import Version


@dataclass(frozen=True, slots=True)
class RoundCost:
    """One round's share of the ledger.

    Attributes:
        phase: the round's newest.
        transactions, invalid: all that were ordered, and those among them that changed nothing.
        ledger_bytes: of all their envelopes; headers and signatures of blocks, which are shared, aren't in it.
        blocks: in how many blocks they are.
        opened, newest: proposal times of the first and the last of them, by their clients' claims.
        seconds: between both.
        bounded: how many have an upper bound of their commit latency; the median and the largest in milliseconds,
            -1 when there is none.
    """

    round: int
    phase: str
    transactions: int
    invalid: int
    ledger_bytes: int
    blocks: int
    opened: str
    newest: str
    seconds: float
    bounded: int
    latency_bound_ms_median: float
    latency_bound_ms_max: float


def round_costs(history: History, study: str) -> tuple[RoundCost, ...]:
    """Return what each round of a study cost, by number.

    Raises:
        NotOnLedgerError: no such study.
    """
    study_terms(history, study)
    by_round: dict[int, list[Entry]] = {}
    for entry in history.entries:
        if entry.study == study and entry.round:
            by_round.setdefault(entry.round, []).append(entry)
    bounds = latency_bounds(history, study)
    states = last_states(history, study)
    return tuple(_cost(number, states[number].phase.value, by_round[number], bounds) for number in sorted(states))


def latency_bounds(history: History, study: str) -> dict[str, int]:
    """Return upper bounds of commit latencies, milliseconds by transaction id, where the ledger gives one."""
    written = {Version(entry.block, entry.position): entry for entry in history.of_study(study)}
    bounds: dict[str, int] = {}
    for reader in history.entries:
        for version in reader.read_versions:
            writer = written.get(version)
            if writer is not None and reader.proposed >= writer.proposed:
                bound = reader.proposed - writer.proposed
                bounds[writer.tx_id] = min(bound, bounds.get(writer.tx_id, bound))
    return bounds


def _cost(number: int, phase: str, entries: list[Entry], bounds: dict[str, int]) -> RoundCost:
    proposed = [entry.proposed for entry in entries]
    latencies = [bounds[entry.tx_id] for entry in entries if entry.valid and entry.tx_id in bounds]
    return RoundCost(
        round=number,
        phase=phase,
        transactions=len(entries),
        invalid=sum(not entry.valid for entry in entries),
        ledger_bytes=sum(entry.size for entry in entries),
        blocks=len({entry.block for entry in entries}),
        opened=shown_moment(min(proposed)),
        newest=shown_moment(max(proposed)),
        seconds=(max(proposed) - min(proposed)) / 1000,
        bounded=len(latencies),
        latency_bound_ms_median=statistics.median(latencies) if latencies else -1,
        latency_bound_ms_max=max(latencies, default=-1),
    )
