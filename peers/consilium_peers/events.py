"""Chaincode events, resumed exactly: by block and transaction id, also in the middle of a block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2

from consilium_peers.checkpoint import Position
from consilium_peers.connection import Connections
from consilium_peers.error_details import peer_details
from consilium_peers.errors import EventsError
from consilium_peers.identity import Identity


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


async def chaincode_events(
    connections: Connections,
    identity: Identity,
    channel: str,
    chaincode: str,
    checkpoint: Checkpointer | None,
    start_block: int | None,
) -> AsyncIterator[ChaincodeEvent]:
    """Yield events, from one gateway after the other when they fail; see `Network.chaincode_events`.

    The gateway may fail between two events. Reading goes on at the next gateway right behind the last event that was
    yielded, whether or not the reader has recorded it yet. It ends when each gateway has failed since the last event.
    """
    position = checkpoint.position() if checkpoint is not None else None
    failures = 0
    while True:
        endpoint = connections.in_order()[0]
        stub = gateway_pb2_grpc.GatewayStub(connections.channel(endpoint))
        stream = stub.ChaincodeEvents(_request(identity, channel, chaincode, position, start_block))
        try:
            async for message in stream:
                failures = 0
                for event in message.events:
                    position = Position(message.block_number, event.tx_id)
                    yield ChaincodeEvent(
                        message.block_number, event.tx_id, event.chaincode_id, event.event_name, event.payload
                    )
            failure = EventsError("", "UNAVAILABLE", f"{endpoint.address} ended the stream")
        except grpc.aio.AioRpcError as error:
            failure = EventsError("", error.code().name, error.details() or "no details", peer_details(error))
        finally:
            stream.cancel()
        connections.rest(endpoint)
        failures += 1
        if not failure.transient or failures >= connections.count:
            raise failure


def _request(
    identity: Identity, channel: str, chaincode: str, position: Position | None, start_block: int | None
) -> Any:
    if position is not None:
        start = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=position.block))
    elif start_block is not None:
        start = ab_pb2.SeekPosition(specified=ab_pb2.SeekSpecified(number=start_block))
    else:
        start = ab_pb2.SeekPosition(next_commit=ab_pb2.SeekNextCommit())
    request = gateway_pb2.ChaincodeEventsRequest(
        channel_id=channel,
        chaincode_id=chaincode,
        identity=identity.serialized,
        start_position=start,
        after_transaction_id=position.tx_id if position is not None else "",
    ).SerializeToString()
    return gateway_pb2.SignedChaincodeEventsRequest(request=request, signature=identity.sign(request))
