"""What may keep an accepted transaction from its block, and how long that may take to pass."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from consilium_peers.commit import CommitStatus
from consilium_peers.errors import GatewayError

_CONFLICTS = ("MVCC_READ_CONFLICT", "PHANTOM_READ_CONFLICT")


class Kind(Enum):
    """CONFLICT: another transaction changed what this one had read. PASSING: try again."""

    CONFLICT = "conflict"
    PASSING = "passing"


class Obstacle(NamedTuple):
    """Why an attempt came to nothing."""

    kind: Kind
    reason: str


def obstacle_in(status: CommitStatus) -> Obstacle | None:
    """Return what a commit status says went wrong, None if nothing."""
    if status.valid:
        return None
    kind = Kind.CONFLICT if status.code in _CONFLICTS else Kind.PASSING
    return Obstacle(kind, f"{status.code} in block {status.block}")


def obstacle_of(error: GatewayError) -> Obstacle:
    """Return what an error says went wrong.

    Endorsers a block apart may answer differently or find another nonce; that passes. Where the outcome isn't known the
    sender's nonce on the ledger tells it, so trying again is safe: a nonce counts once. And a refusal may be one lying
    endorser's: whether a transaction will never do, the own organisation's peer says, which is asked before the next.
    """
    return Obstacle(Kind.PASSING, str(error))
