"""The hospital's side of the aggregators' service: sends the anchored chunks, fetches the published sum.

Everything that is fetched is checked against the root on the ledger, so an aggregator can withhold but not deceive.
Transfers go on where they were cut off, chunk by chunk; they end by an error only after `patience` seconds in which
nothing at all got through, or `timeout` seconds in all.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from consilium_client.errors import (
    AggregatorRefusalError,
    AggregatorUnavailableError,
    RoundOverError,
    SumMismatchError,
    SumWithheldError,
)
from consilium_peers.connection import open_channel
from consilium_peers.profile import Endpoint, Profile
from consilium_proto.chunk_tree import VectorContext, check_root, chunk_digest
from consilium_proto.errors import WireError
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.generated import aggregator_pb2_grpc
from consilium_proto.records import PROTOCOL_VERSION

CALL_SECONDS = 30.0
PATIENCE_SECONDS = 30.0
TRANSFER_SECONDS = 600.0
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 3.0
# Chunks of one call: each is acknowledged as a whole, and what a lost connection repeats is at most so much.
BATCH_CHUNKS = 64
# An aggregator that has held everything for so long without the round going on may be withholding: the next gets it.
SPREAD_SECONDS = 30.0
_REMEMBERED_VECTORS = 64

# The same call may succeed later. FAILED_PRECONDITION: the aggregator's peer hasn't seen the last anchor yet, or the
# aggregator has lost the manifest; NOT_FOUND: its peer hasn't seen the round or the publication yet.
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.NOT_FOUND,
}


@dataclass(frozen=True)
class UploadReport:
    """What one call of `upload` did. Bytes are those of messages, digests included; `aggregators` hold everything."""

    bytes_sent: int
    bytes_received: int
    chunks_sent: int
    already_held: int
    aggregators: tuple[str, ...]


@dataclass(frozen=True)
class FetchedSum:
    """A sum's chunks in tree order, verified, and the bytes of messages that it took."""

    chunks: list[bytes]
    bytes_sent: int
    bytes_received: int


@dataclass
class _Transfer:
    """How far a transfer is, and until when it may go on without getting further."""

    patience: float
    timeout: float
    bytes_sent: int = 0
    bytes_received: int = 0
    chunks_sent: int = 0
    already_held: int = 0
    chunks: dict[int, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._ends = self._clock() + self.timeout
        self._moved = self._clock()

    def moved(self) -> None:
        self._moved = self._clock()

    @property
    def left(self) -> float:
        """Seconds until it is given up, if nothing gets through from now on."""
        return max(0.0, min(self._moved + self.patience, self._ends) - self._clock())

    @property
    def call_seconds(self) -> float:
        return max(0.1, min(CALL_SECONDS, self._ends - self._clock()))


class AggregatorClient:
    """Talks to the aggregators of a profile, in order; goes on to the next when one can't be reached."""

    def __init__(self, profile: Profile) -> None:
        self._endpoints = profile.aggregators
        self._channels = {endpoint.address: open_channel(endpoint, profile.tls) for endpoint in profile.aggregators}
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
        patience: float = PATIENCE_SECONDS,
        timeout: float = TRANSFER_SECONDS,
    ) -> UploadReport:
        """Send the chunks that an aggregator lacks.

        To be called again while the round is ANCHORED: it costs one announcement when everything is there, heals an
        aggregator that lost its store, and reaches for the next one when the first doesn't get on with the round.

        Args:
            vector: the anchored vector, owned by the caller's organisation.
            chunks: its chunks, or their files, in tree order.
            patience: seconds without any progress after which it gives up.
            timeout: seconds after which it gives up in any case.

        Raises:
            AggregatorUnavailableError: no aggregator took everything in time; what was sent needn't be sent again.
            RoundOverError: the round is decided.
            AggregatorRefusalError: wrong root, malformed chunk, somebody else's vector, unknown certificate.
        """
        digests = await asyncio.to_thread(lambda: [chunk_digest(_read(chunk)) for chunk in chunks])
        manifest = messages.Manifest(vector=_reference(vector), digests=digests)
        transfer = _Transfer(patience, timeout)
        pause, failure = FIRST_PAUSE_SECONDS, "the profile names no aggregator"
        while self._endpoints:
            done: list[str] = []
            for endpoint in self._endpoints:
                try:
                    await self._upload_to(endpoint, manifest, chunks, transfer)
                except grpc.aio.AioRpcError as error:
                    failure = _passing_failure("upload", endpoint, error)
                    continue
                done.append(endpoint.address)
                if not self._stalled(vector, endpoint):
                    break
            if done:
                return UploadReport(
                    transfer.bytes_sent,
                    transfer.bytes_received,
                    transfer.chunks_sent,
                    transfer.already_held,
                    tuple(done),
                )
            if transfer.left <= pause:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        raise AggregatorUnavailableError(f"round {vector.round}: no aggregator took the whole update; last: {failure}")

    async def fetch_sum(
        self,
        vector: VectorContext,
        root: str,
        chunk_count: int,
        *,
        patience: float = PATIENCE_SECONDS,
        timeout: float = TRANSFER_SECONDS,
    ) -> FetchedSum:
        """Fetch a published sum of `chunk_count` chunks, checked against its root (hex) on the ledger.

        Raises:
            SumMismatchError: the aggregator serves something else than it published.
            SumWithheldError: it doesn't serve the sum in time, or can't be reached.
            AggregatorRefusalError: it refuses, because the caller doesn't take part in the study.
        """
        transfer = _Transfer(patience, timeout)
        pause, failure = FIRST_PAUSE_SECONDS, f"the profile names no aggregator of {vector.owner}"
        publishers = [endpoint for endpoint in self._endpoints if endpoint.organization == vector.owner]
        while publishers:
            for endpoint in publishers:
                try:
                    await self._fetch_from(endpoint, vector, root, chunk_count, transfer)
                except grpc.aio.AioRpcError as error:
                    failure = _passing_failure("the sum", endpoint, error)
                    continue
                ordered = [transfer.chunks[position] for position in range(chunk_count)]
                return FetchedSum(ordered, transfer.bytes_sent, transfer.bytes_received)
            if transfer.left <= pause:
                break
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        raise SumWithheldError(
            f"round {vector.round}: {vector.owner} published a sum and doesn't serve it ({len(transfer.chunks)} of "
            f"{chunk_count} chunks came); last: {failure}"
        )

    # ---- one aggregator

    async def _upload_to(
        self,
        endpoint: Endpoint,
        manifest: messages.Manifest,
        chunks: Sequence[Path] | Sequence[bytes],
        transfer: _Transfer,
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
            stream = _chunk_messages(manifest.vector, chunks, batch, transfer)
            await stub.UploadChunks(stream, timeout=transfer.call_seconds)
            transfer.chunks_sent += len(batch)
            transfer.moved()

    async def _fetch_from(
        self, endpoint: Endpoint, vector: VectorContext, root: str, count: int, transfer: _Transfer
    ) -> None:
        stub, reference = self._stub(endpoint), _reference(vector)
        manifest = await stub.FetchManifest(reference, timeout=transfer.call_seconds)
        transfer.bytes_sent += reference.ByteSize()
        transfer.bytes_received += manifest.ByteSize()
        digests = list(manifest.digests)
        await asyncio.to_thread(_check_manifest, vector, root, count, digests)
        missing = [position for position in range(count) if position not in transfer.chunks]
        for start in range(0, len(missing), BATCH_CHUNKS):
            batch = missing[start : start + BATCH_CHUNKS]
            request = messages.ChunkRequest(vector=reference, positions=batch)
            transfer.bytes_sent += request.ByteSize()
            expected = iter(batch)
            async for chunk in stub.FetchChunks(request, timeout=transfer.call_seconds):
                transfer.bytes_received += chunk.ByteSize()
                _check_chunk(vector, digests, next(expected, None), chunk)
                transfer.chunks[chunk.position] = chunk.content
                transfer.moved()
            if next(expected, None) is not None:
                raise SumWithheldError(f"{vector.owner} served only a part of the chunks that it was asked for")

    def _stub(self, endpoint: Endpoint) -> Any:
        return aggregator_pb2_grpc.AggregatorStub(self._channels[endpoint.address])  # type: ignore[no-untyped-call]

    def _stalled(self, vector: VectorContext, endpoint: Endpoint) -> bool:
        """Note that an aggregator holds all of a vector; tell whether it has done so for suspiciously long."""
        now = asyncio.get_running_loop().time()
        since = self._held.setdefault(vector, {}).setdefault(endpoint.address, now)
        while len(self._held) > _REMEMBERED_VECTORS:
            self._held.popitem(last=False)
        return now - since >= SPREAD_SECONDS


def _passing_failure(what: str, endpoint: Endpoint, error: grpc.aio.AioRpcError) -> str:
    """Describe a failure that may pass; raise the typed error of one that won't."""
    said = f"{endpoint.address}: {error.code().name}: {error.details()}"
    if error.code() is grpc.StatusCode.ABORTED:
        raise RoundOverError(f"{what} is too late for {said}") from None
    if error.code() not in _PASSING:
        raise AggregatorRefusalError(f"{what} was refused by {said}") from None
    return said


def _check_manifest(vector: VectorContext, root: str, count: int, digests: list[bytes]) -> None:
    if len(digests) != count:
        raise SumMismatchError(f"{vector.owner} lists {len(digests)} chunks of its sum; it published {count}")
    try:
        check_root(root, vector, digests)
    except WireError as error:
        raise SumMismatchError(f"{vector.owner} serves another sum than it published: {error}") from None


def _check_chunk(vector: VectorContext, digests: list[bytes], expected: int | None, chunk: messages.Chunk) -> None:
    if expected is None or chunk.position != expected or chunk_digest(chunk.content) != digests[expected]:
        raise SumMismatchError(f"{vector.owner} serves a chunk that isn't chunk {expected} of the sum it published")


async def _chunk_messages(
    reference: messages.VectorReference,
    chunks: Sequence[Path] | Sequence[bytes],
    positions: Sequence[int],
    transfer: _Transfer,
) -> AsyncIterator[messages.Chunk]:
    for position in positions:
        content = await asyncio.to_thread(_read, chunks[position])
        message = messages.Chunk(vector=reference, position=position, content=content)
        transfer.bytes_sent += message.ByteSize()
        yield message


def _read(chunk: Path | bytes) -> bytes:
    return chunk if isinstance(chunk, bytes) else chunk.read_bytes()


def _reference(vector: VectorContext) -> messages.VectorReference:
    return messages.VectorReference(
        protocol=PROTOCOL_VERSION,
        study=vector.study,
        round=vector.round,
        attempt=vector.attempt,
        owner=vector.owner,
    )
