"""Streams that may be quiet for hours: whether the peer is frozen, or nothing happens, only asking tells."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from consilium_peers.connection import Connections
from consilium_peers.error_details import peer_details
from consilium_peers.errors import GatewayError
from consilium_peers.profile import Endpoint


async def next_message(
    connections: Connections,
    endpoint: Endpoint,
    stream: Any,
    stage: type[GatewayError],
    quiet_seconds: float,
    when_quiet: Callable[[], Awaitable[object]],
) -> Any:
    """Return a stream's next message; None when it is quiet and a gateway before this one is back.

    Args:
        connections: all gateways, in the order of preference.
        endpoint: the one that serves the stream.
        stream: its call.
        stage: the class of errors.
        quiet_seconds: how long it may be silent before `when_quiet`.
        when_quiet: asks whether the peer lives, and raises if not.

    Raises:
        GatewayError: of class `stage`; the stream broke or ended.
    """
    reading = asyncio.ensure_future(stream.read())
    try:
        while not (await asyncio.wait({reading}, timeout=quiet_seconds))[0]:
            await when_quiet()
            if connections.in_order()[0] != endpoint:
                return None
        message = await reading
    except grpc.aio.AioRpcError as error:
        raise broken(stage, error) from None
    except asyncio.CancelledError:
        connections.check_open()
        raise
    finally:
        reading.cancel()
    if message is grpc.aio.EOF:
        raise stage("", "UNAVAILABLE", f"{endpoint.address} ended the stream")
    return message


def broken(stage: type[GatewayError], error: grpc.aio.AioRpcError) -> GatewayError:
    """Return the error, of class `stage`, of a stream that broke."""
    return stage("", error.code().name, error.details() or "no details", peer_details(error))
