"""How many blocks this endorser's ledger has, from its own peer's metrics.

Chaincode isn't told the height, and Fabric's query chaincode (qscc) refuses calls that come from other chaincode. So
the service asks its peer beside the stream. What it learns decides only whether this endorser endorses.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from consilium_chaincode.shim.errors import ChaincodeError

Heights: TypeAlias = Callable[[str], Awaitable[int]]
"""Returns the number of blocks of a channel's ledger at this endorser; raises ChaincodeError when it can't know."""

METRICS_VARIABLE = "CHAINCODE_PEER_METRICS"
_TIMEOUT_SECONDS = 3.0
_FRESH_SECONDS = 1.0
_OK = "HTTP/1.0 200 "
_UNAVAILABLE = 503
_METRIC = re.compile(r'^ledger_blockchain_height\{[^}]*channel="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)


class PeerMetrics:
    """Reads the heights from the peer's operations service, about once a second.

    Address and TLS come from the environment: CHAINCODE_PEER_METRICS (host:port), and the service's own certificate and
    root (CHAINCODE_TLS_CERT, CHAINCODE_TLS_KEY, CHAINCODE_TLS_CLIENT_CA).
    """

    def __init__(self) -> None:
        self._heights: dict[str, int] = {}
        self._read_at = float("-inf")

    async def height(self, channel: str) -> int:
        """Return the number of blocks.

        Raises:
            ChaincodeError: the peer doesn't answer, or the service isn't told where to ask.
        """
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            # Transactions that come while this waits ask too: better than one that fails for all.
            self._heights = await _read_heights()
            self._read_at = time.monotonic()
        if channel not in self._heights:
            raise ChaincodeError(f"the peer's metrics name no height of channel {channel}", _UNAVAILABLE)
        return self._heights[channel]


async def _read_heights() -> dict[str, int]:
    address = os.environ.get(METRICS_VARIABLE)
    if not address:
        said = f"{METRICS_VARIABLE} isn't set, so this service can't hold a block's number against its peer's ledger"
        raise ChaincodeError(f"{said}; set it to the address (host:port) of the peer's operations service", 500)
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            text = await _get_metrics(address)
    except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
        raise ChaincodeError(f"the peer's metrics at {address}: {error or 'no answer'}", _UNAVAILABLE) from None
    if not text.startswith(_OK):
        raise ChaincodeError(f"the peer's metrics at {address}: {text.partition(chr(13))[0][:100]!r}", _UNAVAILABLE)
    return {channel: int(float(height)) for channel, height in _METRIC.findall(text)}


async def _get_metrics(address: str) -> str:
    """Return the whole answer. HTTP/1.0, so that it comes in one piece and ends with the connection."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=os.environ["CHAINCODE_TLS_CLIENT_CA"])
    context.load_cert_chain(os.environ["CHAINCODE_TLS_CERT"], os.environ["CHAINCODE_TLS_KEY"])
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        writer.write(f"GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return (await reader.read(-1)).decode(errors="replace")
    finally:
        writer.close()
