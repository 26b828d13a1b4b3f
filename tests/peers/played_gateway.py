"""A Gateway service whose answers the test decides, on a real gRPC server with mutual TLS."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.common import common_pb2, ledger_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_event_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)
from google.protobuf.any_pb2 import Any as Packed

from consilium_peers.errors import PeerDetail

ENDORSERS = ("ClevelandMSP", "HungaryMSP", "SwitzerlandMSP")
BLOCK = 7


@dataclass(frozen=True)
class Refuses:
    """Answer with a gRPC status."""

    code: grpc.StatusCode
    message: str = "no"
    details: Sequence[PeerDetail] = ()


class Hangs:
    """Never answer."""


@dataclass(frozen=True)
class Height:
    """Answer how many blocks the ledger has."""

    blocks: int


@dataclass(frozen=True)
class Code:
    """Answer a request for the commit status."""

    name: str


@dataclass(frozen=True)
class Events:
    """Send events as (block, tx id), each block in one message, then end the stream with a status or not at all.

    The first block is sent after `pause` seconds.
    """

    sent: Sequence[tuple[int, str]]
    end: Refuses | Hangs | None = None
    pause: float = 0.0


def prepared(payload: bytes) -> Any:
    """Return an envelope as gateways prepare it."""
    action = proposal_pb2.ChaincodeAction(response=proposal_response_pb2.Response(status=200, payload=payload))
    response = proposal_response_pb2.ProposalResponsePayload(extension=action.SerializeToString())
    endorsed = transaction_pb2.ChaincodeEndorsedAction(
        proposal_response_payload=response.SerializeToString(),
        endorsements=[
            proposal_response_pb2.Endorsement(
                endorser=identities_pb2.SerializedIdentity(mspid=msp_id).SerializeToString()
            )
            for msp_id in ENDORSERS
        ],
    )
    action_payload = transaction_pb2.ChaincodeActionPayload(action=endorsed).SerializeToString()
    transaction = transaction_pb2.Transaction(actions=[transaction_pb2.TransactionAction(payload=action_payload)])
    return common_pb2.Envelope(payload=common_pb2.Payload(data=transaction.SerializeToString()).SerializeToString())


def is_about_height(request: Any) -> bool:
    """Tell whether a query asks a peer's system chaincode for the ledger's height."""
    proposal = proposal_pb2.Proposal.FromString(request.proposed_transaction.proposal_bytes)
    return b"GetChainInfo" in proposal.payload


def _field(number: int, content: bytes) -> bytes:
    length, encoded = len(content), b""
    while length > 127:
        encoded += bytes([length & 127 | 128])
        length >>= 7
    return bytes([number << 3 | 2]) + encoded + bytes([length]) + content


def status_details(details: Sequence[PeerDetail]) -> bytes:
    """Return a google.rpc.Status with a gateway.ErrorDetail for each node."""
    found = b""
    for msp_id, address, message in details:
        packed = Packed()
        packed.Pack(gateway_pb2.ErrorDetail(msp_id=msp_id, address=address, message=message))
        found += _field(3, packed.SerializeToString())
    return found


class PlayedGateway(gateway_pb2_grpc.GatewayServicer):
    """One gateway. `calls` has what it was asked, by stage; `will` decides its next answers."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Any]] = defaultdict(list)
        self._answers: dict[str, deque[Any]] = defaultdict(deque)
        self._server: grpc.aio.Server | None = None
        self.port = 0

    def will(self, stage: str, *answers: Any) -> None:
        """Queue answers; when the queue is empty, calls succeed."""
        self._answers[stage].extend(answers)

    async def start(self, private_key: bytes, certificate: bytes, roots: bytes) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        gateway_pb2_grpc.add_GatewayServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials([(private_key, certificate)], roots, require_client_auth=True)
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    async def _next(self, stage: str, request: Any, context: Any, usual: Any) -> Any:
        self.calls[stage].append(request)
        answer = self._answers[stage].popleft() if self._answers[stage] else usual
        if isinstance(answer, Hangs):
            await asyncio.sleep(60)
        if isinstance(answer, Refuses):
            if answer.details:
                context.set_trailing_metadata((("grpc-status-details-bin", status_details(answer.details)),))
            await context.abort(answer.code, answer.message)
        return answer

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802 - Fabric's name
        if is_about_height(request):
            height = await self._next("height", request, context, Height(BLOCK + 1))
            payload = ledger_pb2.BlockchainInfo(height=height.blocks).SerializeToString()
        else:
            payload = await self._next("evaluate", request, context, b"answer")
        return gateway_pb2.EvaluateResponse(result=proposal_response_pb2.Response(status=200, payload=payload))

    async def Endorse(self, request: Any, context: Any) -> Any:  # noqa: N802
        payload = await self._next("endorse", request, context, b"endorsed")
        return gateway_pb2.EndorseResponse(prepared_transaction=prepared(payload))

    async def Submit(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._next("submit", request, context, None)
        return gateway_pb2.SubmitResponse()

    async def CommitStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        answer = await self._next("status", request, context, Code("VALID"))
        code = transaction_pb2.TxValidationCode.Value(answer.name)
        return gateway_pb2.CommitStatusResponse(result=code, block_number=BLOCK)

    async def ChaincodeEvents(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802
        found = await self._next("events", request, context, Events((), Hangs()))
        await asyncio.sleep(found.pause)
        blocks: dict[int, list[str]] = defaultdict(list)
        for block, tx_id in found.sent:
            blocks[block].append(tx_id)
        for block, tx_ids in blocks.items():
            events = [
                chaincode_event_pb2.ChaincodeEvent(chaincode_id="probe", tx_id=tx_id, event_name="E", payload=b"p")
                for tx_id in tx_ids
            ]
            yield gateway_pb2.ChaincodeEventsResponse(events=events, block_number=block)
        if isinstance(found.end, Hangs):
            await asyncio.sleep(60)
        if isinstance(found.end, Refuses):
            await context.abort(found.end.code, found.end.message)
