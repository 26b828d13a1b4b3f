"""What can go wrong with the EVM's terms, and what keeps endorsements from convincing a bridge."""

from __future__ import annotations

from consilium_peers.errors import PeersError


class BridgeProofError(PeersError):
    """Endorsements that the bridge wouldn't take: not of one answer, badly signed, or of too few organisations."""


class TermsFileError(PeersError):
    """A file of the EVM's terms that can't be read, or that describes none."""


class UnknownResolutionError(PeersError):
    """A digest that nothing pending has."""
