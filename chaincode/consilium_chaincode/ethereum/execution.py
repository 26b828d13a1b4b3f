"""Running the EVM on the ledger: the interpreter says which key it needs, and gets it from the peer.

One execution for each Fabric transaction: chaincode doesn't see its own writes, so a second one would run on the state
before the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.ledger_reads import LedgerReads
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.errors import (
    InsufficientFunds,
    InvalidSignature,
    InvalidTransaction,
    SenderIsContract,
    WrongNonce,
)
from consilium_chaincode.evm.state_keys import Reading, Result
from consilium_chaincode.evm.transactions.forms import Access, Transaction
from consilium_chaincode.evm.transactions.processing import Receipt, process_transaction
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.refusals import RefusalCode

_CODES = {
    InvalidSignature: RefusalCode.FORBIDDEN,
    SenderIsContract: RefusalCode.FORBIDDEN,
    InsufficientFunds: RefusalCode.FORBIDDEN,
    WrongNonce: RefusalCode.CONFLICTING,
}
_NO_MONEY = "; there is no money on this ledger, so send it with a value of 0"


async def run(
    stub: ChaincodeStub,
    environment: Environment,
    transaction: Transaction,
    sender: bytes,
    prefetch: Sequence[Access] = (),
) -> Receipt:
    """Execute a transaction on the ledger's state and return what it did; nothing is written yet.

    Args:
        stub: the Fabric transaction.
        environment: the block.
        transaction: what to do.
        sender: whose it is (20 bytes).
        prefetch: what it will read, to be asked of the peer at once. It may list too much or too little.

    Raises:
        Refused: the transaction isn't valid, so nothing was executed; or `prefetch` is too long.
    """
    reads = LedgerReads(stub)
    known = (sender,) if transaction.to is None else (sender, transaction.to)
    await reads.prefetch(known, prefetch)
    return await run_on(reads, environment, transaction, sender)


async def run_on(reads: LedgerReads, environment: Environment, transaction: Transaction, sender: bytes) -> Receipt:
    """Do the same with what was read before, so that several attempts on one state read it once."""
    try:
        return await _drive(reads, process_transaction(environment, _unpaid(transaction), sender))
    except InvalidTransaction as error:
        raise refused(error) from None


def _unpaid(transaction: Transaction) -> Transaction:
    """Return the transaction as it is executed: nobody has money, so what wallets offer for gas by habit is nothing.

    An offer that contradicts itself stays, and is refused as everywhere (EIP-1559).
    """
    if transaction.max_fee < transaction.max_priority_fee:
        return transaction
    return replace(transaction, max_fee=0, max_priority_fee=0)


def refused(error: InvalidTransaction) -> Refused:
    """Return the refusal of a transaction that can't be executed."""
    advice = _NO_MONEY if isinstance(error, InsufficientFunds) else ""
    return Refused(_CODES.get(type(error), RefusalCode.MALFORMED), f"{type(error).__name__}: {error}{advice}")


async def write(stub: ChaincodeStub, receipt: Receipt) -> None:
    """Write what an execution changed, in its fixed order."""
    for key, value in receipt.changes.items():
        name = state_keys.state(key)
        if value:
            await stub.put_state(name, value)
        else:
            await stub.delete_state(name)


async def _drive(reads: LedgerReads, steps: Reading[Result]) -> Result:
    """Answer what the interpreter asks for, to its end."""
    try:
        key = next(steps)
        while True:
            key = steps.send(await reads.value(key))
    except StopIteration as stopped:
        result: Result = stopped.value
        return result
