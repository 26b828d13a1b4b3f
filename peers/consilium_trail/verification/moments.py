"""When something happened. Blocks of Byzantine ordering carry no time; transactions carry what their clients say.

The federation's contract refuses to write for a timestamp that is too far from an endorser's clock, so those of its
valid writes are vouched for by a quorum. The newest of them is a moment that certainly has passed, and a certificate
that had expired by then was expired.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from consilium_trail.blocks.transactions import Transaction
from consilium_trail.definitions import FEDERATION
from consilium_trail.membership import Identity

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_000  # the last second of the year 9999
# How far ahead of the true time a client's clock may be.
_CLOCKS_DIFFER = timedelta(minutes=5)


def moment_of(timestamp: int) -> datetime:
    """Return milliseconds since 1970 as a moment; what lies outside four-digit years becomes the nearest one."""
    return EARLIEST + timedelta(milliseconds=min(max(timestamp, 0), _LATEST_MS))


def vouched_moment(transaction: Transaction) -> datetime | None:
    """Return when a transaction was made, if its endorsers vouch for that; None otherwise.

    They do for what writes the federation's state: a query may be sent as a transaction too, and looks at no clock.
    """
    call = transaction.invocation
    if call is None or call.chaincode != FEDERATION:
        return None
    writes = any(each.namespace == FEDERATION and each.writes for each in call.sets)
    return moment_of(transaction.envelope.timestamp) if writes else None


def outside_period(identity: Identity, passed: datetime, vouched: datetime | None = None) -> str:
    """Say why an identity's certificates weren't valid; nothing when they were.

    Args:
        identity: whose.
        passed: a moment that had certainly passed.
        vouched: the moment itself, where endorsers vouch for it.
    """
    if identity.ends < passed:
        return f"a certificate in the chain of {identity.msp_id} had expired on {identity.ends:%Y-%m-%d %H:%M} UTC"
    if vouched is not None and identity.begins > vouched + _CLOCKS_DIFFER:
        return (
            f"a certificate in the chain of {identity.msp_id} was valid only from {identity.begins:%Y-%m-%d %H:%M} UTC"
        )
    return ""
