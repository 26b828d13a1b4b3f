"""Addresses of new contracts."""

from __future__ import annotations

from consilium_chaincode.evm import rlp
from consilium_chaincode.evm.keccak import keccak256


def created_address(creator: bytes, nonce: int) -> bytes:
    """Return the address of what CREATE or a transaction creates (yellow paper, 7)."""
    return keccak256(rlp.encode([creator, rlp.encode_number(nonce)]))[12:]


def salted_address(creator: bytes, salt: bytes, init_code: bytes) -> bytes:
    """Return the address of what CREATE2 creates with a salt of 32 bytes (EIP-1014)."""
    return keccak256(b"\xff" + creator + salt + keccak256(init_code))[12:]
