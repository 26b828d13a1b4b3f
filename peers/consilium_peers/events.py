"""Chaincode events, resumed exactly: by block and transaction id, also in the middle of a block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2

from consilium_peers.chain_info import ledger_height
from consilium_peers.checkpoint import Position
from consilium_peers.connection import Connections
from consilium_peers.errors import CheckpointError, EventsError
from consilium_peers.identity import Identity
from consilium_peers.outage import Outage
from consilium_peers.profile import Endpoint
from consilium_peers.quiet_streams import next_message

# A stream that is silent for so long may be quiet, or its gateway frozen: the gateway is asked whether it lives.
IDLE_SECONDS = 30.0
ANSWER_SECONDS = 10.0
# A stream that stood for so long wasn't a failed attempt: what comes after it is a new outage.
STANDING_SECONDS = 5.0


@dataclass(frozen=True)
class ChaincodeEvent:
    """An event of a valid transaction."""

    block: int
    tx_id: str
    chaincode: str
    name: str
    payload: bytes


class Checkpointer(Protocol):
    """Where a reader keeps its position; `FileCheckpoint` is one."""

    def position(self) -> Position | None:
        """Return the last recorded position."""
        ...


@dataclass
class EventReader:
    """Reads one chaincode's events from one gateway after the other.

    Attributes:
        position: right behind the last event that was yielded, whether or not it has been recorded anywhere.
        start_block: where to start as long as there is no position; None stands for the next block.
    """

    connections: Connections
    identity: Identity
    channel: str
    chaincode: str
    position: Position | None
    start_block: int | None
    _opened: float | None = field(default=None, init=False)

    async def events(self, patience: float) -> AsyncGenerator[ChaincodeEvent, None]:
        """Yield events for ever; see `Network.chaincode_events`."""
        outage = Outage("events", patience, self.connections.count)
        while True:
            endpoint = self.connections.in_order()[0]
            self._opened = None
            before = self.position
            try:
                async with aclosing(self._from_one(endpoint)) as events:
                    async for event in events:
                        yield event
            except EventsError as failure:
                self.connections.rest(endpoint)
                await outage.bear(failure, endpoint, self.position != before or self._stood())

    def _stood(self) -> bool:
        return self._opened is not None and asyncio.get_running_loop().time() - self._opened >= STANDING_SECONDS

    async def _from_one(self, endpoint: Endpoint) -> AsyncGenerator[ChaincodeEvent, None]:
        """Yield what one gateway sends, until it fails or a better one is back."""
        start = await self._start(endpoint)
        stream = gateway_pb2_grpc.GatewayStub(self.connections.channel(endpoint)).ChaincodeEvents(self._request(start))
        self._opened = asyncio.get_running_loop().time()
        sought = self.position
        try:
            async with aclosing(self._messages(endpoint, stream)) as messages:
                async for message in messages:
                    events = list(message.events)
                    if sought is not None:
                        events = self._behind(sought, message.block_number, events)
                        sought = None
                    for event in events:
                        self.position = Position(message.block_number, event.tx_id)
                        yield ChaincodeEvent(
                            message.block_number, event.tx_id, event.chaincode_id, event.event_name, event.payload
                        )
        finally:
            stream.cancel()

    async def _start(self, endpoint: Endpoint) -> int:
        """Return the block to start with.

        "The next block" becomes a number once and for all: after a failover it would be a later one. A peer that is
        behind the position would be silent until it has caught up, and one of another channel for ever.
        """
        if self.position is None and self.start_block is not None:
            return self.start_block
        height = await self._height(endpoint)
        if self.position is None:
            self.start_block = height
            return height
        if height <= self.position.block:
            raise EventsError(
                self.position.tx_id,
                "UNAVAILABLE",
                f"{endpoint.address} has {height} blocks of {self.channel} and the last event was in block "
                f"{self.position.block}: the peer is catching up; if it never does, the checkpoint is another ledger's",
            )
        return self.position.block

    async def _height(self, endpoint: Endpoint) -> int:
        return await ledger_height(self.connections, self.identity, self.channel, endpoint, EventsError, ANSWER_SECONDS)

    def _behind(self, sought: Position, block: int, events: list[Any]) -> list[Any]:
        """Return those of the first block's events that come after the position.

        The gateway could skip them itself, but is silent for ever when it doesn't know the transaction.
        """
        found = [number for number, event in enumerate(events) if event.tx_id == sought.tx_id]
        if block != sought.block or not found:
            raise CheckpointError(
                f"block {sought.block} of {self.channel} has no event of {self.chaincode} in transaction "
                f"{sought.tx_id[:16]}: the checkpoint is another ledger's; remove it to read all events again"
            )
        return events[found[-1] + 1 :]

    async def _messages(self, endpoint: Endpoint, stream: Any) -> AsyncGenerator[Any, None]:
        """Yield the stream's messages, one per block; end when it is quiet and a better gateway is back."""
        while True:
            message = await next_message(
                self.connections, endpoint, stream, EventsError, IDLE_SECONDS, lambda: self._height(endpoint)
            )
            if message is None:
                return
            yield message

    def _request(self, start: int) -> Any:
        request = gateway_pb2.ChaincodeEventsRequest(
            channel_id=self.channel,
            chaincode_id=self.chaincode,
            identity=self.identity.serialized,
            start_position=ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=start)),
        ).SerializeToString()
        return gateway_pb2.SignedChaincodeEventsRequest(request=request, signature=self.identity.sign(request))
