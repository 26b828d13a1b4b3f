"""Transactions as the interpreter takes them: legacy (0), EIP-2930 (1), EIP-1559 (2), EIP-7702 (4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from consilium_chaincode.evm.delegation import Authorization


class TransactionType(IntEnum):
    """The number that a typed transaction begins with (EIP-2718); a legacy one has none."""

    LEGACY = 0
    ACCESS_LIST = 1
    FEE_MARKET = 2
    BLOB = 3
    SET_CODE = 4


@dataclass(frozen=True, slots=True)
class Access:
    """An address and slots of its storage that a transaction announces (EIP-2930)."""

    address: bytes
    slots: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a sender asks for. Who that is, is told apart from it: from the signature, or from a certificate."""

    to: bytes | None
    """The recipient's address (20 bytes), None to create a contract."""
    gas: int
    data: bytes = b""
    """Call data, or init code."""
    value: int = 0
    """In wei."""
    nonce: int | None = None
    """The sender's count of transactions; None, in calls that nobody signed, takes it as it is."""
    max_fee: int = 0
    """The most that it pays for a unit of gas, in wei; the price, before EIP-1559."""
    max_priority_fee: int = 0
    """Of that, the most that goes to the block's beneficiary; the same as `max_fee` before EIP-1559."""
    access_list: tuple[Access, ...] = ()
    authorizations: tuple[Authorization, ...] = ()
    type: TransactionType = TransactionType.LEGACY

    def price(self, base_fee: int) -> int:
        """Return what a unit of gas costs the sender in a block with that base fee, in wei."""
        return min(self.max_fee, base_fee + self.max_priority_fee)
