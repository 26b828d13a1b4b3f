"""Reading a node's metrics: how many blocks it has, how many other peers it sees."""

from __future__ import annotations

import asyncio
import http.client
import re
import ssl
from dataclasses import dataclass

from consilium_network.layout import KeyPair
from consilium_network.nodes import Operations

TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class Metrics:
    """What one node tells of itself. None: it doesn't say (yet)."""

    height: int | None
    peers_known: int | None


async def read_metrics(operations: Operations, monitor: KeyPair, channel: str) -> Metrics | None:
    """Ask a node for its metrics; None when it doesn't answer within three seconds."""
    return await asyncio.to_thread(_read, operations, monitor, channel)


def _read(operations: Operations, monitor: KeyPair, channel: str) -> Metrics | None:
    host, _, port = operations.address.rpartition(":")
    try:
        context = ssl.create_default_context(cafile=operations.tls_root)
        context.load_cert_chain(monitor.certificate, monitor.private_key)
        connection = http.client.HTTPSConnection(host, int(port), timeout=TIMEOUT_SECONDS, context=context)
        try:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        finally:
            connection.close()
    except (OSError, http.client.HTTPException):  # ssl.SSLError is an OSError
        return None
    if response.status != http.client.OK:
        return None
    return Metrics(
        height=_value(text, "ledger_blockchain_height", channel),
        peers_known=_value(text, "gossip_membership_total_peers_known", channel),
    )


def _value(text: str, name: str, channel: str) -> int | None:
    found = re.search(rf'^{name}\{{[^}}]*channel="{re.escape(channel)}"[^}}]*\}} (\S+)$', text, re.MULTILINE)
    return int(float(found[1])) if found else None
