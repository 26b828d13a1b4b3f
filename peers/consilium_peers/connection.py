"""gRPC connections with mutual TLS to several gateways, tried in order: the organisation's own peer first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc

from consilium_peers.error_details import peer_details
from consilium_peers.errors import ClosedError, CommitStatusError, GatewayError, ProfileError, SubmitError
from consilium_peers.profile import Endpoint, KeyPairFiles

T = TypeVar("T")

MAX_MESSAGE_BYTES = 100 * 1024 * 1024
# How long a gateway that didn't answer is passed over, while another one does: twice as long each time.
REST_SECONDS = 3.0
LONGEST_REST_SECONDS = 60.0

# What a peer says whose chaincode service is being restarted.
CHAINCODE_AWAY = ("could not launch chaincode", "chaincode stream terminated")

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A peer answers pings more often than every 60 s with GOAWAY (peer.keepalive.minInterval).
    ("grpc.keepalive_time_ms", 90_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # A stream of events may be quiet for hours: ping all the same, or a connection that is gone is never noticed.
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]


def open_channel(endpoint: Endpoint, tls: KeyPairFiles, largest: int = MAX_MESSAGE_BYTES) -> grpc.aio.Channel:
    """Open a channel to one server; it connects when it is first used, and takes messages of up to `largest` bytes.

    Raises:
        ProfileError: a file of the pair or of the roots can't be read.
    """
    try:
        roots, certificate, key = (_read(path) for path in (endpoint.tls_roots, tls.certificate, tls.private_key))
    except OSError as error:
        raise ProfileError(f"TLS files for {endpoint.address}: {error}") from None
    credentials = grpc.ssl_channel_credentials(roots, key, certificate)
    options = [*_OPTIONS, ("grpc.max_receive_message_length", largest)]
    return grpc.aio.secure_channel(endpoint.address, credentials, options)


def _read(path: Path) -> bytes:
    return path.read_bytes()


class Connections:
    """Channels to all gateways of a profile. A call goes to the first that answers."""

    def __init__(self, endpoints: Sequence[Endpoint], tls: KeyPairFiles) -> None:
        self._endpoints = tuple(endpoints)
        self._tls = tls
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._resting: dict[str, float] = {}
        self._misses: dict[str, int] = {}
        self._closed = False

    def channel(self, endpoint: Endpoint) -> grpc.aio.Channel:
        """Return the channel to one gateway, opened at the first call.

        Raises:
            ClosedError: after `close`.
        """
        if self._closed:
            raise ClosedError("the gateway is closed; connect again")
        if endpoint.address not in self._channels:
            self._channels[endpoint.address] = open_channel(endpoint, self._tls)
        return self._channels[endpoint.address]

    @property
    def count(self) -> int:
        """How many gateways there are."""
        return len(self._endpoints)

    def in_order(self) -> list[Endpoint]:
        """Return the gateways to try, those that lately didn't answer last."""
        now = asyncio.get_running_loop().time()
        return sorted(self._endpoints, key=lambda endpoint: self._resting.get(endpoint.address, 0.0) > now)

    def rest(self, endpoint: Endpoint) -> None:
        """Pass a gateway over for a while, longer each time until it answers again."""
        address, now = endpoint.address, asyncio.get_running_loop().time()
        if self._resting.get(address, 0.0) > now:
            return  # several calls that fail at once are one miss
        misses = self._misses.get(address, 0)
        self._misses[address] = misses + 1
        self._resting[address] = now + min(REST_SECONDS * 2.0**misses, LONGEST_REST_SECONDS)

    async def call(
        self,
        stage: type[GatewayError],
        tx_id: str,
        invoke: Callable[[grpc.aio.Channel, float], Awaitable[T]],
        timeout: float,
        *,
        shared: bool = True,
    ) -> T:
        """Make one call at the first gateway that answers, within `timeout` seconds in all.

        Another gateway is asked only when one couldn't be reached, or doesn't answer in its share of the time: half of
        what is left, so that a peer that hangs leaves time for the others. An answer, also a refusal, is final here.

        Raises:
            GatewayError: of class `stage`, when none answered or one refused.
            ClosedError: the gateway was closed meanwhile.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        failure: GatewayError | None = None
        endpoints = self.in_order()
        for endpoint in endpoints:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            share = left if endpoint is endpoints[-1] or not shared else left / 2
            try:
                return await self.call_one(endpoint, stage, tx_id, invoke, share)
            except GatewayError as error:
                if not _elsewhere(error):
                    raise
                failure = error
                self.rest(endpoint)
        raise failure or stage(tx_id, "DEADLINE_EXCEEDED", f"no gateway answered within {timeout:g} s")

    async def call_one(
        self,
        endpoint: Endpoint,
        stage: type[GatewayError],
        tx_id: str,
        invoke: Callable[[grpc.aio.Channel, float], Awaitable[T]],
        timeout: float,
    ) -> T:
        """Make one call at one gateway; see `call` for errors."""
        try:
            answer = await invoke(self.channel(endpoint), timeout)
        except grpc.aio.AioRpcError as error:
            raise stage(tx_id, error.code().name, error.details() or "no details", peer_details(error)) from None
        except asyncio.CancelledError:
            self.check_open()
            raise
        self._misses.pop(endpoint.address, None)
        return answer

    def check_open(self) -> None:
        """Tell a closed channel from a cancelled task: gRPC raises CancelledError for both.

        Raises:
            ClosedError: the channels were closed, and nobody has cancelled the current task.
        """
        task = asyncio.current_task()
        if self._closed and task is not None and not task.cancelling():
            raise ClosedError("the gateway was closed in the middle of a call") from None

    async def close(self) -> None:
        """Close all channels."""
        self._closed = True
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()


def _elsewhere(failure: GatewayError) -> bool:
    """Tell whether another gateway may do better.

    One that doesn't answer may hang; the next call passes it over. A gateway that lacks peers to endorse (its view of
    the channel is stale just after a start) answers UNAVAILABLE or FAILED_PRECONDITION, one whose own chaincode service
    is down ABORTED. Asking elsewhere is always safe: a query or an endorsement orders nothing, an envelope that is sent
    twice commits once.
    """
    if isinstance(failure, SubmitError | CommitStatusError):
        return failure.transient
    if failure.of_contract:
        return False
    if failure.status in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "FAILED_PRECONDITION"):
        return True
    return failure.says(*CHAINCODE_AWAY)
