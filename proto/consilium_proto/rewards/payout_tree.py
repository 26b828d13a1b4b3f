"""The Merkle tree over an epoch's payouts, as `PayoutTree.sol` computes it.

A leaf is keccak256(keccak256(index ‖ account ‖ amount)), each padded to 32 bytes as the ABI does; hashed twice, so that
no inner node can be presented as a leaf. The index is in it because the bridge marks what was paid by index. Pairs are
sorted before they are hashed, as OpenZeppelin's MerkleProof does; a node without a partner moves up unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from consilium_proto.errors import TreeMismatchError, WireError
from consilium_proto.rewards.keccak import keccak256

ACCOUNT_SIZE = 20
# The contracts keep amounts in 96 bits: 79 thousand million whole tokens of 18 decimals.
AMOUNT_BITS = 96


@dataclass(frozen=True, slots=True)
class Payout:
    """What one account gets from an epoch: its address (20 bytes), and the amount in the token's smallest unit."""

    account: bytes
    amount: int


def payout_leaf(index: int, payout: Payout) -> bytes:
    """Return the leaf (32 bytes) of the payout at `index`.

    Raises:
        WireError: an address that isn't 20 bytes, or an amount that isn't within 1 … 2^96 − 1.
    """
    if len(payout.account) != ACCOUNT_SIZE:
        raise WireError(f"payout {index}: an address has {ACCOUNT_SIZE} bytes, not {len(payout.account)}")
    if not 0 < payout.amount < 1 << AMOUNT_BITS:
        raise WireError(f"payout {index}: {payout.amount} isn't an amount above 0 of {AMOUNT_BITS} bits")
    words = index.to_bytes(32, "big") + payout.account.rjust(32, b"\0") + payout.amount.to_bytes(32, "big")
    return keccak256(keccak256(words))


def payout_root(payouts: Sequence[Payout]) -> bytes:
    """Return the root (32 bytes) over the payouts in order.

    Raises:
        WireError: no payout, or one that is malformed.
    """
    return _levels(payouts)[-1][0]


def payout_proof(payouts: Sequence[Payout], index: int) -> tuple[bytes, ...]:
    """Return the siblings on the way from the payout at `index` to the root, lowest first.

    Raises:
        WireError: there is no such payout, or one is malformed.
    """
    if not 0 <= index < len(payouts):
        raise WireError(f"there is no payout {index} among {len(payouts)}")
    path: list[bytes] = []
    for level in _levels(payouts)[:-1]:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        index >>= 1
    return tuple(path)


def check_payout(root: bytes, index: int, payout: Payout, proof: Sequence[bytes]) -> None:
    """Check that the root (32 bytes) holds this payout at this index.

    Raises:
        TreeMismatchError: it doesn't.
        WireError: the payout is malformed.
    """
    node = payout_leaf(index, payout)
    for sibling in proof:
        node = _join(node, sibling)
    if node != root:
        raise TreeMismatchError(
            f"payout {index} of {payout.amount} to 0x{payout.account.hex()} isn't under root {root.hex()}"
        )


def _levels(payouts: Sequence[Payout]) -> list[list[bytes]]:
    if not payouts:
        raise WireError("an epoch without payouts has no root")
    levels = [[payout_leaf(index, payout) for index, payout in enumerate(payouts)]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = [_join(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)]
        levels.append(pairs + below[len(below) & ~1 :])
    return levels


def _join(one: bytes, other: bytes) -> bytes:
    return keccak256(min(one, other) + max(one, other))
