"""What a transaction has read, changed and touched so far, and how to take it back when a frame fails."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, NamedTuple

from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.state_keys import (
    EMPTY_ACCOUNT,
    Account,
    AccountKey,
    AnyStorageKey,
    CodeKey,
    Reading,
    SlotKey,
    StoredKey,
    encode_slot,
)


class Log(NamedTuple):
    """An event of a contract: who emitted it, up to four topics of 32 bytes, data."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


class Checkpoint(NamedTuple):
    """A point to which a journal can go back."""

    undo: int
    logs: int
    refund: int


class Journal:
    """A transaction's view of the state. Every change can be undone; what was read from the ledger stays read."""

    def __init__(self) -> None:
        self._accounts: dict[bytes, Account] = {}
        self._slots: dict[tuple[bytes, int], int] = {}
        self._transient: dict[tuple[bytes, int], int] = {}
        self._codes: dict[bytes, bytes] = {b"": b""}
        self._read_accounts: dict[bytes, Account] = {}
        self._read_slots: dict[tuple[bytes, int], int] = {}
        self._new_codes: set[bytes] = set()
        self._undo: list[tuple[Any, Any, Any]] = []
        self.warm_addresses: set[bytes] = set()
        self.warm_slots: set[tuple[bytes, int]] = set()
        # What was asked for, whether it was warm already and whether the frame that asked was undone or not.
        self.touched_addresses: set[bytes] = set()
        self.touched_slots: set[tuple[bytes, int]] = set()
        # Not undone, as in the specification: an address whose creation failed has no code that could ask.
        self.created: set[bytes] = set()
        self.doomed: dict[bytes, bool] = {}
        self.logs: list[Log] = []
        self.refund = 0

    # Checkpoints

    def checkpoint(self) -> Checkpoint:
        """Return the present point."""
        return Checkpoint(len(self._undo), len(self.logs), self.refund)

    def rollback(self, to: Checkpoint) -> None:
        """Undo everything since a checkpoint: state, transient storage, warmth (EIP-2929), logs, refunds."""
        while len(self._undo) > to.undo:
            place, key, before = self._undo.pop()
            if isinstance(place, set):
                place.discard(key)
            elif before is None:
                place.pop(key, None)
            else:
                place[key] = before
        del self.logs[to.logs :]
        self.refund = to.refund

    # Accounts

    def account(self, address: bytes) -> Reading[Account]:
        """Return an account, an empty one if there is none."""
        known = self._accounts.get(address)
        if known is None:
            known = self._accounts[address] = self._read_accounts[address] = Account.decode((yield AccountKey(address)))
        return known

    def set_account(self, address: bytes, account: Account) -> None:
        """Replace an account that was read before."""
        self._set(self._accounts, address, account)

    def move(self, sender: bytes, recipient: bytes, amount: int) -> Reading[None]:
        """Move an amount that the sender has."""
        if amount == 0 or sender == recipient:
            return
        giving = yield from self.account(sender)
        self.set_account(sender, giving._replace(balance=giving.balance - amount))
        taking = yield from self.account(recipient)
        self.set_account(recipient, taking._replace(balance=taking.balance + amount))

    def increment_nonce(self, address: bytes) -> Reading[None]:
        """Count one more transaction or creation of an account."""
        account = yield from self.account(address)
        self.set_account(address, account._replace(nonce=account.nonce + 1))

    def is_taken(self, address: bytes) -> Reading[bool]:
        """Return whether no contract can be created at an address (EIP-684, EIP-7610)."""
        account = yield from self.account(address)
        if account.nonce or account.code_hash:
            return True
        return bool((yield AnyStorageKey(address)))

    # Code

    def code(self, address: bytes) -> Reading[bytes]:
        """Return an account's code."""
        account = yield from self.account(address)
        return (yield from self._code_of_hash(account.code_hash))

    def set_code(self, address: bytes, code: bytes) -> Reading[None]:
        """Give an account code; no code takes it away.

        Asks whether the ledger has the code already: writing it again would conflict with everyone who runs it.
        """
        code_hash = keccak256(code) if code else b""
        if code_hash not in self._codes:
            on_ledger = yield CodeKey(code_hash)
            self._codes[code_hash] = code
            if not on_ledger:
                self._new_codes.add(code_hash)
        account = yield from self.account(address)
        self.set_account(address, account._replace(code_hash=code_hash))

    # Storage

    def slot(self, address: bytes, slot: int) -> Reading[int]:
        """Return the present word in a storage slot."""
        key = address, slot
        known = self._slots.get(key)
        if known is None:
            known = 0
            # What an address held before a contract is created there is ignored: nothing, but for a genesis.
            if address not in self.created:
                known = int.from_bytes((yield SlotKey(address, slot)), "big")
            self._slots[key] = self._read_slots[key] = known
        return known

    def original_slot(self, address: bytes, slot: int) -> int:
        """Return the word in a slot, read before, as it was before the transaction (EIP-2200)."""
        return 0 if address in self.created else self._read_slots[address, slot]

    def set_slot(self, address: bytes, slot: int, word: int) -> None:
        """Replace the word in a slot that was read before."""
        self._set(self._slots, (address, slot), word)

    def transient(self, address: bytes, slot: int) -> int:
        """Return the word in a transient slot (EIP-1153)."""
        return self._transient.get((address, slot), 0)

    def set_transient(self, address: bytes, slot: int, word: int) -> None:
        """Replace the word in a transient slot."""
        self._set(self._transient, (address, slot), word)

    # Access (EIP-2929) and the end of contracts (EIP-6780)

    def warm_address(self, address: bytes) -> bool:
        """Return whether an address was touched before in this transaction; from now on it was."""
        self.touched_addresses.add(address)
        return self._add(self.warm_addresses, address)

    def warm_slot(self, address: bytes, slot: int) -> bool:
        """Return whether a slot was touched before in this transaction; from now on it was."""
        self.touched_slots.add((address, slot))
        return self._add(self.warm_slots, (address, slot))

    def doom(self, address: bytes) -> None:
        """Mark an account, created in this transaction, for removal at its end."""
        if address not in self.doomed:
            self._set(self.doomed, address, True)

    def remove_doomed(self) -> None:
        """Remove the marked accounts and their storage."""
        for address in self.doomed:
            self._accounts[address] = EMPTY_ACCOUNT
        for key in self._slots:
            if key[0] in self.doomed:
                self._slots[key] = 0

    # What is left at the end

    def changes(self) -> Mapping[StoredKey, bytes]:
        """Return each key whose value differs from what was read, with its new value; empty values are removals.

        Ordered by kind, address and slot, so that all endorsers write the same in the same order.
        """
        found: dict[StoredKey, bytes] = {}
        codes: set[bytes] = set()
        for address in sorted(self._accounts):
            account = self._accounts[address]
            if account != self._read_accounts[address]:
                found[AccountKey(address)] = account.encode()
                if account.code_hash in self._new_codes:
                    codes.add(account.code_hash)
        for code_hash in sorted(codes):
            found[CodeKey(code_hash)] = self._codes[code_hash]
        for key in sorted(self._slots):
            if self._slots[key] != self._read_slots[key]:
                found[SlotKey(*key)] = encode_slot(self._slots[key])
        return found

    def _code_of_hash(self, code_hash: bytes) -> Reading[bytes]:
        known = self._codes.get(code_hash)
        if known is None:
            known = self._codes[code_hash] = yield CodeKey(code_hash)
        return known

    def _set(self, place: MutableMapping[Any, Any], key: Any, value: Any) -> None:
        self._undo.append((place, key, place.get(key)))
        place[key] = value

    def _add(self, place: set[Any], key: Any) -> bool:
        if key in place:
            return True
        place.add(key)
        self._undo.append((place, key, None))
        return False
