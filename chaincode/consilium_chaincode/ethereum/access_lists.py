"""The access list that serves a transaction (EIP-2930)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from consilium_chaincode.ethereum.execution import run_on
from consilium_chaincode.ethereum.ledger_reads import LedgerReads
from consilium_chaincode.evm.delegation import delegate_of
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.state_keys import Account, AccountKey, CodeKey
from consilium_chaincode.evm.transactions.forms import Access, Transaction, TransactionType
from consilium_chaincode.evm.transactions.processing import Receipt

_EXACT_ATTEMPTS = 4


async def serving_list(
    reads: LedgerReads, environment: Environment, transaction: Transaction, sender: bytes
) -> tuple[tuple[Access, ...], Receipt]:
    """Return the list of what a transaction touches when it has that very list, and what it does with it.

    A list changes what things cost, and so it may change what a program does; it is made again until it stays the same.
    A program that always does something else than its list says gets a list that only grows: it holds all that the
    program touches, and some that it doesn't.

    Raises:
        Refused: the transaction isn't valid.
    """
    free = await _warm_anyway(reads, environment, transaction, sender)
    listed = transaction.access_list
    attempts = 0
    while True:
        attempt = replace(transaction, access_list=listed, type=TransactionType.ACCESS_LIST)
        receipt = await run_on(reads, environment, attempt, sender)
        touched = _touched(receipt, free)
        attempts += 1
        if attempts > _EXACT_ATTEMPTS:
            touched |= _flat(listed)
        found = access_list(touched)
        if found == listed:
            return found, receipt
        listed = found


def access_list(touched: Iterable[tuple[bytes, int | None]]) -> tuple[Access, ...]:
    """Return addresses with their slots (None: the address itself) as a list, sorted."""
    entries: dict[bytes, set[int]] = {}
    for address, slot in touched:
        entries.setdefault(address, set()).update(() if slot is None else (slot,))
    return tuple(Access(address, tuple(sorted(entries[address]))) for address in sorted(entries))


def _touched(receipt: Receipt, free: set[bytes]) -> set[tuple[bytes, int | None]]:
    """Return what belongs on the list: of what is warm anyway, only slots."""
    addresses = receipt.touched_addresses - receipt.created_addresses - free
    return {(address, None) for address in addresses} | set(receipt.touched_slots)


def _flat(entries: Iterable[Access]) -> set[tuple[bytes, int | None]]:
    return {(entry.address, slot) for entry in entries for slot in (None, *entry.slots)}


async def _warm_anyway(
    reads: LedgerReads, environment: Environment, transaction: Transaction, sender: bytes
) -> set[bytes]:
    """Return what no list makes cheaper: sender, recipient, what that delegates to, the block's beneficiary."""
    free = {sender, environment.coinbase}
    if transaction.to is not None:
        free.add(transaction.to)
        account = Account.decode(await reads.value(AccountKey(transaction.to)))
        code = await reads.value(CodeKey(account.code_hash)) if account.code_hash else b""
        free.update(filter(None, (delegate_of(code),)))
    return free
