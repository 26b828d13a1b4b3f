"""Serves a contract as a chaincode service: the peer connects to it (chaincode as a service, Fabric ≥ 2.0)."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from fabric_protos.peer import chaincode_shim_pb2_grpc

from consilium_chaincode.shim.contract import Contract
from consilium_chaincode.shim.dispatcher import Deadlines, PeerStream

MAX_MESSAGE_BYTES = 100 * 1024 * 1024
STOP_SECONDS = 2.0

_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # The peer pings its chaincode every minute; gRPC's default takes more than one in five minutes for abuse.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
]


@dataclass(frozen=True)
class ServerTls:
    """PEM material of the service: its key and certificate, and the roots that vouch for the one peer it serves."""

    private_key: bytes
    certificate: bytes
    client_roots: bytes


class _Service(chaincode_shim_pb2_grpc.ChaincodeServicer):  # type: ignore[misc]  # generated without types
    def __init__(self, contract: Contract, package_id: str, deadlines: Deadlines) -> None:
        self._contract = contract
        self._package_id = package_id
        self._deadlines = deadlines
        self._streams: set[PeerStream] = set()

    async def Connect(self, request_iterator: AsyncIterator[Any], context: Any) -> None:  # noqa: N802 - Fabric's name
        """Serve one peer until it goes."""
        stream = PeerStream(self._contract, self._package_id, context, self._deadlines)
        self._streams.add(stream)
        try:
            await stream.run(request_iterator)
        finally:
            self._streams.discard(stream)

    async def close(self, grace: float) -> None:
        await asyncio.gather(*(stream.close(grace) for stream in list(self._streams)))


@dataclass(frozen=True)
class ChaincodeServer:
    """A running service and the port it listens on."""

    port: int
    _server: grpc.aio.Server
    _service: _Service

    async def stop(self, grace: float = STOP_SECONDS) -> None:
        """Let running transactions end within `grace` seconds, then end every stream and stop listening."""
        stopping = asyncio.create_task(self._server.stop(grace + 1.0))
        await self._service.close(grace)
        await stopping


async def start_server(
    contract: Contract, package_id: str, address: str, tls: ServerTls | None, deadlines: Deadlines | None = None
) -> ChaincodeServer:
    """Start serving `contract` at `address` (`host:port`; port 0: a free one) under the package's id.

    Without `tls` anybody on the machine could pose as the peer: for tests only.

    Raises:
        OSError: the address can't be bound.
    """
    server = grpc.aio.server(options=_OPTIONS)
    service = _Service(contract, package_id, deadlines or Deadlines())
    chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(service, server)
    try:
        if tls is None:
            port = server.add_insecure_port(address)
        else:
            pair = [(tls.private_key, tls.certificate)]
            credentials = grpc.ssl_server_credentials(pair, tls.client_roots, require_client_auth=True)
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        raise OSError(f"can't listen on {address}: it is in use, or not an address of this machine") from None
    await server.start()
    return ChaincodeServer(port, server, service)


async def serve(contract: Contract, package_id: str, address: str, tls: ServerTls | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await start_server(contract, package_id, address, tls)
    await stopped.wait()
    await server.stop()
