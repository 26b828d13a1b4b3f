"""What can be wrong with bytes that arrive from somebody else."""

from __future__ import annotations


class WireError(Exception):
    """Bytes or a record that don't follow the wire format. The message says what was found and what is expected."""


class MalformedMessageError(WireError):
    """A record that isn't what its type promises: a field missing, unknown, mistyped or out of range."""


class UnknownParameterSetError(WireError):
    """A parameter set that this release doesn't know."""


class ChunkError(WireError):
    """A ciphertext chunk that is truncated, oversized, of another version, epoch or parameter set, or malformed."""


class TreeMismatchError(WireError):
    """Chunks that don't add up to the root they are said to belong to."""


class AccountFullError(WireError):
    """A round's cost that a data set's privacy account on the ledger has no room for."""
