"""What the ledger itself does in the EVM, in the name of the federation's chaincode, and what it looks up there."""

from __future__ import annotations

from consilium_chaincode.ethereum.addresses import FEDERATION_ADDRESS
from consilium_chaincode.ethereum.environment import SYSTEM_GAS
from consilium_chaincode.ethereum.execution import run_on
from consilium_chaincode.ethereum.ledger_reads import LedgerReads
from consilium_chaincode.ethereum.receipts import reason_of, record
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.transactions.forms import Transaction
from consilium_chaincode.evm.transactions.processing import Receipt
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_chaincode.shim.stub import ChaincodeStub


async def call_as_federation(
    stub: ChaincodeStub,
    contract: bytes | None,
    call_data: bytes,
    environment: Environment,
    reads: LedgerReads | None = None,
) -> Receipt:
    """Call a contract as the federation, or create one (`contract` is None), and write what that changes.

    `reads` is what was read before in this Fabric transaction.

    Raises:
        ChaincodeError: the call failed; the Fabric transaction fails with it.
    """
    transaction = Transaction(to=contract, gas=SYSTEM_GAS, data=call_data)
    receipt = await _run(reads or LedgerReads(stub), environment, transaction)
    await record(stub, transaction, FEDERATION_ADDRESS, receipt)
    return receipt


async def view_as_federation(reads: LedgerReads, contract: bytes, call_data: bytes, environment: Environment) -> bytes:
    """Call a contract as the federation, write nothing, and return its output.

    Raises:
        ChaincodeError: the call failed.
    """
    return (await _run(reads, environment, Transaction(to=contract, gas=SYSTEM_GAS, data=call_data))).output


async def _run(reads: LedgerReads, environment: Environment, transaction: Transaction) -> Receipt:
    known = (FEDERATION_ADDRESS,) if transaction.to is None else (FEDERATION_ADDRESS, transaction.to)
    await reads.prefetch(known, ())
    return _succeeded(await run_on(reads, environment, transaction, FEDERATION_ADDRESS))


def _succeeded(receipt: Receipt) -> Receipt:
    if receipt.status != 1:
        said = f" with 0x{receipt.output.hex()}" if receipt.output else ""
        raise ChaincodeError(f"a call of the ledger's own failed: {reason_of(receipt.error)}{said}")
    return receipt
