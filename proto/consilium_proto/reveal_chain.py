"""Secret hash chains: what makes a challenge unpredictable until the sum that it is about is published.

A hospital joins with the end of a chain of hashes that starts with a random secret, and reveals for publication p the
value p steps before the end. All values revealed for earlier publications follow from it, so they say nothing about
it. One honest hospital's value, secret until the sum was published, makes the whole challenge unpredictable; chaincode
can't read block hashes, and whoever orders blocks could grind those.
"""

from __future__ import annotations

import hashlib

from consilium_proto.chunk_tree import encode_fields
from consilium_proto.records import MAX_PUBLICATIONS

SECRET_SIZE = 32


def chain_value(study: str, round_number: int, hospital: str, secret: bytes, publication: int) -> str:
    """Return the value (hex) to reveal for a publication, from 1; publication 0 gives the chain's end.

    Args:
        secret: the chain's start, 32 random bytes.
    """
    return _hashed(study, round_number, hospital, secret, MAX_PUBLICATIONS - publication).hex()


def reveals(study: str, round_number: int, hospital: str, chain_end: str, publication: int, value: str) -> bool:
    """Tell whether a value (hex) lies `publication` steps before the end (hex) of the hospital's chain."""
    return _hashed(study, round_number, hospital, bytes.fromhex(value), publication).hex() == chain_end


def _hashed(study: str, round_number: int, hospital: str, value: bytes, times: int) -> bytes:
    for _ in range(times):
        value = hashlib.sha256(encode_fields("consilium/reveal-chain/1", study, round_number, hospital, value)).digest()
    return value
