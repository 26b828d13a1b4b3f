"""The gRPC service: checks who asks and for what, and hands on to sessions and published sums.

Answers other than OK, by gRPC status:
    UNAUTHENTICATED      a certificate that no organisation vouches for
    PERMISSION_DENIED    a vector that the caller neither owns nor witnesses, or a study that it doesn't take part in
    INVALID_ARGUMENT     a manifest or chunk that isn't what the ledger or the manifest says: never to be repeated
    NOT_FOUND            a round, sum or position that isn't there
    FAILED_PRECONDITION  too early: before ANCHORED, a chunk before its manifest, a vector that isn't whole; try again
    ABORTED              too late: the round is decided
    RESOURCE_EXHAUSTED   the store takes nothing more
    UNAVAILABLE          the ledger doesn't answer this aggregator at the moment
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import grpc

from consilium_aggregator.callers import Callers
from consilium_aggregator.errors import (
    AggregatorError,
    ForbiddenError,
    LedgerUnavailableError,
    RefusedContentError,
    RoundOverError,
    StoreError,
    StrangerError,
    TooEarlyError,
    UnknownVectorError,
)
from consilium_aggregator.open_rounds import OpenRounds
from consilium_aggregator.published import PublishedSums
from consilium_aggregator.store.manifests import VectorName
from consilium_aggregator.witnessed import WitnessedUpdates
from consilium_proto import canonical
from consilium_proto.errors import WireError
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.generated import aggregator_pb2_grpc
from consilium_proto.records import PROTOCOL_VERSION, RoundReference

log = logging.getLogger("consilium.aggregator.service")

T = TypeVar("T")

# Chunks of one call that are checked and stored together: bounds memory per call, saves syncs.
BATCH_CHUNKS = 32
# On a slow connection chunks don't wait longer for others, so that what arrived before it breaks is kept.
BATCH_SECONDS = 0.25

_STATUS: dict[type[AggregatorError], grpc.StatusCode] = {
    StrangerError: grpc.StatusCode.UNAUTHENTICATED,
    ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    RefusedContentError: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownVectorError: grpc.StatusCode.NOT_FOUND,
    TooEarlyError: grpc.StatusCode.FAILED_PRECONDITION,
    RoundOverError: grpc.StatusCode.ABORTED,
    StoreError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    LedgerUnavailableError: grpc.StatusCode.UNAVAILABLE,
}


class AggregatorService(aggregator_pb2_grpc.AggregatorServicer):
    """Implements proto/consilium/v1/aggregator.proto."""

    def __init__(self, callers: Callers, rounds: OpenRounds, sums: PublishedSums, updates: WitnessedUpdates) -> None:
        self._callers = callers
        self._rounds = rounds
        self._served: dict[str, PublishedSums | WitnessedUpdates] = {"sum": sums, "update": updates}

    async def AnnounceManifest(self, request: messages.Manifest, context: Any) -> messages.MissingChunks:  # noqa: N802
        """Take a manifest whose root the ledger holds; answer which of its chunks aren't here."""

        async def answer(caller: str) -> messages.MissingChunks:
            vector = _own(caller, request.vector)
            session = await self._rounds.session(vector.study, vector.round)
            positions = await session.announce(caller, vector.attempt, request.digests)
            log.info("manifest announced", extra={**_place(caller, vector), "missing": len(positions)})
            return messages.MissingChunks(positions=positions)

        return await self._answered(context, answer)

    async def UploadChunks(  # noqa: N802
        self, request_iterator: AsyncIterator[messages.Chunk], context: Any
    ) -> messages.UploadSummary:
        """Take chunks of announced manifests. Whatever was stored before a failure stays."""

        async def answer(caller: str) -> messages.UploadSummary:
            summary = messages.UploadSummary()
            async for batch in _batches(request_iterator):
                accepted = await self._accept(caller, batch)
                summary.accepted += accepted
                summary.already_held += len(batch) - accepted
            return summary

        return await self._answered(context, answer)

    async def FetchManifest(self, request: messages.VectorReference, context: Any) -> messages.Manifest:  # noqa: N802
        """Answer with the manifest of a sum that this aggregator has published, or of a vector that is witnessed."""

        async def answer(caller: str) -> messages.Manifest:
            name = _vector_name(request)
            digests = await self._served[name.label].manifest(caller, name)
            return messages.Manifest(vector=request, digests=[digests[n] for n in range(len(digests))])

        return await self._answered(context, answer)

    async def FetchChunks(  # noqa: N802
        self, request: messages.ChunkRequest, context: Any
    ) -> AsyncIterator[messages.Chunk]:
        """Answer with chunks of a vector, in the order that was asked for; who gets which is as for its manifest."""

        async def manifest(caller: str) -> tuple[VectorName, Any]:
            name = _vector_name(request.vector)
            return name, await self._served[name.label].manifest(caller, name)

        name, digests = await self._answered(context, manifest)
        for position in request.positions:

            async def chunk(_: str, position: int = position) -> bytes:
                return await self._served[name.label].chunk(name, digests, position)

            content = await self._answered(context, chunk)
            yield messages.Chunk(vector=request.vector, position=position, content=content)

    async def _accept(self, caller: str, batch: list[messages.Chunk]) -> int:
        vector = _own(caller, batch[0].vector)
        session = await self._rounds.session(vector.study, vector.round)
        chunks = [(chunk.position, chunk.content) for chunk in batch]
        return await session.accept(caller, vector.attempt, chunks)

    async def _answered(self, context: Any, answer: Callable[[str], Awaitable[T]]) -> T:
        """Name the caller, answer, and turn expected errors into a gRPC status with their message."""
        caller = "unknown"
        try:
            caller = self._callers.of_call(context.auth_context())
            return await answer(caller)
        except AggregatorError as error:
            status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), grpc.StatusCode.INTERNAL)
            log.warning("refused", extra={"caller": caller, "status": status.name, "detail": str(error)})
            await context.abort(status, str(error))
            raise  # abort raises; this tells the type checker so


async def _batches(chunks: AsyncIterator[messages.Chunk]) -> AsyncIterator[list[messages.Chunk]]:
    """Group a stream's chunks, each group of one vector."""
    clock = asyncio.get_running_loop().time
    batch: list[messages.Chunk] = []
    began = clock()
    async for chunk in chunks:
        if batch and chunk.vector != batch[0].vector:
            yield batch
            batch = []
        batch.append(chunk)
        if len(batch) == BATCH_CHUNKS or clock() - began >= BATCH_SECONDS:
            yield batch
            batch, began = [], clock()
    if batch:
        yield batch


def _own(caller: str, vector: messages.VectorReference) -> messages.VectorReference:
    _check(vector)
    if vector.label != "update":
        raise RefusedContentError(f"a vector of kind {vector.label!r} can't be uploaded; only updates are")
    if vector.owner != caller:
        raise ForbiddenError(f"{caller} can't upload a vector of {vector.owner or 'nobody'}; only its own")
    return vector


def _vector_name(vector: messages.VectorReference) -> VectorName:
    _check(vector)
    if vector.label not in ("sum", "update"):
        raise RefusedContentError(f"there are no vectors of kind {vector.label!r}; ask for a sum or an update")
    return VectorName(vector.study, vector.round, vector.attempt, vector.owner, vector.label)


def _check(vector: messages.VectorReference) -> None:
    """Refuse names and numbers that no round can have, before anybody looks them up."""
    if vector.protocol != PROTOCOL_VERSION:
        raise RefusedContentError(f"protocol {vector.protocol}; this aggregator speaks {PROTOCOL_VERSION}")
    try:
        canonical.decode(RoundReference, canonical.encode(RoundReference(study=vector.study, round=vector.round)))
    except WireError as error:
        raise RefusedContentError(str(error)) from None


def _place(caller: str, vector: messages.VectorReference) -> dict[str, Any]:
    return {"hospital": caller, "study": vector.study, "round": vector.round, "attempt": vector.attempt}
