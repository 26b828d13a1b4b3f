"""What the ledger tells a transaction about the block that it is in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from consilium_chaincode.evm.gas import TRANSACTION_GAS_LIMIT_CAP

BLOCK_HASH_WINDOW = 256


def unknown_block_hash(number: int) -> bytes:  # noqa: ARG001
    """Return zero (32 bytes), as every chain does for a block that it no longer knows.

    This is BLOCKHASH on the ledger: chaincode never sees a block's hash, and one that is computed from something
    else could be foreseen by whoever takes it for chance.
    """
    return bytes(32)


@dataclass(frozen=True, slots=True)
class Environment:
    """The block, as the instructions of the 0x40s see it, and the channel's limits. Addresses and hashes are bytes."""

    chain_id: int
    number: int
    timestamp: int
    """Seconds since 1970."""
    gas_limit: int = 30_000_000
    base_fee: int = 0
    """Wei per unit of gas (EIP-1559)."""
    coinbase: bytes = bytes(20)
    prev_randao: bytes = bytes(32)
    blob_base_fee: int = 1
    """Wei per unit of blob gas (EIP-7516); 1 is the least that EIP-4844 knows."""
    transaction_gas_cap: int = TRANSACTION_GAS_LIMIT_CAP
    """The most gas that a transaction may ask for: EIP-7825's, or less where the channel says so."""
    block_hash: Callable[[int], bytes] = unknown_block_hash
    """Returns the hash (32 bytes) of one of the 256 blocks before this one; it is asked for no other."""
