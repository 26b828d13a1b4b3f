"""What the index knows of blocks, transactions and logs, as it answers."""

from __future__ import annotations

from dataclasses import dataclass

from consilium_proto.ethereum.transactions import LogRecord, ReceiptRecord


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block: numbers, hashes (32 bytes), seconds since 1970, gas, bytes; `bloom` of all its logs (256 bytes)."""

    number: int
    hash: bytes
    parent_hash: bytes
    data_hash: bytes
    size: int
    timestamp: int
    gas_limit: int
    gas_used: int
    bloom: bytes
    transactions: int


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A transaction in its block: the how manieth it is, how many logs came before its own, gas up to and with it."""

    record: ReceiptRecord
    block: int
    block_hash: bytes
    position: int
    first_log: int
    cumulative_gas: int


@dataclass(frozen=True, slots=True)
class StoredLog:
    """A log in its block."""

    log: LogRecord
    index: int
    block: int
    block_hash: bytes
    timestamp: int
    transaction: str
    position: int
