"""Who signed: recovery of the address from an ECDSA signature over secp256k1."""

from __future__ import annotations

from typing import NamedTuple

import coincurve

from consilium_chaincode.evm.errors import InvalidSignature
from consilium_chaincode.evm.keccak import keccak256

ORDER = 0xFFFFFFFF_FFFFFFFF_FFFFFFFF_FFFFFFFE_BAAEDCE6_AF48A03B_BFD25E8C_D0364141


class Signature(NamedTuple):
    """A signature: parity of the ephemeral point's y, r, s."""

    y_parity: int
    r: int
    s: int


def recover_address(digest: bytes, signature: Signature) -> bytes:
    """Return the address (20 bytes) of who signed a digest of 32 bytes.

    Raises:
        InvalidSignature: a number is out of range, s is in the upper half (EIP-2), or no key belongs to it.
    """
    if signature.s > ORDER // 2:
        raise InvalidSignature(
            f"s is {signature.s}, above half the group's order: the signature's twin is the valid one"
        )
    return recover_any_address(digest, signature)


def recover_any_address(digest: bytes, signature: Signature) -> bytes:
    """Return the same with s in either half, as the precompiled contract at 0x01 does.

    Raises:
        InvalidSignature: a number is out of range, or no key belongs to it.
    """
    y_parity, r, s = signature
    if y_parity not in (0, 1) or not 0 < r < ORDER or not 0 < s < ORDER:
        raise InvalidSignature(f"y parity {y_parity}, r {r}, s {s}: 0 or 1, and 1 to the group's order − 1, are valid")
    compact = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([y_parity])
    try:
        key = coincurve.PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError:
        raise InvalidSignature(f"no point of the curve belongs to r = {r}") from None
    return keccak256(key.format(compressed=False)[1:])[12:]
