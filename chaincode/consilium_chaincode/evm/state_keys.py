"""What the interpreter asks for and changes: accounts, codes, storage slots, each a key of its own on the ledger."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple, TypeAlias, TypeVar

from consilium_chaincode.evm.errors import CorruptState
from consilium_chaincode.evm.keccak import EMPTY_HASH

_NUMBER_BYTES = 40


class AccountKey(NamedTuple):
    """An account: its value is `Account.encode()`, empty when there is no such account."""

    address: bytes


class CodeKey(NamedTuple):
    """A contract's code by its Keccak-256 hash; contracts with one code share it. Never changes, never goes."""

    code_hash: bytes


class SlotKey(NamedTuple):
    """A storage slot: its value is a number, big-endian without leading zeros, empty for zero."""

    address: bytes
    slot: int


class AnyStorageKey(NamedTuple):
    """Whether an account has storage at all (EIP-7610): a value that isn't empty if so. Only asked, never written.

    It is asked when a contract is created at an address without code and nonce. Such an address has storage only if
    genesis gave it some, so a ledger that begins empty answers with the empty value and looks nowhere.
    """

    address: bytes


class Turn(NamedTuple):
    """No key: a pause, now and then, so that whoever drives an execution can let others have their turn or end it.

    It is answered with the empty value.
    """


StoredKey: TypeAlias = AccountKey | CodeKey | SlotKey
"""What a ledger holds: all that an execution changes."""
StateKey: TypeAlias = StoredKey | AnyStorageKey | Turn
"""What an execution asks for."""
Result = TypeVar("Result")
Reading: TypeAlias = Generator[StateKey, bytes, Result]
"""What may need state: it yields a key, is sent that key's value (empty if absent), and at last returns its result."""


class Account(NamedTuple):
    """An account. `code_hash` is empty where there is no code."""

    nonce: int
    balance: int
    code_hash: bytes

    @property
    def is_empty(self) -> bool:
        """Whether the account is the same as none (EIP-161)."""
        return self == EMPTY_ACCOUNT

    @property
    def external_code_hash(self) -> bytes:
        """What EXTCODEHASH says of it (EIP-1052): 32 bytes, zero for an empty account."""
        if self.is_empty:
            return bytes(32)
        return self.code_hash or EMPTY_HASH

    def encode(self) -> bytes:
        """Return nonce (8 bytes) ‖ balance (32 bytes) ‖ code hash (0 or 32 bytes); nothing for an empty account."""
        if self.is_empty:
            return b""
        return self.nonce.to_bytes(8, "big") + self.balance.to_bytes(32, "big") + self.code_hash

    @classmethod
    def decode(cls, value: bytes) -> Account:
        """Read what `encode` wrote.

        Raises:
            CorruptState: another length.
        """
        if not value:
            return EMPTY_ACCOUNT
        if len(value) not in (_NUMBER_BYTES, _NUMBER_BYTES + 32):
            raise CorruptState(f"an account has {_NUMBER_BYTES} or {_NUMBER_BYTES + 32} bytes, this value {len(value)}")
        return cls(int.from_bytes(value[:8], "big"), int.from_bytes(value[8:40], "big"), value[40:])


EMPTY_ACCOUNT = Account(0, 0, b"")


def encode_slot(word: int) -> bytes:
    """Return a storage slot's value as the ledger holds it."""
    return word.to_bytes((word.bit_length() + 7) // 8, "big")
