"""Keccak-256, as Ethereum uses it: SHA-3's function with the padding from before its standardisation."""

from __future__ import annotations

import sha3


def keccak256(data: bytes | bytearray | memoryview) -> bytes:
    """Return the hash (32 bytes)."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


EMPTY_HASH = keccak256(b"")
