"""Whole blocks of a channel, in order, from any peer that the caller may read; resumed where a peer fails.

Every wait has a deadline: a peer that should have a block and doesn't send it in time is passed over, and one that is
quiet because nothing happens is asked whether it lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.peer import events_pb2_grpc

from consilium_peers.blocks.seeking import seek_envelope
from consilium_peers.chain_info import ledger_height
from consilium_peers.connection import Connections
from consilium_peers.errors import BlocksError
from consilium_peers.identity import Identity
from consilium_peers.outage import Outage
from consilium_peers.profile import Endpoint
from consilium_peers.quiet_streams import broken, next_message

# How long a peer may take for one block that it has, and to say how many it has.
BLOCK_SECONDS = 20.0
ANSWER_SECONDS = 10.0
# A stream that is silent for so long may be quiet, or its peer frozen: the peer is asked whether it lives.
IDLE_SECONDS = 30.0

_FORBIDDEN = common_pb2.Status.FORBIDDEN


@dataclass(frozen=True, slots=True)
class RawBlock:
    """A block as a peer delivered it: its number and the serialized `common.Block`."""

    number: int
    content: bytes


@dataclass
class BlockReader:
    """Reads a channel's blocks from one peer after the other.

    Attributes:
        tls_hash: SHA-256 of the TLS certificate that `connections` shows.
        next: the number of the block that comes next.
        end: where to stop, this block excluded; None reads on for ever.
    """

    connections: Connections
    identity: Identity
    channel: str
    tls_hash: bytes
    next: int = 0
    end: int | None = None

    async def blocks(self, patience: float) -> AsyncGenerator[RawBlock, None]:
        """Yield the blocks; see `Network.blocks`."""
        outage = Outage("blocks", patience, self.connections.count)
        while self.end is None or self.next < self.end:
            endpoint = self.connections.in_order()[0]
            before = self.next
            try:
                async with aclosing(self._from_one(endpoint)) as blocks:
                    async for block in blocks:
                        yield block
            except BlocksError as failure:
                self.connections.rest(endpoint)
                await outage.bear(failure, endpoint, self.next != before)

    async def _from_one(self, endpoint: Endpoint) -> AsyncGenerator[RawBlock, None]:
        """Yield what one peer sends until the end, or until it fails."""
        envelope = seek_envelope(self.identity, self.channel, self.tls_hash, self.next, self.end)
        stub = events_pb2_grpc.DeliverStub(self.connections.channel(endpoint))
        stream = stub.Deliver()
        try:
            await self._send(endpoint, stream, envelope)
            while True:
                message = await self._receive(endpoint, stream)
                if message is None:
                    return
                if message.WhichOneof("Type") != "block":
                    raise self._ended(endpoint, int(message.status))
                number = int(message.block.header.number)
                if number != self.next:
                    raise BlocksError(
                        "", "UNKNOWN", f"{endpoint.address} sent block {number} where {self.next} comes next"
                    )
                self.next += 1
                yield RawBlock(number, message.block.SerializeToString(deterministic=True))
                if self.next == self.end:
                    return
        finally:
            stream.cancel()

    async def _send(self, endpoint: Endpoint, stream: Any, envelope: Any) -> None:
        try:
            # Not wait_for, which in Python 3.11 can swallow a cancellation.
            async with asyncio.timeout(ANSWER_SECONDS):
                await stream.write(envelope)
        except TimeoutError:
            raise _late(endpoint, ANSWER_SECONDS) from None
        except grpc.aio.AioRpcError as error:
            raise broken(BlocksError, error) from None

    async def _receive(self, endpoint: Endpoint, stream: Any) -> Any:
        """Return the stream's next message; None when a quiet stream ends because a better peer is back."""
        wait = IDLE_SECONDS if self.end is None else BLOCK_SECONDS

        async def when_quiet() -> None:
            if self.end is not None:
                raise _late(endpoint, wait)
            await ledger_height(self.connections, self.identity, self.channel, endpoint, BlocksError, ANSWER_SECONDS)

        return await next_message(self.connections, endpoint, stream, BlocksError, wait, when_quiet)

    def _ended(self, endpoint: Endpoint, status: int) -> BlocksError:
        """Return why a peer ended the stream before the last block that was asked for."""
        if status == _FORBIDDEN:
            return BlocksError(
                "",
                "PERMISSION_DENIED",
                f"{endpoint.address} doesn't let {self.identity.msp_id} read blocks of {self.channel}: the channel's "
                "Readers policy names who may, and the TLS certificate must be the one of the profile",
            )
        return BlocksError(
            "",
            "UNAVAILABLE",
            f"{endpoint.address} answers {common_pb2.Status.Name(status)} to block {self.next} of {self.channel}: "
            "it has no such block yet, or doesn't know the channel",
        )


def _late(endpoint: Endpoint, seconds: float) -> BlocksError:
    return BlocksError("", "DEADLINE_EXCEEDED", f"{endpoint.address} sent nothing for {seconds:g} s")
