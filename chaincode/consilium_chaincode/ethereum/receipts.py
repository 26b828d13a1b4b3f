"""Receipts: what the ledger keeps of a transaction of the EVM, and Ethereum's index of its logs."""

from __future__ import annotations

from collections.abc import Sequence

from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.execution import write
from consilium_chaincode.evm.errors import EvmError, Reverted
from consilium_chaincode.evm.journal import Log
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.transactions.forms import Transaction
from consilium_chaincode.evm.transactions.processing import Receipt
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.ethereum.scalars import as_data, as_quantity
from consilium_proto.ethereum.transactions import LogRecord, ReceiptRecord
from consilium_proto.refusals import RefusalCode

REVERTED = "execution reverted"
DATA_LIMIT = 2**19 - 1
"""How many bytes one field of a record holds (`consilium_proto.ethereum.scalars.Data`)."""

_BLOOM_BYTES = 256
_BLOOM_BITS = 3


async def record(
    stub: ChaincodeStub,
    transaction: Transaction,
    sender: bytes,
    receipt: Receipt,
    *,
    transaction_hash: bytes | None = None,
    raw: bytes = b"",
) -> ReceiptRecord:
    """Write what an execution changed, and its receipt under the transaction's hash; return the receipt.

    `transaction_hash` and `raw` are a signed transaction's; others have the Fabric transaction's id for a hash.

    Raises:
        Refused: output or a log is larger than a receipt can hold.
    """
    record_hash = transaction_hash or bytes.fromhex(stub.tx_id)
    made = ReceiptRecord(
        hash=as_data(record_hash),
        tx_id=stub.tx_id,
        type=transaction.type,
        raw=as_data(raw),
        sender=as_data(sender),
        to=None if transaction.to is None else as_data(transaction.to),
        nonce=as_quantity(receipt.nonce),
        data=as_data(transaction.data),
        value=as_quantity(transaction.value),
        gas=as_quantity(transaction.gas),
        gas_price=as_quantity(receipt.gas_price),
        status=receipt.status,
        gas_used=as_quantity(receipt.gas_used),
        contract=None if receipt.contract is None else as_data(receipt.contract),
        output=output_of(receipt),
        error=reason_of(receipt.error),
        logs=tuple(_log(each) for each in receipt.logs),
        bloom=as_data(bloom(receipt.logs)),
    )
    await write(stub, receipt)
    await stub.put_state(state_keys.receipt(record_hash), encode(made))
    return made


def output_of(receipt: Receipt) -> str:
    """Return what the outermost frame returned or reverted with; nothing for a creation that succeeded."""
    created = receipt.contract is not None and receipt.status == 1
    return as_data(b"" if created else _checked("output", receipt.output))


def reason_of(error: EvmError | None) -> str:
    """Return why the outermost frame failed, empty if it didn't."""
    if error is None:
        return ""
    return REVERTED if isinstance(error, Reverted) else f"{type(error).__name__}: {error}"


def bloom(logs: Sequence[Log]) -> bytes:
    """Return the Bloom filter (256 bytes) of the logs' addresses and topics (yellow paper, 4.3.1)."""
    bits = 0
    for log in logs:
        for entry in (log.address, *log.topics):
            digest = keccak256(entry)
            for place in range(0, 2 * _BLOOM_BITS, 2):
                bits |= 1 << (int.from_bytes(digest[place : place + 2], "big") % (8 * _BLOOM_BYTES))
    return bits.to_bytes(_BLOOM_BYTES, "big")


def _log(log: Log) -> LogRecord:
    return LogRecord(
        address=as_data(log.address),
        topics=tuple(as_data(topic) for topic in log.topics),
        data=as_data(_checked("a log", log.data)),
    )


def _checked(what: str, value: bytes) -> bytes:
    if len(value) > DATA_LIMIT:
        raise Refused(
            RefusalCode.MALFORMED,
            f"{what} has {len(value)} bytes and a record holds at most {DATA_LIMIT}; have the contract return less",
        )
    return value
