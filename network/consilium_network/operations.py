"""Reading a node's metrics: how many blocks it has, how many other peers it sees."""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass

from consilium_network.layout import KeyPair
from consilium_network.nodes import Operations

TIMEOUT_SECONDS = 3.0
_OK = "HTTP/1.0 200 "


@dataclass(frozen=True)
class Metrics:
    """What one node tells of itself. None: it doesn't say (yet)."""

    height: int | None
    peers_known: int | None


async def read_metrics(operations: Operations, monitor: KeyPair, channel: str) -> Metrics | None:
    """Ask a node for its metrics; None when it doesn't answer within three seconds."""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            text = await _get_metrics(operations, monitor)
    except (OSError, TimeoutError):  # ssl.SSLError is an OSError
        return None
    if not text.startswith(_OK):
        return None
    return Metrics(
        height=_value(text, "ledger_blockchain_height", channel),
        peers_known=_value(text, "gossip_membership_total_peers_known", channel),
    )


async def _get_metrics(operations: Operations, monitor: KeyPair) -> str:
    """Return the whole answer. HTTP/1.0, so that it comes in one piece and ends with the connection."""
    host, _, port = operations.address.rpartition(":")
    context = ssl.create_default_context(cafile=operations.tls_root)
    context.load_cert_chain(monitor.certificate, monitor.private_key)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    try:
        writer.write(f"GET /metrics HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        return (await reader.read(-1)).decode(errors="replace")
    finally:
        writer.close()


def _value(text: str, name: str, channel: str) -> int | None:
    found = re.search(rf'^{name}\{{[^}}]*channel="{re.escape(channel)}"[^}}]*\}} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else None
