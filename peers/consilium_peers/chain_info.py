"""How long a peer's ledger is, asked through its gateway."""

from __future__ import annotations

from typing import Any

import grpc
from fabric_protos.common import ledger_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc

from consilium_peers.connection import Connections
from consilium_peers.errors import GatewayError
from consilium_peers.identity import Identity
from consilium_peers.profile import Endpoint
from consilium_peers.proposal import sign_proposal


async def ledger_height(
    connections: Connections,
    identity: Identity,
    channel: str,
    endpoint: Endpoint,
    stage: type[GatewayError],
    timeout: float,
) -> int:
    """Return the number of blocks that this gateway's organisation has of a channel: the next block's number.

    Raises:
        GatewayError: of class `stage`; the gateway doesn't answer within `timeout` seconds.
    """
    signed = sign_proposal(identity, channel, "qscc", [b"GetChainInfo", channel.encode()])
    request = gateway_pb2.EvaluateRequest(
        transaction_id=signed.tx_id,
        channel_id=channel,
        proposed_transaction=signed.message,
        target_organizations=[endpoint.organization],
    )

    async def invoke(connection: grpc.aio.Channel, seconds: float) -> Any:
        return await gateway_pb2_grpc.GatewayStub(connection).Evaluate(request, timeout=seconds)

    answer = await connections.call_one(endpoint, stage, "", invoke, timeout)
    return int(ledger_pb2.BlockchainInfo.FromString(answer.result.payload).height)
