"""Time on the ledger: milliseconds since 1970 that clients claim, and how people read them.

A block has no time of its own. What a transaction says of its time is its client's claim; the contract's endorsers
refused it when it was further from their own clocks than the study's tolerance.
"""

from __future__ import annotations

from datetime import UTC, datetime

from consilium_peers.audit.errors import AuditError


def shown_moment(milliseconds: int) -> str:
    """Return a moment in UTC, as ISO 8601 with milliseconds."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def read_moment(text: str) -> datetime:
    """Read a moment as ISO 8601; without an offset it is UTC.

    Raises:
        AuditError: it isn't one.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise AuditError(f"{text!r} isn't a moment; write it like 2026-11-27T12:00:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
