"""The hospital's side of the aggregator's service: sends the anchored chunks, fetches the published sum.

Everything fetched is checked against the root on the ledger, so an aggregator can withhold but not deceive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc

from consilium_client.errors import AggregatorRefusalError, AggregatorUnavailableError
from consilium_peers.connection import open_channel
from consilium_peers.profile import Endpoint, Profile
from consilium_proto.chunk_tree import VectorContext, check_root, chunk_digest
from consilium_proto.errors import WireError
from consilium_proto.generated import aggregator_pb2, aggregator_pb2_grpc
from consilium_proto.records import PROTOCOL_VERSION

T = TypeVar("T")

TRANSFER_SECONDS = 120.0
CALL_SECONDS = 15.0
PAUSE_SECONDS = 0.5
# How many chunks one request asks for: bounds what is in flight.
BATCH = 64

_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.DATA_LOSS)


@dataclass(frozen=True)
class UploadReport:
    """What an upload sent: ciphertext bytes and chunks, in this call."""

    bytes_sent: int
    chunks_sent: int


@dataclass(frozen=True)
class FetchedSum:
    """A sum's chunks in tree order, and how many bytes came over the network."""

    chunks: list[bytes]
    bytes_received: int


class AggregatorClient:
    """Talks to the aggregators of a profile, in order; goes on to the next when one can't be reached."""

    def __init__(self, profile: Profile) -> None:
        self._endpoints = profile.aggregators
        self._channels = {endpoint.address: open_channel(endpoint, profile.tls) for endpoint in profile.aggregators}

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
        self, context: VectorContext, chunks: Sequence[Path], timeout: float = TRANSFER_SECONDS
    ) -> UploadReport:
        """Send the chunks that an aggregator lacks; broken off at any point, it goes on where it was.

        Args:
            context: the anchored vector, owned by the caller's organisation.
            chunks: its chunks' files in tree order.
            timeout: seconds for everything.

        Raises:
            AggregatorRefusalError: the aggregator doesn't take the vector.
            AggregatorUnavailableError: none could be reached in time.
        """
        digests = await asyncio.to_thread(lambda: [chunk_digest(path.read_bytes()) for path in chunks])
        sent = UploadReport(0, 0)

        async def once(stub: Any) -> UploadReport:
            nonlocal sent
            manifest = aggregator_pb2.Manifest(vector=_reference(context), digests=digests)
            missing = list((await stub.AnnounceManifest(manifest, timeout=CALL_SECONDS)).positions)
            if missing:
                await stub.UploadChunks(_messages(context, chunks, missing), timeout=timeout)
                size = sum(chunks[position].stat().st_size for position in missing)
                sent = UploadReport(sent.bytes_sent + size, sent.chunks_sent + len(missing))
            return sent

        return await self._persist("upload", list(self._endpoints), once, timeout)

    async def fetch_sum(
        self, context: VectorContext, root: str, count: int, timeout: float = TRANSFER_SECONDS
    ) -> FetchedSum:
        """Fetch a published sum of `count` chunks and check it against its root (hex) on the ledger.

        Raises:
            AggregatorRefusalError: the aggregator gives something else than what it published.
            AggregatorUnavailableError: it couldn't be reached in time, or withholds the sum.
        """
        publishers = [endpoint for endpoint in self._endpoints if endpoint.organization == context.owner]

        async def once(stub: Any) -> FetchedSum:
            manifest = await stub.FetchManifest(_reference(context), timeout=CALL_SECONDS)
            digests = [bytes(digest) for digest in manifest.digests]
            _check_manifest(context, root, count, digests)
            chunks: list[bytes] = []
            for start in range(0, count, BATCH):
                positions = range(start, min(start + BATCH, count))
                request = aggregator_pb2.ChunkRequest(vector=_reference(context), positions=positions)
                async for message in stub.FetchChunks(request, timeout=timeout):
                    chunks.append(_checked(digests, len(chunks), bytes(message.content)))
            if len(chunks) != count:
                raise AggregatorRefusalError(f"{context.owner} gave {len(chunks)} of {count} chunks of its sum")
            return FetchedSum(chunks, sum(map(len, chunks)) + sum(map(len, digests)))

        return await self._persist("sum", publishers, once, timeout)

    async def _persist(
        self, what: str, endpoints: list[Endpoint], once: Callable[[Any], Awaitable[T]], timeout: float
    ) -> T:
        """Try the aggregators in turn until one does it, refuses, or time is up."""
        if not endpoints:
            raise AggregatorUnavailableError(f"{what}: the profile names no aggregator for it")
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout
        while True:
            failure = ""
            for endpoint in endpoints:
                stub = aggregator_pb2_grpc.AggregatorStub(self._channels[endpoint.address])  # type: ignore[no-untyped-call]
                try:
                    return await once(stub)
                except grpc.aio.AioRpcError as error:
                    failure = f"{endpoint.address}: {error.code().name}: {error.details()}"
                    if error.code() not in _PASSING:
                        raise AggregatorRefusalError(f"{what} refused by {failure}") from None
            if clock() + PAUSE_SECONDS >= deadline:
                raise AggregatorUnavailableError(f"{what} not done within {timeout:.0f} s; last: {failure}")
            await asyncio.sleep(PAUSE_SECONDS)


def _check_manifest(context: VectorContext, root: str, count: int, digests: list[bytes]) -> None:
    if len(digests) != count:
        raise AggregatorRefusalError(f"{context.owner} names {len(digests)} chunks; it published {count}")
    try:
        check_root(root, context, digests)
    except WireError as error:
        raise AggregatorRefusalError(f"{context.owner} gives another sum than it published: {error}") from None


def _checked(digests: list[bytes], position: int, content: bytes) -> bytes:
    if position >= len(digests) or chunk_digest(content) != digests[position]:
        raise AggregatorRefusalError(f"chunk {position} of the sum isn't the published one")
    return content


async def _messages(context: VectorContext, chunks: Sequence[Path], positions: Sequence[int]) -> AsyncIterator[Any]:
    for position in positions:
        content = await asyncio.to_thread(chunks[position].read_bytes)
        yield aggregator_pb2.Chunk(vector=_reference(context), position=position, content=content)


def _reference(context: VectorContext) -> Any:
    return aggregator_pb2.VectorReference(
        protocol=PROTOCOL_VERSION,
        study=context.study,
        round=context.round,
        attempt=context.attempt,
        owner=context.owner,
    )
