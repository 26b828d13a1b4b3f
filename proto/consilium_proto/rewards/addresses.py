"""Ethereum addresses as people write them: hex whose upper case is a checksum (EIP-55)."""

from __future__ import annotations

import re

from consilium_proto.errors import WireError
from consilium_proto.rewards.keccak import keccak256

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_UPPER_FROM = "8"


def with_checksum(address: str) -> str:
    """Return an address (0x and 40 lower-case digits) with its checksum.

    A letter is upper case where the same digit of the hash of the address is 8 or more (EIP-55).
    """
    digits = address[2:]
    hashed = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if mark >= _UPPER_FROM else digit for digit, mark in zip(digits, hashed, strict=False)
    )


def read_address(text: str) -> str:
    """Return an address in lower case, once its checksum is right; one of a single case has none.

    Raises:
        WireError: not an address, or mistyped.
    """
    if not _ADDRESS.fullmatch(text):
        raise WireError(f"{text!r} isn't an address: 0x and 40 hexadecimal digits")
    address = text.lower()
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and text != with_checksum(address):
        raise WireError(f"{text} is mistyped: its upper and lower case aren't those of a correct address (EIP-55)")
    return address
