"""Transactions of the EVM on the ledger, questions to it, and receipts.

Every argument of a transaction carries the number of the block that its sender expects it in: chaincode isn't told
that number, so it is a claim like the timestamp, which each endorser holds against its own ledger's height.
`prefetch` lists what the execution will read: endorsers read all of it at once and one by one what it lacks. It travels
in the arguments because all endorsers must read the same.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from consilium_proto.canonical import Record
from consilium_proto.ethereum.scalars import Address, BlockNumber, Data, Hash, Quantity
from consilium_proto.records.scalars import PROTOCOL_VERSION, Digest, ProtocolVersion

MAX_AUTHORIZATIONS = 1_000
"""More than the gas of any transaction pays for."""
TransactionKind = Annotated[int, Meta(ge=0, le=4)]


class AccessEntry(Record, frozen=True, kw_only=True):
    """An account and slots of its storage, sorted by slot (EIP-2930)."""

    address: Address
    slots: tuple[Hash, ...]


class AuthorizationEntry(Record, frozen=True, kw_only=True):
    """An account's signed permission that it may run another account's code (EIP-7702)."""

    chain_id: Quantity
    address: Address
    nonce: Quantity
    y_parity: Quantity
    r: Quantity
    s: Quantity


class SignedTransaction(Record, frozen=True, kw_only=True):
    """`SendRawTransaction`: a transaction in the bytes that an Ethereum key signed."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    raw: Data
    block_number: BlockNumber
    prefetch: tuple[AccessEntry, ...] = ()


class IdentityTransaction(Record, frozen=True, kw_only=True):
    """`Execute`: a transaction of the Fabric identity that signs the proposal; `to` is none where it creates."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    to: Address | None
    data: Data
    value: Quantity
    gas: Quantity
    access_list: tuple[AccessEntry, ...] = ()
    block_number: BlockNumber
    prefetch: tuple[AccessEntry, ...] = ()


class Question(Record, frozen=True, kw_only=True):
    """`Call`, `EstimateGas`, `CreateAccessList`: what would happen now. Without `gas`, the channel's cap."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    sender: Address
    to: Address | None
    data: Data
    value: Quantity
    gas: Quantity | None = None
    access_list: tuple[AccessEntry, ...] = ()
    authorizations: Annotated[tuple[AuthorizationEntry, ...], Meta(max_length=MAX_AUTHORIZATIONS)] = ()
    block_number: BlockNumber


class Outcome(Record, frozen=True, kw_only=True):
    """The answer to `Call`. `error` says why the outermost frame failed, and is empty where it didn't."""

    status: Annotated[int, Meta(ge=0, le=1)]
    output: Data
    gas_used: Quantity
    error: str


class GasEstimate(Record, frozen=True, kw_only=True):
    """The answer to `EstimateGas`: the least gas limit with which the transaction succeeds, if it can."""

    gas: Quantity | None
    outcome: Outcome


class AccessListAnswer(Record, frozen=True, kw_only=True):
    """The answer to `CreateAccessList`: the list that serves the call, and its outcome with that list."""

    access_list: tuple[AccessEntry, ...]
    outcome: Outcome


class RawTransaction(Record, frozen=True, kw_only=True):
    """`Inspect`: a signed transaction before it is sent."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    raw: Data
    block_number: BlockNumber


class Inspection(Record, frozen=True, kw_only=True):
    """The answer to `Inspect`: whose it is, what it would read, and where its nonce stands.

    `problem` says why it can't be executed now, its nonce apart; it is empty where it can.
    """

    hash: Hash
    sender: Address
    nonce: Quantity
    next_nonce: Quantity
    prefetch: tuple[AccessEntry, ...]
    problem: str


class AccountReference(Record, frozen=True, kw_only=True):
    """`ReadAccount`, `ReadCode`: names an account."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    address: Address


class AccountView(Record, frozen=True, kw_only=True):
    """The answer to `ReadAccount`."""

    nonce: Quantity
    balance: Quantity
    code_hash: Hash | None


class CodeView(Record, frozen=True, kw_only=True):
    """The answer to `ReadCode`; empty where the account has none."""

    code: Data


class SlotReference(Record, frozen=True, kw_only=True):
    """`ReadSlot`: names a slot of an account's storage."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    address: Address
    slot: Hash


class SlotView(Record, frozen=True, kw_only=True):
    """The answer to `ReadSlot`."""

    word: Hash


class ReceiptReference(Record, frozen=True, kw_only=True):
    """`ReadReceipt`: names a transaction of the EVM by its hash."""

    protocol: ProtocolVersion = PROTOCOL_VERSION
    hash: Hash


class LogRecord(Record, frozen=True, kw_only=True):
    """A log, in the order in which the transaction emitted it."""

    address: Address
    topics: Annotated[tuple[Hash, ...], Meta(max_length=4)]
    data: Data


class ReceiptRecord(Record, frozen=True, kw_only=True):
    """What the ledger keeps of a transaction of the EVM, under its hash: the transaction and what it did.

    `hash` is keccak256 of `raw` for a signed transaction; one of a Fabric identity or of the federation's chaincode has
    no `raw`, and its hash is the Fabric transaction's id. `output` is what the outermost frame returned or reverted
    with; of a creation that succeeded it is empty, the code being on the ledger. Block number, block hash and places
    within the block are the channel's: readers of blocks know them, chaincode doesn't.
    """

    protocol: ProtocolVersion = PROTOCOL_VERSION
    hash: Hash
    tx_id: Digest
    type: TransactionKind
    raw: Data
    sender: Address
    to: Address | None
    nonce: Quantity
    data: Data
    value: Quantity
    gas: Quantity
    gas_price: Quantity
    status: Annotated[int, Meta(ge=0, le=1)]
    gas_used: Quantity
    contract: Address | None
    output: Data
    error: str
    logs: tuple[LogRecord, ...]
    bloom: Data


class IdentityAddress(Record, frozen=True, kw_only=True):
    """The answer to `ReadOwnAddress`: the address of whoever asks."""

    address: Address
