"""The gRPC service: takes chunks of anchored vectors, gives chunks of published sums."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any, NoReturn, TypeVar

import grpc

from consilium_aggregator.admission import Admission, AdmittedVector
from consilium_aggregator.callers import Callers
from consilium_aggregator.engine import Engine
from consilium_aggregator.errors import ContentMissingError, RefusedError, StrangerError
from consilium_aggregator.store import DIGEST_BYTES, ContentStore
from consilium_aggregator.vectors import Manifests, VectorName
from consilium_peers.errors import PeersError
from consilium_proto.generated import aggregator_pb2, aggregator_pb2_grpc
from consilium_proto.records import PROTOCOL_VERSION

log = logging.getLogger("consilium.aggregator")

T = TypeVar("T")


class AggregatorService(aggregator_pb2_grpc.AggregatorServicer):
    """Answers hospitals. Every call finds the caller's organisation in its TLS certificate."""

    def __init__(
        self,
        organization: str,
        callers: Callers,
        admission: Admission,
        store: ContentStore,
        manifests: Manifests,
        engine: Engine,
    ) -> None:
        self._organization = organization
        self._callers = callers
        self._admission = admission
        self._store = store
        self._manifests = manifests
        self._engine = engine
        self._admitted: dict[VectorName, AdmittedVector] = {}

    async def AnnounceManifest(self, request: Any, context: Any) -> Any:  # noqa: N802 - the name in the .proto file
        """Admit an anchored vector and say which of its chunks are missing."""
        caller = await self._caller(context)
        digests = tuple(bytes(digest) for digest in request.digests)
        name = await self._name(request.vector, context)
        if any(len(digest) != DIGEST_BYTES for digest in digests):
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "a digest of the manifest isn't 32 bytes")
        admitted = await self._or_refuse(context, self._admission.admit_update(caller, name, digests))
        await asyncio.to_thread(self._manifests.save, name, digests)
        self._admitted[name] = admitted
        self._engine.wake()
        missing = [position for position, digest in enumerate(digests) if not self._store.has(digest)]
        return aggregator_pb2.MissingChunks(positions=missing)

    async def UploadChunks(self, request_iterator: AsyncIterator[Any], context: Any) -> Any:  # noqa: N802
        """Take chunks of announced vectors; each is checked by itself, so a stream may break anywhere."""
        caller = await self._caller(context)
        accepted = held = 0
        async for chunk in request_iterator:
            name = await self._name(chunk.vector, context)
            if name.owner != caller or name not in self._admitted:
                await self._refuse(
                    context,
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"{caller} hasn't announced this vector here; announce its manifest first",
                )
            if await self._take(name, chunk.position, bytes(chunk.content), context):
                accepted += 1
                self._engine.wake()
            else:
                held += 1
        return aggregator_pb2.UploadSummary(accepted=accepted, already_held=held)

    async def _take(self, name: VectorName, position: int, content: bytes, context: Any) -> bool:
        """Store one chunk; False when it was here already."""
        digests = self._manifests.find(name) or ()
        admitted = self._admitted[name]
        if position >= len(digests):
            await self._refuse(
                context, grpc.StatusCode.OUT_OF_RANGE, f"chunk {position} of a vector of {len(digests)} chunks"
            )
        if len(content) != admitted.chunk_size:
            wrong = "oversized" if len(content) > admitted.chunk_size else "truncated"
            text = f"{wrong} chunk {position}: {len(content)} bytes instead of {admitted.chunk_size}"
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)
        if hashlib.sha256(content).digest() != digests[position]:
            text = f"chunk {position} isn't the one that {name.owner} anchored"
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)
        if self._store.has(digests[position]):
            return False
        try:
            admitted.check_chunk(content)
        except RefusedError as error:
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, f"chunk {position}: {error}")
        await asyncio.to_thread(self._store.put, content)
        return True

    async def FetchManifest(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Give the manifest of a sum of this aggregator."""
        name, digests = await self._sum(request, context)
        return aggregator_pb2.Manifest(vector=_reference(name), digests=list(digests))

    async def FetchChunks(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        """Give chunks of a sum of this aggregator, one message each."""
        name, digests = await self._sum(request.vector, context)
        for position in request.positions:
            if position >= len(digests):
                text = f"chunk {position} of a sum of {len(digests)} chunks"
                await self._refuse(context, grpc.StatusCode.OUT_OF_RANGE, text)
            try:
                content = await asyncio.to_thread(self._store.get, digests[position])
            except ContentMissingError as error:
                await self._refuse(context, grpc.StatusCode.DATA_LOSS, str(error))
            yield aggregator_pb2.Chunk(vector=_reference(name), position=position, content=content)

    async def _sum(self, reference: Any, context: Any) -> tuple[VectorName, tuple[bytes, ...]]:
        caller = await self._caller(context)
        name = await self._name(reference, context)
        await self._or_refuse(context, self._admission.check_reader(caller, name.study))
        digests = self._manifests.find(name) if name.owner == self._organization else None
        if digests is None:
            text = f"{self._organization} has no sum of {name.owner} for round {name.round} of {name.study}"
            await self._refuse(context, grpc.StatusCode.NOT_FOUND, text)
        assert digests is not None
        return name, digests

    # ---- what every call does

    async def _caller(self, context: Any) -> str:
        presented = context.auth_context().get("x509_pem_cert", [b""])[0]
        try:
            return self._callers.organization(presented)
        except (StrangerError, ValueError) as error:
            await self._refuse(context, grpc.StatusCode.PERMISSION_DENIED, str(error))

    async def _name(self, reference: Any, context: Any) -> VectorName:
        if reference.protocol != PROTOCOL_VERSION:
            text = f"protocol version {reference.protocol}; this aggregator speaks {PROTOCOL_VERSION}"
            await self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, text)
        return VectorName(reference.study, reference.round, reference.attempt, reference.owner)

    async def _or_refuse(self, context: Any, outcome: Awaitable[T]) -> T:
        try:
            return await outcome
        except RefusedError as error:
            await self._refuse(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except PeersError as error:
            await self._refuse(context, grpc.StatusCode.UNAVAILABLE, f"the ledger didn't answer: {error}")

    @staticmethod
    async def _refuse(context: Any, code: grpc.StatusCode, text: str) -> NoReturn:
        log.warning("refused", extra={"code": code.name, "detail": text})
        await context.abort(code, text)
        raise AssertionError("abort raises")


def _reference(name: VectorName) -> Any:
    return aggregator_pb2.VectorReference(
        protocol=PROTOCOL_VERSION, study=name.study, round=name.round, attempt=name.attempt, owner=name.owner
    )
