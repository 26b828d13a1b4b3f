"""What an aggregator's store holds, told without asking the ledger or a running aggregator."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from consilium_aggregator.store.content import Area, Kind
from consilium_aggregator.store.folder import StoreFolder
from consilium_aggregator.store.manifests import VectorName


@dataclass
class RoundHoldings:
    """One round: how many of its `chunks` chunks are summed, and held of each hospital that announced its update."""

    study: str
    round: int
    attempt: int
    chunks: int = 0
    summed: int = 0
    updates: dict[str, int] = field(default_factory=dict)
    stored_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return what JSON output shows."""
        return asdict(self)


def holdings(store: StoreFolder) -> list[RoundHoldings]:
    """Return what is held of each round, by study and round.

    Raises:
        StoreError: the store can't be read.
    """
    rounds: dict[tuple[str, int, int], RoundHoldings] = {}
    for name in store.manifests.names():
        key = (name.study, name.round, name.attempt)
        entry = rounds.setdefault(key, RoundHoldings(*key))
        _count(store, name, entry)
    for entry in rounds.values():
        entry.stored_bytes = sum(store.content.size(Area(entry.study, entry.round, kind))[1] for kind in Kind)
    return list(rounds.values())


def _count(store: StoreFolder, name: VectorName, entry: RoundHoldings) -> None:
    count = store.manifests.size(name)
    digests = store.manifests.read(name, count)
    if digests is None:
        return
    kind = Kind.SUMS if name.label == "sum" else Kind.UPDATES
    held = sum(store.content.held(Area(name.study, name.round, kind), (digests[n] for n in range(count))))
    entry.chunks = count
    if kind is Kind.SUMS:
        entry.summed = held
    else:
        entry.updates[name.owner] = held
