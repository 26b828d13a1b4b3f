"""Ethereum's values as JSON-RPC writes them, read from what somebody sent: a wrong one is named in the error."""

from __future__ import annotations

import re

from consilium_peers.ethereum.rpc.errors import InvalidParametersError

MOST_DATA_BYTES = 2**19 - 1
"""What one field of a record on the ledger holds (`consilium_proto.ethereum.scalars.Data`)."""

_QUANTITY = re.compile(r"0x(0|[1-9a-fA-F][0-9a-fA-F]*)")
_DATA = re.compile(r"0x([0-9a-fA-F]{2})*")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_SHOWN = 60


def quantity(value: object, what: str, bits: int = 256) -> int:
    """Read a number of at most `bits` bits."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise _wrong(value, what, "a number in hexadecimal without leading zeros, such as 0x1f")
    if len(value) > 2 + bits // 4 or int(value, 16) >> bits:
        raise _wrong(value, what, f"a number of at most {bits} bits")
    return int(value, 16)


def data(value: object, what: str, most: int = MOST_DATA_BYTES) -> str:
    """Read bytes, as lower-case hexadecimal with 0x."""
    if not isinstance(value, str) or not _DATA.fullmatch(value):
        raise _wrong(value, what, "bytes in hexadecimal, such as 0x00ff")
    if len(value) > 2 + 2 * most:
        raise InvalidParametersError(f"{what} has {len(value) // 2 - 1} bytes; at most {most} are taken")
    return value.lower()


def address(value: object, what: str) -> str:
    """Read an address, as lower-case hexadecimal with 0x."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise _wrong(value, what, "an address: 0x and 40 hexadecimal digits")
    return value.lower()


def hash_of(value: object, what: str) -> str:
    """Read a hash of 32 bytes, as lower-case hexadecimal with 0x."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise _wrong(value, what, "32 bytes: 0x and 64 hexadecimal digits")
    return value.lower()


def slot(value: object, what: str) -> str:
    """Read the place of a storage slot, in the short form of numbers or the long one of hashes; return the long one."""
    if isinstance(value, str) and _HASH.fullmatch(value):
        return value.lower()
    return f"0x{quantity(value, what):064x}"


def boolean(value: object, what: str) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise _wrong(value, what, "true or false")
    return value


def mapping(value: object, what: str) -> dict[str, object]:
    """Read an object."""
    if not isinstance(value, dict):
        raise _wrong(value, what, "an object")
    return value


def sequence(value: object, what: str) -> list[object]:
    """Read a list."""
    if not isinstance(value, list):
        raise _wrong(value, what, "a list")
    return value


def _wrong(value: object, what: str, expected: str) -> InvalidParametersError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
    return InvalidParametersError(f"{what} is {shown}; expected {expected}")
