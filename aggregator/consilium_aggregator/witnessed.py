"""The hospitals' vectors as their witnesses fetch them, from ANCHORED until the round is decided."""

from __future__ import annotations

import asyncio

from consilium_aggregator.errors import CorruptContentError, MissingContentError, TooEarlyError, UnknownVectorError
from consilium_aggregator.open_rounds import OpenRounds
from consilium_aggregator.store.folder import StoreFolder
from consilium_aggregator.store.manifests import Digests, VectorName


class WitnessedUpdates:
    """Serves anchored vectors to those who must be able to speak about them."""

    def __init__(self, rounds: OpenRounds, store: StoreFolder) -> None:
        self._rounds = rounds
        self._store = store

    async def manifest(self, caller: str, name: VectorName) -> Digests:
        """Return the manifest of a hospital's vector; for errors see `RoundSession.manifest_for`."""
        session = await self._rounds.session(name.study, name.round)
        return session.manifest_for(caller, name.owner, name.attempt)

    async def chunk(self, name: VectorName, digests: Digests, position: int) -> bytes:
        """Return one chunk of a vector whose manifest the caller was given.

        Raises:
            UnknownVectorError: no such position.
            TooEarlyError: the chunk was lost and must be uploaded again.
        """
        if not 0 <= position < len(digests):
            raise UnknownVectorError(f"there is no chunk {position}: the vector has {len(digests)}")
        session = await self._rounds.session(name.study, name.round)
        try:
            return await asyncio.to_thread(self._store.content.get, session.updates, digests[position])
        except (CorruptContentError, MissingContentError) as error:
            session.lost(name.owner, position)
            raise TooEarlyError(f"chunk {position} of {name.owner}'s vector was lost here: {error}") from None
