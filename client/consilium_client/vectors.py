"""The ciphertext vectors that a hospital works with in a round: its own, those it witnesses, and the published sum.

Each is stored before anything is said about it on the ledger, so that it can be shown again after a crash.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from consilium_client.errors import JournalError
from consilium_client.site import Site
from consilium_proto.chunk_tree import VectorContext, check_root, chunk_digest, inclusion_proof
from consilium_proto.chunks import decode_sum, decode_update
from consilium_proto.errors import ChunkError, WireError
from consilium_proto.records import ProvedChunk, Round, RoundView

log = logging.getLogger("consilium.agent")


@dataclass(frozen=True)
class StoredVector:
    """A vector's files in tree order, and what its chunks are bound to."""

    context: VectorContext
    paths: Sequence[Path]

    def __iter__(self) -> Iterator[bytes]:
        return (path.read_bytes() for path in self.paths)

    def proved(self, index: int) -> ProvedChunk:
        """Return a chunk with its path in the vector's tree, as chaincode wants to see it."""
        proof = inclusion_proof(self.context, [chunk_digest(chunk) for chunk in self], index)
        return ProvedChunk(
            index=index,
            content=self.paths[index].read_bytes().hex(),
            path=tuple(step.hex() for step in proof.path),
        )


def vector_context(site: Site, state: Round, owner: str, label: str = "update") -> VectorContext:
    """Return what a vector of this round and attempt is bound to."""
    return VectorContext(site.channel, state.study, state.epoch, state.round, state.attempt, owner, label)


def own_vector(site: Site, state: Round) -> StoredVector:
    """Return this hospital's own vector as it was anchored.

    Raises:
        JournalError: its chunks are gone from the disk.
    """
    journal = site.journal.round(state.round)
    paths = journal.chunk_paths(state.attempt)
    if paths is None:
        raise JournalError(f"round {state.round}: the anchored ciphertexts are gone from {journal.directory}")
    return StoredVector(vector_context(site, state, site.hospital), paths)


def seconds_left(state: Round) -> float:
    """Seconds until the deadline of a round's phase by this machine's clock, 0 when it has passed."""
    return max(0.0, state.deadline / 1000 - time.time())


async def witnessed_vector(site: Site, view: RoundView, owner: str, *, patience: float, timeout: float) -> StoredVector:
    """Return a vector that this hospital witnesses, fetched and stored at the first call.

    Raises:
        VectorWithheldError: no aggregator has all of it within `timeout` seconds, or serves any of it within
            `patience` seconds.
        AggregatorRefusalError: what is served isn't what its owner anchored.
    """
    state, journal = view.round, site.journal.round(view.round.round)
    context = vector_context(site, state, owner)
    vector = await _stored(view, context, journal.held(owner))
    if vector is None:
        anchor = next(
            entry.anchor for entry in view.anchors if entry.hospital == owner and entry.anchor.attempt == state.attempt
        )
        fetched = await site.aggregators.fetch_update(
            context, anchor.root, anchor.chunks, patience=patience, timeout=timeout
        )
        await asyncio.to_thread(journal.save_held, owner, fetched.chunks)
        journal.note(bytes_witnessed=journal.figures().get("bytes_witnessed", 0) + fetched.bytes_received)
        vector = StoredVector(context, _complete(journal.held(owner)))
    return vector


async def published_sum(site: Site, view: RoundView, *, patience: float, timeout: float) -> StoredVector:
    """Return the round's published sum, fetched and stored at the first call.

    Raises:
        VectorWithheldError: its aggregator doesn't serve all of it within `timeout` seconds, or any of it within
            `patience` seconds.
        AggregatorRefusalError: the aggregator serves something else than it published.
    """
    state, journal = view.round, site.journal.round(view.round.round)
    published = next(entry for entry in view.publications if entry.aggregator == state.publisher)
    context = vector_context(site, state, published.aggregator, "sum")
    vector = await _stored(view, context, journal.sum(state.publication))
    if vector is None:
        root, chunks = published.publication.root, published.publication.chunks
        fetched = await site.aggregators.fetch_sum(context, root, chunks, patience=patience, timeout=timeout)
        await asyncio.to_thread(journal.save_sum, state.publication, fetched.chunks)
        journal.note(bytes_down=fetched.bytes_received)
        vector = StoredVector(context, _complete(journal.sum(state.publication)))
    return vector


async def _stored(view: RoundView, context: VectorContext, paths: Sequence[Path] | None) -> StoredVector | None:
    """Return a fetched vector from the disk; None, to fetch it again, when it isn't there or was changed."""
    if paths is None:
        return None
    vector = StoredVector(context, paths)
    try:
        await asyncio.to_thread(check_unchanged, view, vector)
    except JournalError as error:
        log.warning("fetching it again", extra={"detail": str(error)})
        return None
    return vector


def _complete(paths: Sequence[Path] | None) -> Sequence[Path]:
    assert paths is not None, "the vector was stored just now"
    return paths


def first_malformed(site: Site, vector: StoredVector) -> int | None:
    """Return the place of the first chunk that isn't one (a wrong length, header or word), or None."""
    decode = decode_sum if vector.context.label == "sum" else decode_update
    for index, chunk in enumerate(vector):
        try:
            decode(site.parameter_set, vector.context.epoch, chunk)
        except ChunkError:
            return index
    return None


def check_unchanged(view: RoundView, vector: StoredVector) -> None:
    """Check that a stored vector still is what its root on the ledger stands for.

    A hospital that wrote the fingerprint or the list of a file with a flipped bit would be found to have lied.

    Raises:
        JournalError: a file was changed since it was stored.
    """
    owner, attempt = vector.context.owner, view.round.attempt
    roots = {entry.aggregator: entry.publication.root for entry in view.publications}
    if vector.context.label == "update":
        roots = {entry.hospital: entry.anchor.root for entry in view.anchors if entry.anchor.attempt == attempt}
    try:
        check_root(roots[owner], vector.context, [chunk_digest(chunk) for chunk in vector])
    except WireError as error:
        folder = vector.paths[0].parent
        raise JournalError(f"{folder} was changed: {error}; restore it, or remove what isn't your own") from None
