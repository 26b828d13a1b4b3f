"""What transfers to and from aggregators share: how long they may go on, what is checked, which failures pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from consilium_client.errors import AggregatorRefusalError, RoundOverError, VectorMismatchError
from consilium_peers.profile import Endpoint
from consilium_proto.chunk_tree import VectorContext, check_root, chunk_digest
from consilium_proto.errors import WireError
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.records import PROTOCOL_VERSION

CALL_SECONDS = 30.0

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


@dataclass
class Transfer:
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
        """Note that something got through."""
        self._moved = self._clock()

    @property
    def left(self) -> float:
        """Seconds until it is given up, if nothing gets through from now on."""
        return max(0.0, min(self._moved + self.patience, self._ends) - self._clock())

    @property
    def call_seconds(self) -> float:
        """The deadline of the next call."""
        return max(0.1, min(CALL_SECONDS, self._ends - self._clock()))


def passing_failure(what: str, endpoint: Endpoint, error: grpc.aio.AioRpcError) -> str:
    """Describe a failure that may pass; raise the typed error of one that won't."""
    said = f"{endpoint.address}: {error.code().name}: {error.details()}"
    if error.code() is grpc.StatusCode.ABORTED:
        raise RoundOverError(f"{what} is too late for {said}") from None
    if error.code() not in _PASSING:
        raise AggregatorRefusalError(f"{what} was refused by {said}") from None
    return said


def check_manifest(vector: VectorContext, root: str, count: int, digests: list[bytes]) -> None:
    """Refuse a manifest that isn't what the root on the ledger stands for."""
    if len(digests) != count:
        raise VectorMismatchError(
            f"{vector.owner} is said to have {len(digests)} chunks in its {vector.label}; the ledger says {count}"
        )
    try:
        check_root(root, vector, digests)
    except WireError as error:
        raise VectorMismatchError(
            f"{vector.owner}'s {vector.label} is served with other chunks than the ledger's root covers: {error}"
        ) from None


def check_chunk(vector: VectorContext, digests: list[bytes], expected: int | None, chunk: messages.Chunk) -> None:
    """Refuse a chunk that isn't the expected one of the manifest."""
    if expected is None or chunk.position != expected or chunk_digest(chunk.content) != digests[expected]:
        raise VectorMismatchError(
            f"{vector.owner} is said to have a chunk that isn't chunk {expected} of its {vector.label}"
        )


async def chunk_messages(
    reference: messages.VectorReference,
    chunks: Sequence[Path] | Sequence[bytes],
    positions: Sequence[int],
    transfer: Transfer,
) -> AsyncIterator[messages.Chunk]:
    """Read chunks one by one as they are sent."""
    for position in positions:
        content = await asyncio.to_thread(read_chunk, chunks[position])
        message = messages.Chunk(vector=reference, position=position, content=content)
        transfer.bytes_sent += message.ByteSize()
        yield message


def read_chunk(chunk: Path | bytes) -> bytes:
    """Return a chunk from memory or file."""
    return chunk if isinstance(chunk, bytes) else chunk.read_bytes()


def reference_to(vector: VectorContext) -> messages.VectorReference:
    """Return what messages call a vector."""
    return messages.VectorReference(
        protocol=PROTOCOL_VERSION,
        study=vector.study,
        round=vector.round,
        attempt=vector.attempt,
        owner=vector.owner,
        label=vector.label,
    )
