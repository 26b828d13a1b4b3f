"""What each round cost the ledger, and how long its transactions took, as far as the ledger tells.

The ledger doesn't hold when a transaction was committed: blocks have no time. It holds when each was proposed, by its
client's claim, and which later transaction read what it had written. So it tells after how long a transaction was seen
by another one: from its own proposal to the proposal of the first that read its write. That is its commit latency and
whatever passed until somebody looked; it may fall short by the moments that the reader's own endorsement took, and it
is as true as two clients' clocks. A transaction whose write nobody read has none.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from consilium_peers.audit.entries import Entry
from consilium_peers.audit.history import History
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
        seen: how many were seen by a later transaction; after how many milliseconds, the median and the largest, -1
            when none was.
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
    seen: int
    seen_after_ms_median: float
    seen_after_ms_max: float


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
    seen = seen_after(history, study)
    states = last_states(history, study)
    return tuple(_cost(number, states[number].phase.value, by_round[number], seen) for number in sorted(states))


def seen_after(history: History, study: str) -> dict[str, int]:
    """Return after how many milliseconds transactions were seen by a later one, by id; none for those that weren't."""
    written = {Version(entry.block, entry.position): entry for entry in history.of_study(study)}
    found: dict[str, int] = {}
    for reader in history.entries:
        for version in reader.read_versions:
            writer = written.get(version)
            if writer is not None and reader.proposed >= writer.proposed:
                after = reader.proposed - writer.proposed
                found[writer.tx_id] = min(after, found.get(writer.tx_id, after))
    return found


def _cost(number: int, phase: str, entries: list[Entry], seen: dict[str, int]) -> RoundCost:
    proposed = [entry.proposed for entry in entries]
    latencies = [seen[entry.tx_id] for entry in entries if entry.valid and entry.tx_id in seen]
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
        seen=len(latencies),
        seen_after_ms_median=statistics.median(latencies) if latencies else -1,
        seen_after_ms_max=max(latencies, default=-1),
    )
