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
from consilium_chaincode.shim.dispatcher import PeerStream

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
    def __init__(self, contract: Contract, package_id: str) -> None:
        self._contract = contract
        self._package_id = package_id

    async def Connect(self, request_iterator: AsyncIterator[Any], context: Any) -> None:  # noqa: N802 - Fabric's name
        """Serve one peer until it goes."""
        await PeerStream(self._contract, self._package_id, context).run(request_iterator)


async def start_server(contract: Contract, package_id: str, address: str, tls: ServerTls | None) -> grpc.aio.Server:
    """Start serving `contract` at `address` (`host:port`) under the package's id.

    Without `tls` anybody on the machine could pose as the peer: for tests only.

    Raises:
        OSError: the address can't be bound.
    """
    server = grpc.aio.server(options=_OPTIONS)
    chaincode_shim_pb2_grpc.add_ChaincodeServicer_to_server(_Service(contract, package_id), server)
    try:
        if tls is None:
            server.add_insecure_port(address)
        else:
            pair = [(tls.private_key, tls.certificate)]
            credentials = grpc.ssl_server_credentials(pair, tls.client_roots, require_client_auth=True)
            server.add_secure_port(address, credentials)
    except RuntimeError:
        raise OSError(f"can't listen on {address}: it is in use, or not an address of this machine") from None
    await server.start()
    return server


async def serve(contract: Contract, package_id: str, address: str, tls: ServerTls | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = await start_server(contract, package_id, address, tls)
    await stopped.wait()
    await server.stop(STOP_SECONDS)
