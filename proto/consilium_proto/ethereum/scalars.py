"""Ethereum's values as its JSON-RPC writes them, in the one form that records allow: lower case, no leading zeros."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

EVM_CHAINCODE = "evm"
"""The name on the channel of the chaincode that runs the EVM; the bridge on the public chain pins it."""

Quantity = Annotated[str, Meta(pattern=r"^0x(0|[1-9a-f][0-9a-f]{0,63})\Z")]
"""A number of at most 256 bits."""
Amount = Annotated[str, Meta(pattern=r"^0x(0|[1-9a-f][0-9a-f]{0,23})\Z")]
"""A reward in the token's smallest unit: at most 96 bits."""
Address = Annotated[str, Meta(pattern=r"^0x[0-9a-f]{40}\Z")]
Hash = Annotated[str, Meta(pattern=r"^0x[0-9a-f]{64}\Z")]
Data = Annotated[str, Meta(pattern=r"^0x([0-9a-f]{2})*\Z", max_length=2**20)]
BlockNumber = Annotated[int, Meta(ge=0, le=2**53)]


def as_quantity(number: int) -> str:
    """Return a number in the form of `Quantity`."""
    return hex(number)


def as_data(value: bytes) -> str:
    """Return bytes in the form of `Data`, an address in that of `Address`, a hash in that of `Hash`."""
    return "0x" + value.hex()


def from_quantity(text: str) -> int:
    """Return the number that a `Quantity` writes."""
    return int(text, 16)


def from_data(text: str) -> bytes:
    """Return the bytes that a `Data`, an `Address` or a `Hash` writes."""
    return bytes.fromhex(text[2:])
