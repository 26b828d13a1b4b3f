"""What can be wrong with a question about the ledger, or with the blocks that would answer it."""

from __future__ import annotations

from consilium_peers.errors import PeersError


class AuditError(PeersError):
    """The base of this package's expected errors."""


class NotOnLedgerError(AuditError):
    """What is asked about isn't on the ledger: no such study, round, model, key or transaction."""


class BrokenLedgerError(AuditError):
    """Blocks that don't follow from each other, or a valid transaction that can't be read."""
