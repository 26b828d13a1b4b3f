"""X25519 public keys that the ledger accepts (RFC 7748).

A low-order point gives every partner the same, publicly known shared secret, so the masks made with it hide nothing.
A point has one canonical text; other encodings of it (u >= p, or the ignored top bit set) are refused too, so that
comparing texts compares points.
"""

from __future__ import annotations

from consilium_chaincode.federation.errors import Refused
from consilium_proto.refusals import RefusalCode

FIELD_PRIME = 2**255 - 19

LOW_ORDER_U = frozenset(
    {
        0,  # order 4 on the curve, order 2 on its twist
        1,  # order 4
        FIELD_PRIME - 1,  # order 4 on the twist
        0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,  # order 8
        0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,  # order 8
    }
)
"""The u-coordinates of all points whose order divides 8, on Curve25519 and on its twist."""


def check_public_key(text: str, what: str) -> None:
    """Refuse an X25519 public key (64 hex digits, little-endian) that is of low order or not canonical."""
    u = int.from_bytes(bytes.fromhex(text), "little")
    if u % 2**255 % FIELD_PRIME in LOW_ORDER_U:
        raise Refused(RefusalCode.MALFORMED, f"{what} {text} is a point of low order; generate a new key pair")
    if u >= FIELD_PRIME:
        raise Refused(RefusalCode.MALFORMED, f"{what} {text} isn't a canonical X25519 key; generate a new key pair")
