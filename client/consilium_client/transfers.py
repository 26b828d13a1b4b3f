"""What transfers to and from aggregators share: how long they may go on, what is checked, which failures pass.

No aggregator keeps a hospital from the next one: not by refusing, not by lying, and not by letting a byte drip now and
then, since each has only its share of the time that is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from consilium_client.errors import (
    AggregatorRefusalError,
    AggregatorUnavailableError,
    ClientError,
    RoundOverError,
    VectorMismatchError,
    VectorWithheldError,
)
from consilium_peers.profile import Endpoint
from consilium_proto.chunk_tree import VectorContext, check_root, chunk_digest
from consilium_proto.chunks import LARGEST_CHUNK
from consilium_proto.errors import WireError
from consilium_proto.generated import aggregator_pb2 as messages
from consilium_proto.records import PROTOCOL_VERSION

CALL_SECONDS = 30.0
# Between two passes over the aggregators.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 3.0

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
        self._ends = self._turn_ends = self._clock() + self.timeout
        self._moved = self._clock()

    def begin_turn(self, turns: int) -> None:
        """Give the next aggregator its share of the time that is left, of which `turns` aggregators have a part."""
        self._turn_ends = self._clock() + (self._ends - self._clock()) / turns

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
        return max(0.1, min(CALL_SECONDS, self._turn_ends - self._clock()))


async def ask_in_turn(
    what: str,
    endpoints: Sequence[Endpoint],
    transfer: Transfer,
    ask: Callable[[Endpoint], Awaitable[None]],
    enough: Callable[[Endpoint], bool] = lambda _: True,
) -> tuple[list[Endpoint], ClientError | None]:
    """Ask aggregators one after the other, and those whose failure may pass again and again.

    Args:
        what: what is asked, for messages.
        endpoints: the aggregators in order.
        transfer: how long this may take.
        ask: does one aggregator's part.
        enough: whether the next one needn't be asked when this one did its part.

    Returns:
        Who did its part; if nobody, the last failure, an AggregatorRefusalError when none of them can pass.
    """
    pause, left = FIRST_PAUSE_SECONDS, list(endpoints)
    refusal: ClientError | None = None
    passing: ClientError | None = None
    while left:
        served: list[Endpoint] = []
        refused: list[Endpoint] = []
        for place, endpoint in enumerate(left):
            transfer.begin_turn(len(left) - place)
            failed = await _failure_of(what, endpoint, ask)
            if failed is None:
                served.append(endpoint)
                if enough(endpoint):
                    break
            elif isinstance(failed, AggregatorRefusalError):
                refusal = failed
                refused.append(endpoint)
            else:
                passing = failed
        if served:
            return served, None
        left = [endpoint for endpoint in left if endpoint not in refused]
        if not left or transfer.left <= pause:
            break
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
    return [], passing if left else refusal


async def _failure_of(what: str, endpoint: Endpoint, ask: Callable[[Endpoint], Awaitable[None]]) -> ClientError | None:
    """Return what went wrong; an AggregatorRefusalError won't pass, an AggregatorUnavailableError may."""
    try:
        await ask(endpoint)
    except grpc.aio.AioRpcError as error:
        said = f"{endpoint.address}: {error.code().name}: {error.details()}"
        if error.code() is grpc.StatusCode.ABORTED:
            return RoundOverError(f"{what} is too late for {said}")
        if error.code() not in _PASSING:
            return AggregatorRefusalError(f"{what} was refused by {said}")
        return AggregatorUnavailableError(said)
    except (AggregatorRefusalError, VectorWithheldError) as error:
        return error
    return None


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
    """Refuse a chunk that isn't the expected one of the manifest, or is longer than the ledger would look at.

    Under the root of a published sum any bytes may lie. Nobody could be shown such a chunk, so it counts as not served:
    the round goes back to ANCHORED for another sum.
    """
    if len(chunk.content) > LARGEST_CHUNK:
        raise VectorMismatchError(
            f"chunk {chunk.position} of {vector.owner}'s {vector.label} has {len(chunk.content)} bytes; "
            f"no chunk has more than {LARGEST_CHUNK}"
        )
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
