"""The hospital's side of the aggregators' service: sends the anchored chunks, fetches sums and witnessed vectors.

Everything that is fetched is checked against the root on the ledger, so an aggregator can withhold but not deceive.
Transfers go on where they were cut off, chunk by chunk; they end by an error only after `patience` seconds in which
nothing at all got through, or `timeout` seconds in all.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consilium_client.errors import (
    AggregatorRefusalError,
    AggregatorUnavailableError,
    VectorWithheldError,
)
from consilium_client.transfers import (
    Transfer,
    ask_in_turn,
    check_chunk,
    check_manifest,
    chunk_messages,
    read_chunk,
    reference_to,
)
from consilium_peers.connection import open_channel
from consilium_peers.profile import Endpoint, Profile
from consilium_proto.chunk_tree import VectorContext, chunk_digest
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.generated import aggregator_pb2_grpc

PATIENCE_SECONDS = 30.0
TRANSFER_SECONDS = 600.0
# The longest answer is a manifest: 34 bytes for each of at most 65,536 chunks.
LARGEST_ANSWER = 4 * 1024 * 1024
# Chunks of one call: each is acknowledged as a whole, and what a lost connection repeats is at most so much.
BATCH_CHUNKS = 64
# An aggregator that has held everything for so long without the round going on may be withholding: the next gets it.
SPREAD_SECONDS = 30.0
_REMEMBERED_VECTORS = 64


@dataclass(frozen=True)
class UploadReport:
    """What one call of `upload` did. Bytes are those of messages, digests included; `aggregators` hold everything."""

    bytes_sent: int
    bytes_received: int
    chunks_sent: int
    already_held: int
    aggregators: tuple[str, ...]


@dataclass(frozen=True)
class FetchedVector:
    """A vector's chunks in tree order, verified, and the bytes of messages that it took."""

    chunks: list[bytes]
    bytes_sent: int
    bytes_received: int


class AggregatorClient:
    """Talks to the aggregators of a profile, in order; goes on to the next when one can't be reached."""

    def __init__(self, profile: Profile) -> None:
        self._endpoints = profile.aggregators
        self._channels = {
            endpoint.address: open_channel(endpoint, profile.tls, LARGEST_ANSWER) for endpoint in profile.aggregators
        }
        # Since when (on the loop's clock) an aggregator has held all of a vector.
        self._held: OrderedDict[VectorContext, dict[str, float]] = OrderedDict()

    @classmethod
    @asynccontextmanager
    async def connect(cls, profile: Profile) -> AsyncIterator[AggregatorClient]:
        """Open connections for the length of the block."""
        client = cls(profile)
        try:
            yield client
        finally:
            for channel in client._channels.values():
                await channel.close()

    async def upload(
        self,
        vector: VectorContext,
        chunks: Sequence[Path] | Sequence[bytes],
        *,
        passing_over: Collection[str] = (),
        spread: float = SPREAD_SECONDS,
        patience: float = PATIENCE_SECONDS,
        timeout: float = TRANSFER_SECONDS,
    ) -> UploadReport:
        """Send the chunks that an aggregator lacks.

        To be called again while the round is ANCHORED: it costs one announcement when everything is there, heals an
        aggregator that lost its store, and reaches for the next one when the first doesn't get on with the round.

        Args:
            vector: the anchored vector, owned by the caller's organisation.
            chunks: its chunks, or their files, in tree order.
            passing_over: aggregators, by organisation, whose sum the round has rejected or who are barred.
            spread: seconds after which an aggregator that holds everything may be withholding: the next gets it too.
            patience: seconds without any progress after which it gives up.
            timeout: seconds after which it gives up in any case.

        Raises:
            AggregatorUnavailableError: no aggregator took everything in time; what was sent needn't be sent again.
            RoundOverError: the round is decided.
            AggregatorRefusalError: every aggregator refuses: wrong root, malformed chunk, somebody else's vector,
                unknown certificate.
        """
        digests = await asyncio.to_thread(lambda: [chunk_digest(read_chunk(chunk)) for chunk in chunks])
        manifest = messages.Manifest(vector=reference_to(vector), digests=digests)
        transfer = Transfer(patience, timeout)
        endpoints = [endpoint for endpoint in self._endpoints if endpoint.organization not in passing_over]
        served, failure = await ask_in_turn(
            "upload",
            endpoints,
            transfer,
            lambda endpoint: self._upload_to(endpoint, manifest, chunks, transfer),
            lambda endpoint: not self._stalled(vector, endpoint, spread),
        )
        if isinstance(failure, AggregatorRefusalError):
            raise failure
        if not served:
            last = failure or "the profile names no aggregator that may still publish"
            raise AggregatorUnavailableError(f"round {vector.round}: no aggregator took the whole update; last: {last}")
        return UploadReport(
            transfer.bytes_sent,
            transfer.bytes_received,
            transfer.chunks_sent,
            transfer.already_held,
            tuple(endpoint.address for endpoint in served),
        )

    async def fetch_sum(
        self,
        vector: VectorContext,
        root: str,
        chunk_count: int,
        *,
        patience: float = PATIENCE_SECONDS,
        timeout: float = TRANSFER_SECONDS,
    ) -> FetchedVector:
        """Fetch a published sum of `chunk_count` chunks, checked against its root (hex) on the ledger.

        Raises:
            VectorMismatchError: the aggregator serves something else than it published.
            VectorWithheldError: it doesn't serve the sum in time, or can't be reached.
            AggregatorRefusalError: it refuses, because the caller doesn't take part in the study.
        """
        publishers = [endpoint for endpoint in self._endpoints if endpoint.organization == vector.owner]
        return await self._fetch(publishers, vector, root, chunk_count, Transfer(patience, timeout))

    async def fetch_update(
        self,
        vector: VectorContext,
        root: str,
        chunk_count: int,
        *,
        patience: float = PATIENCE_SECONDS,
        timeout: float = TRANSFER_SECONDS,
    ) -> FetchedVector:
        """Fetch an anchored vector that the caller witnesses from any aggregator that has it, checked as a sum is.

        Raises:
            VectorMismatchError: what is served isn't what its owner anchored.
            VectorWithheldError: no aggregator has all of it in time.
            AggregatorRefusalError: the caller doesn't witness that vector.
        """
        return await self._fetch(self._endpoints, vector, root, chunk_count, Transfer(patience, timeout))

    async def _fetch(
        self, endpoints: Sequence[Endpoint], vector: VectorContext, root: str, chunk_count: int, transfer: Transfer
    ) -> FetchedVector:
        served, failure = await ask_in_turn(
            f"the {vector.label}",
            endpoints,
            transfer,
            lambda endpoint: self._fetch_from(endpoint, vector, root, chunk_count, transfer),
        )
        if isinstance(failure, AggregatorRefusalError):
            raise failure
        if not served:
            last = failure or f"the profile names no aggregator of {vector.owner}"
            raise VectorWithheldError(
                f"round {vector.round}: nobody serves the {vector.label} of {vector.owner} ({len(transfer.chunks)} of "
                f"{chunk_count} chunks came); last: {last}"
            )
        ordered = [transfer.chunks[position] for position in range(chunk_count)]
        return FetchedVector(ordered, transfer.bytes_sent, transfer.bytes_received)

    # ---- one aggregator

    async def _upload_to(
        self,
        endpoint: Endpoint,
        manifest: messages.Manifest,
        chunks: Sequence[Path] | Sequence[bytes],
        transfer: Transfer,
    ) -> None:
        stub = self._stub(endpoint)
        answer = await stub.AnnounceManifest(manifest, timeout=transfer.call_seconds)
        transfer.bytes_sent += manifest.ByteSize()
        transfer.bytes_received += answer.ByteSize()
        missing = list(answer.positions)
        transfer.already_held = len(chunks) - len(missing)
        if any(position >= len(chunks) for position in missing):
            raise AggregatorRefusalError(f"{endpoint.address} asks for chunk {max(missing)} of {len(chunks)}")
        for start in range(0, len(missing), BATCH_CHUNKS):
            batch = missing[start : start + BATCH_CHUNKS]
            stream = chunk_messages(manifest.vector, chunks, batch, transfer)
            await stub.UploadChunks(stream, timeout=transfer.call_seconds)
            transfer.chunks_sent += len(batch)
            transfer.moved()

    async def _fetch_from(
        self, endpoint: Endpoint, vector: VectorContext, root: str, count: int, transfer: Transfer
    ) -> None:
        stub, reference = self._stub(endpoint), reference_to(vector)
        manifest = await stub.FetchManifest(reference, timeout=transfer.call_seconds)
        transfer.bytes_sent += reference.ByteSize()
        transfer.bytes_received += manifest.ByteSize()
        digests = list(manifest.digests)
        await asyncio.to_thread(check_manifest, vector, root, count, digests)
        missing = [position for position in range(count) if position not in transfer.chunks]
        for start in range(0, len(missing), BATCH_CHUNKS):
            batch = missing[start : start + BATCH_CHUNKS]
            request = messages.ChunkRequest(vector=reference, positions=batch)
            transfer.bytes_sent += request.ByteSize()
            expected = iter(batch)
            async for chunk in stub.FetchChunks(request, timeout=transfer.call_seconds):
                transfer.bytes_received += chunk.ByteSize()
                check_chunk(vector, digests, next(expected, None), chunk)
                transfer.chunks[chunk.position] = chunk.content
                transfer.moved()
            if next(expected, None) is not None:
                raise VectorWithheldError(f"{endpoint.address} served only a part of the chunks that it was asked for")

    def _stub(self, endpoint: Endpoint) -> Any:
        return aggregator_pb2_grpc.AggregatorStub(self._channels[endpoint.address])  # type: ignore[no-untyped-call]

    def _stalled(self, vector: VectorContext, endpoint: Endpoint, spread: float) -> bool:
        """Note that an aggregator holds all of a vector; tell whether it has done so for suspiciously long."""
        now = asyncio.get_running_loop().time()
        since = self._held.setdefault(vector, {}).setdefault(endpoint.address, now)
        while len(self._held) > _REMEMBERED_VECTORS:
            self._held.popitem(last=False)
        return now - since >= spread
