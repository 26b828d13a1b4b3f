"""A peer's Deliver service whose blocks the test decides, on a real gRPC server with mutual TLS."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.common import common_pb2, ledger_pb2
from fabric_protos.gateway import gateway_pb2, gateway_pb2_grpc
from fabric_protos.orderer import ab_pb2
from fabric_protos.peer import events_pb2, events_pb2_grpc, proposal_response_pb2


@dataclass(frozen=True)
class Course:
    """What a stream does: send these blocks; then end with a status, hang for ever (None), or break off."""

    blocks: Sequence[int]
    then: str | grpc.StatusCode | None = None


class PlayedDelivery(events_pb2_grpc.DeliverServicer, gateway_pb2_grpc.GatewayServicer):
    """A peer that delivers blocks, and says how many it has."""

    def __init__(self) -> None:
        self.port = 0
        self.height = 0
        self.envelopes: list[Any] = []
        self._courses: deque[Course] = deque()
        self._server: grpc.aio.Server | None = None

    def will(self, *courses: Course) -> None:
        self._courses.extend(courses)

    @property
    def asked(self) -> list[tuple[int, int]]:
        """The first and last block of every request."""
        seeks = [ab_pb2.SeekInfo.FromString(_payload(envelope).data) for envelope in self.envelopes]
        return [(seek.start.specified.number, seek.stop.specified.number) for seek in seeks]

    @property
    def headers(self) -> list[Any]:
        return [
            common_pb2.ChannelHeader.FromString(_payload(envelope).header.channel_header) for envelope in self.envelopes
        ]

    async def Deliver(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:  # noqa: N802
        self.envelopes.append(await anext(requests))
        course = self._courses.popleft() if self._courses else Course((), grpc.StatusCode.UNAVAILABLE)
        for number in course.blocks:
            yield events_pb2.DeliverResponse(block=common_pb2.Block(header=common_pb2.BlockHeader(number=number)))
        if course.then is None:
            await asyncio.sleep(60)
        elif isinstance(course.then, str):
            yield events_pb2.DeliverResponse(status=common_pb2.Status.Value(course.then))
        else:
            await context.abort(course.then, "played")

    async def Evaluate(self, request: Any, context: Any) -> Any:  # noqa: N802
        if not self.height:
            await asyncio.sleep(60)
        info = ledger_pb2.BlockchainInfo(height=self.height).SerializeToString()
        return gateway_pb2.EvaluateResponse(result=proposal_response_pb2.Response(status=200, payload=info))

    async def start(self, private_key: bytes, certificate: bytes, roots: bytes) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        events_pb2_grpc.add_DeliverServicer_to_server(self, self._server)
        gateway_pb2_grpc.add_GatewayServicer_to_server(self, self._server)
        credentials = grpc.ssl_server_credentials([(private_key, certificate)], roots, require_client_auth=True)
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None


def _payload(envelope: Any) -> Any:
    return common_pb2.Payload.FromString(envelope.payload)
