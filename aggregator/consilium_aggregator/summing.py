"""The sum of one round: chunk by chunk, as soon as every hospital's chunk of a position is there.

Adding ciphertexts is deterministic, so a restarted aggregator computes again what it hadn't finished and comes to the
same bytes. In memory there are never more than one position's chunks per worker.
"""

from __future__ import annotations

import asyncio

from consilium_aggregator.errors import ContentMissingError
from consilium_aggregator.store import ContentStore
from consilium_aggregator.summation import add_chunks
from consilium_proto.parameter_sets import ParameterSet

# Two positions at a time: more would only take memory on a machine of two cores.
WORKERS = 2


class RoundSum:
    """Sums the vectors of a round's hospitals. Give it manifests as they are announced and tell it of arrived chunks."""

    def __init__(
        self, store: ContentStore, parameters: ParameterSet, epoch: int, hospitals: tuple[str, ...], chunks: int
    ) -> None:
        self._store = store
        self._parameters = parameters
        self._epoch = epoch
        self._hospitals = hospitals
        self._manifests: dict[str, tuple[bytes, ...]] = {}
        self._sums: list[bytes | None] = [None] * chunks
        self._workers = asyncio.Semaphore(WORKERS)
        self._adding: set[int] = set()

    def announce(self, hospital: str, digests: tuple[bytes, ...]) -> None:
        """Learn a hospital's manifest."""
        self._manifests[hospital] = digests

    @property
    def missing(self) -> dict[str, int | None]:
        """How many chunks each hospital still has to send; None where its manifest isn't known."""
        return {
            hospital: None
            if hospital not in self._manifests
            else sum(not self._store.has(digest) for digest in self._manifests[hospital])
            for hospital in self._hospitals
        }

    async def add_what_is_there(self) -> tuple[bytes, ...] | None:
        """Add every position that is complete; return the sum's digests in order once all are, else None."""
        if set(self._manifests) >= set(self._hospitals):
            due = [n for n, done in enumerate(self._sums) if done is None and n not in self._adding and self._ready(n)]
            self._adding.update(due)
            try:
                await asyncio.gather(*(self._add(position) for position in due))
            finally:
                self._adding.difference_update(due)
        finished = tuple(digest for digest in self._sums if digest is not None)
        return finished if len(finished) == len(self._sums) else None

    def _ready(self, position: int) -> bool:
        return all(self._store.has(self._manifests[hospital][position]) for hospital in self._hospitals)

    async def _add(self, position: int) -> None:
        async with self._workers:
            try:
                self._sums[position] = await asyncio.to_thread(self._added, position)
            except ContentMissingError:
                return  # damaged on disk and removed: its hospital is asked for it again

    def _added(self, position: int) -> bytes:
        contents = [self._store.get(self._manifests[hospital][position]) for hospital in self._hospitals]
        return self._store.put(add_chunks(self._parameters, self._epoch, contents))
