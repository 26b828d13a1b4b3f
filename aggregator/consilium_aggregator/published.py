"""The sums that this aggregator has published: what it hands to the participants of a study, and to nobody else."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from consilium_aggregator.errors import CorruptContentError, ForbiddenError, UnknownVectorError
from consilium_aggregator.open_rounds import OpenRounds
from consilium_aggregator.round_sum import own_publication
from consilium_aggregator.store.content import Area, Kind
from consilium_aggregator.store.folder import StoreFolder
from consilium_aggregator.store.manifests import Digests, VectorName
from consilium_proto.chunk_tree import VectorContext, check_root
from consilium_proto.errors import WireError

# Manifests of sums that are kept in memory: hospitals ask for the newest, all at the same time.
CACHED_MANIFESTS = 8


class PublishedSums:
    """Serves published sums from the store."""

    def __init__(self, rounds: OpenRounds, store: StoreFolder, channel: str, organization: str) -> None:
        self._rounds = rounds
        self._store = store
        self._channel = channel
        self._organization = organization
        self._cached: OrderedDict[VectorName, Digests] = OrderedDict()

    async def manifest(self, caller: str, name: VectorName) -> Digests:
        """Return the manifest of a sum, checked against the root on the ledger.

        Raises:
            ForbiddenError: the caller doesn't take part in the study.
            UnknownVectorError: this aggregator published no such sum, or no longer has it.
            LedgerUnavailableError: the ledger doesn't answer.
        """
        if name.owner != self._organization:
            raise UnknownVectorError(f"this is the aggregator {self._organization}; it holds no sum of {name.owner}")
        terms = await self._rounds.terms(name.study)
        if caller not in {entry.hospital for entry in terms.participants}:
            raise ForbiddenError(f"{caller} doesn't take part in study {name.study}")
        if name not in self._cached:
            self._cached[name] = await self._read(name)
        self._cached.move_to_end(name)
        while len(self._cached) > CACHED_MANIFESTS:
            self._cached.popitem(last=False)
        return self._cached[name]

    async def chunk(self, name: VectorName, digests: Digests, position: int) -> bytes:
        """Return one chunk of a sum whose manifest the caller was given.

        Raises:
            UnknownVectorError: no such position, or the chunk is gone.
        """
        if not 0 <= position < len(digests):
            raise UnknownVectorError(f"there is no chunk {position}: the sum has {len(digests)}")
        area = Area(name.study, name.round, Kind.SUMS)
        try:
            return await asyncio.to_thread(self._store.content.get, area, digests[position])
        except CorruptContentError as error:
            raise UnknownVectorError(str(error)) from None

    async def _read(self, name: VectorName) -> Digests:
        view = await self._rounds.view(name.study, name.round)
        publication = own_publication(view, self._organization)
        if publication is None or publication.attempt != name.attempt:
            raise UnknownVectorError(f"no sum of round {name.round}, attempt {name.attempt} is published here")
        context = VectorContext(
            self._channel, name.study, view.round.epoch, name.round, name.attempt, self._organization, "sum"
        )
        digests = await asyncio.to_thread(self._store.manifests.read, name, publication.chunks)
        if digests is None:
            raise UnknownVectorError(f"the sum of round {name.round} is no longer here")
        try:
            await asyncio.to_thread(check_root, publication.root, context, _listed(digests))
        except WireError as error:
            raise UnknownVectorError(f"the sum of round {name.round} is damaged: {error}") from None
        return digests


def _listed(digests: Digests) -> Sequence[bytes]:
    return [digests[position] for position in range(len(digests))]
