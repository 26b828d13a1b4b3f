"""What can go wrong with the EVM's terms, and what keeps endorsements from convincing a bridge."""

from __future__ import annotations

from typing import Any

from consilium_peers.errors import PeersError


class BridgeProofError(PeersError):
    """Endorsements that the bridge wouldn't take: not of one answer, badly signed, or of too few organisations."""


class BridgeFileError(PeersError):
    """A file that was to be carried to the bridge, and can't be read or doesn't hold what it says."""


class ChainError(PeersError):
    """A public chain's node that can't be asked, or doesn't answer as one.

    Attributes:
        data: what a contract reverted with, 0x and hexadecimal digits; empty where none did.
    """

    def __init__(self, message: str, data: str = "") -> None:
        super().__init__(message)
        self.data = data


class BridgeRefusedError(PeersError):
    """What the bridge would refuse, or has refused; nothing was sent unless the message says so.

    Attributes:
        name: the error's name in the contract; empty where it was noticed before the contract was asked.
        values: the error's values, in the order of the contract.
    """

    def __init__(self, message: str, name: str = "", values: tuple[Any, ...] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.values = values


class AccountError(PeersError):
    """A key of the public chain that can't be read, or that others could read as well."""


class MissingLibraryError(PeersError):
    """A library that an extra of this package brings isn't installed."""


class TermsFileError(PeersError):
    """A file of the EVM's terms that can't be read, or that describes none."""


class UnknownResolutionError(PeersError):
    """A digest that nothing pending has."""
