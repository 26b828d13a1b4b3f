"""What keeps endorsements from convincing a bridge."""

from __future__ import annotations

from consilium_peers.errors import PeersError


class BridgeProofError(PeersError):
    """Endorsements that the bridge wouldn't take: not of one answer, badly signed, or of too few organisations."""
