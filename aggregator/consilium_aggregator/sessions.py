"""What an aggregator knows of one round: whose chunks are announced, which are here, which are added up.

Nothing is announced before the ledger holds every anchor (phase ANCHORED): from there on neither the participants nor
their roots change, so a session checks uploads against what it read once. A session is in memory only; what it is made
of lies in the store, from which `load` makes it again after a restart.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import Iterable, Sequence

from consilium_aggregator.errors import (
    ForbiddenError,
    RefusedContentError,
    RoundOverError,
    TooEarlyError,
    UnknownVectorError,
)
from consilium_aggregator.store.content import Area, Kind
from consilium_aggregator.store.folder import StoreFolder
from consilium_aggregator.store.manifests import Digests, VectorName
from consilium_proto.chunk_tree import VectorContext, check_root, chunk_digest
from consilium_proto.chunks import decode_update, update_chunk_size
from consilium_proto.errors import ChunkError, WireError
from consilium_proto.parameter_sets import parameter_set
from consilium_proto.records import Anchor, RoundView, StudyTerms
from consilium_proto.witnesses import witnesses_of


class RoundSession:
    """One round whose updates are anchored. Its methods run on the event loop; only disk and hashing leave it."""

    def __init__(self, store: StoreFolder, channel: str, organization: str, terms: StudyTerms, view: RoundView) -> None:
        self.state = view.round
        self.store = store
        self.parameter_set = parameter_set(terms.parameter_set)
        self.participants = self.state.participants
        self.chunks = self.parameter_set.chunk_count(terms.parameters)
        self.updates = Area(self.state.study, self.state.round, Kind.UPDATES)
        self.sums = Area(self.state.study, self.state.round, Kind.SUMS)
        self.max_colluding = terms.max_colluding
        self.sum_name = VectorName(self.state.study, self.state.round, self.state.attempt, organization, "sum")
        self.sum_digests = Digests.absent(self.chunks)
        self.closed = False
        self._channel = channel
        self._anchors = _anchors(view)
        self._manifests: dict[str, Digests] = {}
        self._held = {hospital: bytearray(self.chunks) for hospital in self.participants}
        # At each position: by how many hospitals its chunk is still missing.
        self._lacking = array("H", [len(self.participants)]) * self.chunks
        self._ready: deque[int] = deque()
        self._unsummed = self.chunks
        self._changed = asyncio.Event()

    def context(self, owner: str, label: str) -> VectorContext:
        """Return what the chunks of a vector of this round are bound to."""
        state = self.state
        return VectorContext(self._channel, state.study, state.epoch, state.round, state.attempt, owner, label)

    def load(self) -> None:
        """Take up what an earlier process left in the store; call it once, from a thread, before anything else."""
        files, content = self.store.manifests, self.store.content
        sums = files.read(self.sum_name, self.chunks)
        if sums is None:
            files.write(self.sum_name, self.sum_digests)
        else:
            held = content.held(self.sums, (sums[position] for position in range(self.chunks)))
            for position in range(self.chunks):
                if held[position] and sums.known(position):
                    self.add_sums({position: sums[position]})
        for hospital in self.participants:
            digests = files.read(self._name(hospital), self.chunks)
            if digests is not None and self._under_root(hospital, digests):
                self._manifests[hospital] = digests
                held = content.held(self.updates, (digests[position] for position in range(self.chunks)))
                self._mark(hospital, (position for position in range(self.chunks) if held[position]))

    # ---- uploads

    async def announce(self, hospital: str, attempt: int, digests: Sequence[bytes]) -> list[int]:
        """Take a hospital's manifest and return the positions whose chunks aren't here.

        Raises:
            ForbiddenError: the hospital isn't among the round's participants.
            RefusedContentError: another attempt, or digests that aren't under the anchored root.
            RoundOverError: the round has been decided.
            StoreError: the manifest can't be stored.
        """
        self._check_uploader(hospital, attempt)
        anchor = self._anchors[hospital]
        if len(digests) != anchor.chunks or anchor.chunks != self.chunks:
            raise RefusedContentError(f"{hospital} anchored {anchor.chunks} chunks, the manifest lists {len(digests)}")
        for position, digest in enumerate(digests):
            if len(digest) != 32:
                raise RefusedContentError(f"digest {position} has {len(digest)} bytes, not 32")
        announced = Digests(b"".join(digests))
        if hospital not in self._manifests:
            await asyncio.to_thread(self._take, hospital, announced)
            self._manifests.setdefault(hospital, announced)
        elif self._manifests[hospital].encode() != announced.encode():
            raise RefusedContentError(f"this isn't the manifest under {hospital}'s root {anchor.root}")
        held = self._held[hospital]
        return [position for position in range(self.chunks) if not held[position]]

    async def accept(self, hospital: str, attempt: int, chunks: Sequence[tuple[int, bytes]]) -> int:
        """Check and store chunks of an announced manifest; return how many were new.

        Raises:
            TooEarlyError: the manifest hasn't been announced to this aggregator.
            RefusedContentError: a position that isn't there, a chunk of a wrong size, digest or form.
            ForbiddenError, RoundOverError, StoreError: see `announce`.
        """
        self._check_uploader(hospital, attempt)
        manifest = self._manifests.get(hospital)
        if manifest is None:
            raise TooEarlyError(f"{hospital}'s manifest of round {self.state.round} isn't here; announce it first")
        for position, _ in chunks:
            if not 0 <= position < self.chunks:
                raise RefusedContentError(f"there is no chunk {position}: the manifest lists {self.chunks}")
        new = {position: content for position, content in chunks if not self._held[hospital][position]}
        if new:
            # A hospital that goes away meanwhile doesn't undo the note of what has been stored.
            await asyncio.shield(asyncio.create_task(self._keep(hospital, manifest, new)))
        return len(new)

    async def _keep(self, hospital: str, manifest: Digests, chunks: dict[int, bytes]) -> None:
        await asyncio.to_thread(self._store_chunks, manifest, chunks)
        self._mark(hospital, chunks)

    # ---- witnesses

    def manifest_for(self, caller: str, owner: str, attempt: int) -> Digests:
        """Return the manifest of a hospital's whole vector for its owner or one of its witnesses.

        Nobody else gets it: every holder of a ciphertext is one more party whom a holder of the key could collude with.

        Raises:
            ForbiddenError: the caller is neither.
            UnknownVectorError: the round has no such vector.
            TooEarlyError: chunks of it are still missing here.
        """
        if owner not in self.participants or attempt != self.state.attempt:
            raise UnknownVectorError(f"round {self.state.round} has no vector of {owner} in attempt {attempt}")
        if caller not in (owner, *witnesses_of(self.participants, owner, self.max_colluding)):
            raise ForbiddenError(f"{caller} doesn't witness the vector of {owner} in round {self.state.round}")
        manifest = self._manifests.get(owner)
        missing = self.chunks - sum(self._held[owner])
        if manifest is None or missing:
            raise TooEarlyError(f"{missing} of {self.chunks} chunks of {owner}'s vector aren't here yet")
        return manifest

    def lost(self, hospital: str, position: int) -> None:
        """Note that a chunk is no longer in the store; the hospital's next announcement will be told so."""
        if self._held[hospital][position]:
            self._held[hospital][position] = 0
            self._lacking[position] += 1

    def close(self) -> None:
        """Take no more uploads: the round is decided."""
        self.closed = True
        self._changed.set()

    def progress(self) -> dict[str, int]:
        """Return how many chunks each participant has uploaded."""
        return {hospital: sum(held) for hospital, held in self._held.items()}

    # ---- the sum

    async def next_positions(self, limit: int) -> list[int]:
        """Wait for positions at which every hospital's chunk is here and no sum is; none when there will be no more.

        Positions that were returned aren't returned again, unless `retry` gives them back or a chunk is uploaded anew.
        """
        while not self.closed and not self.summed:
            found: list[int] = []
            while self._ready and len(found) < limit:
                position = self._ready.popleft()
                if not self._lacking[position] and not self.sum_digests.known(position):
                    found.append(position)
            if found:
                return found
            self._changed.clear()
            await self._changed.wait()
        return []

    def retry(self, positions: Iterable[int]) -> None:
        """Give positions back that couldn't be summed this time."""
        self._ready.extend(positions)
        self._changed.set()

    def add_sums(self, digests: dict[int, bytes]) -> None:
        """Note sums that are in the store."""
        for position, digest in digests.items():
            self._unsummed -= not self.sum_digests.known(position)
            self.sum_digests[position] = digest

    @property
    def summed(self) -> bool:
        """True when the sum is complete."""
        return not self._unsummed

    def digests_at(self, position: int) -> list[tuple[str, bytes]]:
        """Return every participant with its digest at a position that `next_positions` returned."""
        return [(hospital, self._manifests[hospital][position]) for hospital in self.participants]

    # ---- inside

    def _check_uploader(self, hospital: str, attempt: int) -> None:
        state = self.state
        if hospital not in self.participants:
            raise ForbiddenError(f"{hospital} isn't among the participants of round {state.round} of {state.study}")
        if attempt != state.attempt:
            raise RefusedContentError(f"round {state.round} was anchored in attempt {state.attempt}, not {attempt}")
        if self.closed:
            raise RoundOverError(f"round {state.round} of {state.study} is decided; nothing more is uploaded for it")

    def _name(self, hospital: str) -> VectorName:
        return VectorName(self.state.study, self.state.round, self.state.attempt, hospital, "update")

    def _take(self, hospital: str, announced: Digests) -> None:
        context = self.context(hospital, "update")
        try:
            check_root(self._anchors[hospital].root, context, (announced[n] for n in range(self.chunks)))
        except WireError as error:
            raise RefusedContentError(str(error)) from None
        self.store.manifests.write(self._name(hospital), announced)

    def _under_root(self, hospital: str, digests: Digests) -> bool:
        context = self.context(hospital, "update")
        try:
            check_root(self._anchors[hospital].root, context, (digests[n] for n in range(self.chunks)))
        except WireError:
            return False
        return True

    def _store_chunks(self, manifest: Digests, chunks: dict[int, bytes]) -> None:
        size = update_chunk_size(self.parameter_set)
        for position, content in chunks.items():
            if len(content) != size:
                wrong = "truncated" if len(content) < size else "oversized"
                raise RefusedContentError(f"chunk {position} is {wrong}: {len(content)} bytes instead of {size}")
            if chunk_digest(content) != manifest[position]:
                raise RefusedContentError(f"chunk {position} isn't the one that the manifest announced")
            try:
                decode_update(self.parameter_set, self.state.epoch, content)
            except ChunkError as error:
                raise RefusedContentError(f"chunk {position}: {error}") from None
        self.store.content.put(self.updates, list(chunks.values()))

    def _mark(self, hospital: str, positions: Iterable[int]) -> None:
        held = self._held[hospital]
        for position in positions:
            if held[position]:
                continue
            held[position] = 1
            self._lacking[position] -= 1
            if not self._lacking[position]:
                self._ready.append(position)
        self._changed.set()


def _anchors(view: RoundView) -> dict[str, Anchor]:
    return {
        entry.hospital: entry.anchor
        for entry in view.anchors
        if entry.anchor.attempt == view.round.attempt and entry.hospital in view.round.participants
    }
