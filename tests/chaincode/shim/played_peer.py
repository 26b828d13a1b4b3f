"""The peer's side of the chaincode protocol, played by the test over a real gRPC stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    chaincode_shim_pb2,
    chaincode_shim_pb2_grpc,
    proposal_pb2,
    proposal_response_pb2,
)
from ledgers import certificate

from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.dispatcher import Deadlines
from consilium_chaincode.shim.server import ChaincodeServer, start_server

Message = chaincode_shim_pb2.ChaincodeMessage
CREATOR = certificate()
SECONDS = 5.0


def proposal(
    *words: bytes | str, transient: Mapping[str, bytes] | None = None, chaincode: str = "probe"
) -> tuple[bytes, Any]:
    """Return what a peer sends of a proposal: the chaincode's input and the signed proposal."""
    extension = proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode_pb2.ChaincodeID(name=chaincode))
    channel_header = common_pb2.ChannelHeader(channel_id="channel", extension=extension.SerializeToString())
    channel_header.timestamp.GetCurrentTime()
    header = common_pb2.Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=common_pb2.SignatureHeader(
            creator=identities_pb2.SerializedIdentity(mspid="ClevelandMSP", id_bytes=CREATOR).SerializeToString()
        ).SerializeToString(),
    )
    payload = proposal_pb2.ChaincodeProposalPayload(TransientMap=dict(transient or {}))
    raw = proposal_pb2.Proposal(header=header.SerializeToString(), payload=payload.SerializeToString())
    arguments = [word.encode() if isinstance(word, str) else word for word in words]
    return (
        chaincode_pb2.ChaincodeInput(args=arguments).SerializeToString(),
        proposal_pb2.SignedProposal(proposal_bytes=raw.SerializeToString()),
    )


class PlayedPeer:
    """One stream to the service."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        # gRPC refuses a write while another one is under way.
        self._writing = asyncio.Lock()

    async def _write(self, message: Any) -> None:
        async with self._writing:
            await self.stream.write(message)

    async def receive(self) -> Any:
        return await asyncio.wait_for(self.stream.read(), SECONDS)

    async def register(self, *, batches: int = 0, multiple: int = 0) -> str:
        """Take the registration, announce what this peer can do, and return the package id."""
        message = await self.receive()
        assert message.type == Message.REGISTER
        offered = chaincode_pb2.ChaincodeAdditionalParams(
            use_write_batch=batches > 0,
            max_size_write_batch=batches,
            use_get_multiple_keys=multiple > 0,
            max_size_get_multiple_keys=multiple,
        )
        await self.stream.write(Message(type=Message.REGISTERED))
        await self.stream.write(Message(type=Message.READY, payload=offered.SerializeToString()))
        return str(chaincode_pb2.ChaincodeID.FromString(message.payload).name)

    async def begin(
        self,
        tx_id: str,
        *words: bytes | str,
        transient: Mapping[str, bytes] | None = None,
        chaincode: str = "probe",
    ) -> None:
        """Start a transaction."""
        payload, signed = proposal(*words, transient=transient, chaincode=chaincode)
        message = Message(type=Message.TRANSACTION, txid=tx_id, channel_id="channel", payload=payload, proposal=signed)
        await self._write(message)

    async def answer(self, request: Any, payload: bytes = b"", kind: int = Message.RESPONSE) -> None:
        """Answer a request of the chaincode."""
        await self._write(Message(type=kind, txid=request.txid, channel_id=request.channel_id, payload=payload))

    async def request(self, kind: int) -> Any:
        """Return the next message, which must be a request of that kind."""
        message = await self.receive()
        assert message.type == kind, Message.Type.Name(message.type)
        return message

    async def completed(self) -> tuple[Any, Any]:
        """Return the next message, which must end a transaction, and the response in it."""
        message = await self.request(Message.COMPLETED)
        return message, proposal_response_pb2.Response.FromString(message.payload)


@contextlib.asynccontextmanager
async def connected(
    contract: Contract, deadlines: Deadlines | None = None
) -> AsyncIterator[tuple[PlayedPeer, ChaincodeServer]]:
    """Serve a contract without TLS and connect to it as a peer would."""
    server = await start_server(contract, "package:1", "127.0.0.1:0", None, deadlines)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stream = chaincode_shim_pb2_grpc.ChaincodeStub(channel).Connect()
        try:
            yield PlayedPeer(stream), server
        finally:
            stream.cancel()
            await server.stop(0)
