"""Proposals straight to one peer: what has no policy to satisfy, such as joining a channel or installing a package."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from fabric_protos.peer import peer_pb2_grpc

from consilium_peers.connection import open_channel
from consilium_peers.errors import EndorseError
from consilium_peers.identity import Identity
from consilium_peers.profile import Endpoint, KeyPairFiles
from consilium_peers.proposal import sign_proposal

PROCESS_SECONDS = 30.0


async def process_proposal(
    identity: Identity,
    endpoint: Endpoint,
    tls: KeyPairFiles,
    chaincode: str,
    arguments: Sequence[bytes],
    *,
    channel: str = "",
    timeout: float = PROCESS_SECONDS,
) -> bytes:
    """Let one peer run a (system) chaincode and return its answer.

    Raises:
        EndorseError: the peer can't be reached within `timeout` seconds, or refused.
    """
    signed = sign_proposal(identity, channel, chaincode, arguments)
    connection = open_channel(endpoint, tls)
    try:
        answer = await peer_pb2_grpc.EndorserStub(connection).ProcessProposal(signed.message, timeout=timeout)
    except grpc.aio.AioRpcError as error:
        raise EndorseError(signed.tx_id, error.code().name, error.details() or "no details") from None
    finally:
        await connection.close()
    if answer.response.status != 200:
        raise EndorseError(signed.tx_id, str(answer.response.status), answer.response.message)
    return bytes(answer.response.payload)
