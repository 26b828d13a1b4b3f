"""Ethereum's hash, which differs from SHA3-256 in its padding alone."""

from __future__ import annotations

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 of `data`."""
    return keccak.new(digest_bits=256, data=data).digest()
