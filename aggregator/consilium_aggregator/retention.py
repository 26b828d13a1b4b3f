"""What an aggregator forgets, and when.

Updates go when their round is decided. A sum stays when it became a model (FINAL under this aggregator's publication),
since a hospital that was away derives the model from it later; other sums go with their round. `keep_final` limits
how many sums of a study stay, newest first.
"""

from __future__ import annotations

from consilium_aggregator.store.content import Area, Kind
from consilium_aggregator.store.folder import StoreFolder
from consilium_proto.records import Round, RoundPhase


class Retention:
    """Drops what is no longer needed; calls block."""

    def __init__(self, store: StoreFolder, organization: str, keep_final: int | None) -> None:
        self._store = store
        self._organization = organization
        self._keep_final = keep_final

    def settle(self, decided: Round) -> None:
        """Drop what a decided round leaves behind.

        Raises:
            StoreError: something can't be removed.
        """
        study, number = decided.study, decided.round
        self._store.content.drop(Area(study, number, Kind.UPDATES))
        if decided.phase is not RoundPhase.FINAL or decided.publisher != self._organization:
            self._forget(study, number)
            return
        for name in self._store.manifests.names():
            if (name.study, name.round) == (study, number) and name.label == "update":
                self._store.manifests.drop(name)
        if self._keep_final is not None:
            for area in self._sums(study)[: -self._keep_final]:
                self._forget(study, area.round)

    def rounds(self, study: str) -> set[int]:
        """Return the rounds of a study of which anything is in the store."""
        kept = {area.round for area in self._store.content.areas() if area.study == study}
        return kept | {name.round for name in self._store.manifests.names() if name.study == study}

    def _sums(self, study: str) -> list[Area]:
        return [area for area in self._store.content.areas() if area.study == study and area.kind is Kind.SUMS]

    def _forget(self, study: str, number: int) -> None:
        self._store.content.drop(Area(study, number, Kind.SUMS))
        self._store.manifests.drop_round(study, number)
