"""Blocks, transactions, receipts and logs as Ethereum's JSON-RPC writes them (execution-apis).

Fields that this ledger doesn't have hold a stated value (docs/json-rpc.md): zeros, or what stands in their place.
"""

from __future__ import annotations

from typing import Any

from consilium_peers.ethereum.rpc.raw_transactions import transaction_fields
from consilium_peers.ethereum.rpc.refusals import REVERTED
from consilium_peers.ethereum.rpc.stored import StoredBlock, StoredLog, StoredTransaction
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data
from consilium_proto.ethereum.transactions import LogRecord, ReceiptRecord

_ZERO_HASH = as_data(bytes(32))
_ZERO_ADDRESS = as_data(bytes(20))
# keccak256(rlp([])): the hash of a list of uncles that has none.
_NO_UNCLES = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"


def header_object(block: StoredBlock) -> dict[str, Any]:
    """Return a block's header, as `eth_subscribe` tells it."""
    return {
        "number": as_quantity(block.number),
        "hash": as_data(block.hash),
        "parentHash": as_data(block.parent_hash),
        "timestamp": as_quantity(block.timestamp),
        "gasLimit": as_quantity(block.gas_limit),
        "gasUsed": as_quantity(block.gas_used),
        "baseFeePerGas": "0x0",
        "logsBloom": as_data(block.bloom),
        "transactionsRoot": as_data(block.data_hash),
        "stateRoot": _ZERO_HASH,
        "receiptsRoot": _ZERO_HASH,
        "sha3Uncles": _NO_UNCLES,
        "miner": _ZERO_ADDRESS,
        "difficulty": "0x0",
        "extraData": "0x",
        "mixHash": _ZERO_HASH,
        "nonce": "0x0000000000000000",
    }


def block_object(block: StoredBlock, transactions: list[StoredTransaction], *, whole: bool) -> dict[str, Any]:
    """Return a block with its transactions, whole or by their hashes."""
    return {
        **header_object(block),
        "size": as_quantity(block.size),
        "totalDifficulty": "0x0",
        "uncles": [],
        "transactions": [transaction_object(each) if whole else each.record.hash for each in transactions],
    }


def transaction_object(stored: StoredTransaction) -> dict[str, Any]:
    """Return a committed transaction.

    One of a Fabric identity or of the ledger itself has no Ethereum signature: v, r and s are zero. The prices of one
    that was signed are what it offered; its receipt says that nothing was paid.
    """
    record = stored.record
    return {
        "gasPrice": record.gas_price,
        **(transaction_fields(from_data(record.raw)) if record.raw != "0x" else _unsigned_fields(record)),
        "hash": record.hash,
        "from": record.sender,
        "blockHash": as_data(stored.block_hash),
        "blockNumber": as_quantity(stored.block),
        "transactionIndex": as_quantity(stored.position),
    }


def _unsigned_fields(record: ReceiptRecord) -> dict[str, Any]:
    written: dict[str, Any] = {
        "type": as_quantity(record.type),
        "nonce": record.nonce,
        "to": record.to,
        "input": record.data,
        "value": record.value,
        "gas": record.gas,
        "v": "0x0",
        "r": "0x0",
        "s": "0x0",
    }
    return {**written, "accessList": [], "yParity": "0x0"} if record.type else written


def receipt_object(stored: StoredTransaction) -> dict[str, Any]:
    """Return a transaction's receipt, with the Fabric transaction that it is, and what it reverted with."""
    record = stored.record
    written: dict[str, Any] = {
        "transactionHash": record.hash,
        "transactionIndex": as_quantity(stored.position),
        "blockHash": as_data(stored.block_hash),
        "blockNumber": as_quantity(stored.block),
        "type": as_quantity(record.type),
        "from": record.sender,
        "to": record.to,
        "contractAddress": record.contract,
        "status": as_quantity(record.status),
        "gasUsed": record.gas_used,
        "cumulativeGasUsed": as_quantity(stored.cumulative_gas),
        "effectiveGasPrice": record.gas_price,
        "logsBloom": record.bloom,
        "logs": [_log_of(stored, number, each) for number, each in enumerate(record.logs, stored.first_log)],
        "fabricTransactionId": record.tx_id,
    }
    return {**written, "revertReason": record.output} if record.error == REVERTED else written


def log_object(stored: StoredLog) -> dict[str, Any]:
    """Return a log of a committed transaction."""
    return _log(stored.log, stored.index, stored.transaction, stored.position, stored.block, stored.block_hash)


def _log_of(stored: StoredTransaction, number: int, log: LogRecord) -> dict[str, Any]:
    return _log(log, number, stored.record.hash, stored.position, stored.block, stored.block_hash)


def _log(log: LogRecord, number: int, transaction: str, position: int, block: int, block_hash: bytes) -> dict[str, Any]:
    return {
        "address": log.address,
        "topics": list(log.topics),
        "data": log.data,
        "logIndex": as_quantity(number),
        "transactionHash": transaction,
        "transactionIndex": as_quantity(position),
        "blockNumber": as_quantity(block),
        "blockHash": as_data(block_hash),
        "removed": False,
    }


def pending_object(transaction_hash: str, sender: str, raw: str) -> dict[str, Any]:
    """Return a transaction that waits in the pool."""
    return {
        **transaction_fields(from_data(raw)),
        "hash": transaction_hash,
        "from": sender,
        "blockHash": None,
        "blockNumber": None,
        "transactionIndex": None,
    }
