"""Notes a transaction's commit in its round's figures."""

from __future__ import annotations

from collections.abc import Awaitable

from consilium_client.journal import RoundJournal
from consilium_peers.gateway import SubmitResult


async def recorded(journal: RoundJournal, function: str, submission: Awaitable[SubmitResult]) -> None:
    """Wait for a transaction's commit and note its id and latency in the round's figures."""
    result = await submission
    journal.note(transactions=[{"function": function, "tx_id": result.tx_id, "seconds": result.latency}])
