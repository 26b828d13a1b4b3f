"""A transaction from its check to its last wei: a generator that yields the state keys it needs.

The order is the executable specification's: check, buy gas, set delegations, run, refund, pay fees, remove what ended.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consilium_chaincode.evm.addresses import created_address
from consilium_chaincode.evm.delegation import apply_authorizations, delegate_of
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.errors import AddressCollision, EvmError
from consilium_chaincode.evm.frame import Context, Message, Outcome
from consilium_chaincode.evm.gas import MAX_REFUND_QUOTIENT
from consilium_chaincode.evm.interpreter import run
from consilium_chaincode.evm.journal import Journal, Log
from consilium_chaincode.evm.precompiles import PRECOMPILES
from consilium_chaincode.evm.state_keys import Reading, StoredKey
from consilium_chaincode.evm.transactions.forms import Transaction
from consilium_chaincode.evm.transactions.intrinsic import IntrinsicGas, intrinsic_gas
from consilium_chaincode.evm.transactions.validity import check_form, check_sender


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a transaction did. `status` is 1, or 0 when its outermost frame failed."""

    status: int
    nonce: int
    """The sender's nonce that it used."""
    gas_used: int
    gas_consumed: int
    """What was gone before refunds and without the floor of EIP-7623: with less of a limit, something runs out."""
    gas_price: int
    """What it paid for each unit, in wei."""
    output: bytes
    """What the outermost frame returned; the revert data of one that reverted; a new contract's code."""
    logs: tuple[Log, ...]
    contract: bytes | None
    """The address of the contract that it created or tried to."""
    error: EvmError | None
    """Why the outermost frame failed: a `Reverted` or an `ExceptionalHalt`."""
    changes: Mapping[StoredKey, bytes]
    """The new value of every key that changed, in a fixed order; an empty value removes the key."""
    touched_addresses: frozenset[bytes]
    touched_slots: frozenset[tuple[bytes, int]]
    """What its instructions touched, those of frames that failed too, precompiled contracts apart."""
    created_addresses: frozenset[bytes]
    """Where it created contracts or tried to; these addresses are warm without being touched before."""


def process_transaction(environment: Environment, transaction: Transaction, sender: bytes) -> Reading[Receipt]:
    """Check and execute a transaction.

    Raises:
        InvalidTransaction: it can't be part of a block; nothing was executed.
    """
    gas = intrinsic_gas(transaction)
    check_form(transaction, gas, environment)
    journal = Journal()
    account = yield from journal.account(sender)
    check_sender(transaction, account, (yield from journal.code(sender)))

    price = transaction.price(environment.base_fee)
    balance = account.balance - transaction.gas * price
    journal.set_account(sender, account._replace(nonce=account.nonce + 1, balance=balance))
    contract = created_address(sender, account.nonce) if transaction.to is None else None
    _warm_up(journal, environment, transaction, sender, contract or transaction.to)

    context = Context(environment, journal, sender, price)
    yield from apply_authorizations(journal, environment.chain_id, transaction.authorizations)
    message = yield from _message(journal, transaction, sender, contract, transaction.gas - gas.charged)
    if contract and (yield from journal.is_taken(contract)):
        outcome = Outcome(0, b"", AddressCollision(f"0x{contract.hex()} has code, a nonce or storage"))
    else:
        outcome = yield from run(context, message)
    consumed = transaction.gas - outcome.gas_left
    used = _gas_used(consumed, gas, journal.refund)
    yield from _pay(journal, sender, (transaction.gas - used) * price)
    yield from _pay(journal, environment.coinbase, used * (price - environment.base_fee))
    journal.remove_doomed()
    return Receipt(
        status=0 if outcome.error else 1,
        nonce=account.nonce,
        gas_used=used,
        gas_consumed=consumed,
        gas_price=price,
        output=outcome.output,
        logs=tuple(journal.logs),
        contract=contract,
        error=outcome.error,
        changes=journal.changes(),
        touched_addresses=frozenset(journal.touched_addresses.difference(PRECOMPILES)),
        touched_slots=frozenset(journal.touched_slots),
        created_addresses=frozenset(journal.created),
    )


def _warm_up(
    journal: Journal, environment: Environment, transaction: Transaction, sender: bytes, target: bytes | None
) -> None:
    """Mark as touched what every transaction touches, and what its access list says (EIP-2929, 2930, 3651)."""
    assert target is not None
    journal.warm_addresses.update(PRECOMPILES)
    journal.warm_addresses.update((sender, target, environment.coinbase))
    for access in transaction.access_list:
        journal.warm_addresses.add(access.address)
        journal.warm_slots.update((access.address, slot) for slot in access.slots)


def _message(
    journal: Journal, transaction: Transaction, sender: bytes, contract: bytes | None, gas: int
) -> Reading[Message]:
    """Return the outermost message: a creation, or a call of the recipient's code or of what that delegates to."""
    if contract is not None:
        return Message(sender, contract, gas, transaction.value, b"", transaction.data, None)
    to = transaction.to
    assert to is not None
    code = yield from journal.code(to)
    delegate = delegate_of(code)
    if delegate is None:
        return Message(sender, to, gas, transaction.value, transaction.data, code, to)
    journal.warm_address(delegate)
    code = yield from journal.code(delegate)
    return Message(sender, to, gas, transaction.value, transaction.data, code, delegate, is_delegated=True)


def _gas_used(consumed: int, gas: IntrinsicGas, refund: int) -> int:
    """Return the gas to pay for: after refunds of at most a fifth (EIP-3529), not below the floor (EIP-7623)."""
    return max(consumed - min(refund, consumed // MAX_REFUND_QUOTIENT), gas.floor)


def _pay(journal: Journal, address: bytes, amount: int) -> Reading[None]:
    if amount:
        account = yield from journal.account(address)
        journal.set_account(address, account._replace(balance=account.balance + amount))
