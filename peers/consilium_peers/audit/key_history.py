"""Every value that a key of the ledger ever had, and the transaction that gave it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consilium_peers.audit.errors import NotOnLedgerError
from consilium_peers.audit.ledger_keys import shown_key
from consilium_peers.audit.moments import shown_moment
from consilium_trail.blocks.block import Block
from consilium_trail.blocks.transactions import Transaction, decode_transaction
from consilium_trail.errors import MalformedTransactionError
from consilium_trail.validation_codes import VALID, code_name


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One value of a key; text where it is UTF-8, hex otherwise, "" when it was deleted."""

    block: int
    position: int
    tx_id: str
    proposed: str
    author: str
    function: str
    deleted: bool
    value: str


def key_changes(block: Block, chaincode: str, key: str) -> Iterator[KeyChange]:
    """Yield what a block's valid transactions wrote under a key, which is given as people read it."""
    for position, envelope in enumerate(block.envelopes):
        if code_name(block.flags[position]) != VALID:
            continue
        try:
            transaction = decode_transaction(envelope)
        except MalformedTransactionError:
            continue  # peers hold what they can't decode invalid; nobody's word makes it write
        yield from _changes(block.number, position, transaction, chaincode, key)


def require_changes(found: list[KeyChange], key: str, height: int) -> None:
    """Refuse a key that no block ever wrote.

    Raises:
        NotOnLedgerError: there is no change.
    """
    if not found:
        raise NotOnLedgerError(
            f"no transaction in blocks 0 to {height - 1} wrote the key {key!r}; composite keys are written with "
            "slashes, like round/heart/3"
        )


def _changes(block: int, position: int, transaction: Transaction, chaincode: str, key: str) -> Iterator[KeyChange]:
    invocation, envelope = transaction.invocation, transaction.envelope
    if invocation is None:
        return
    for each in invocation.sets:
        for write in each.writes:
            if each.namespace == chaincode and shown_key(write.key) == key:
                yield KeyChange(
                    block=block,
                    position=position,
                    tx_id=envelope.tx_id,
                    proposed=shown_moment(envelope.timestamp),
                    author="" if envelope.creator is None else envelope.creator.msp_id,
                    function=invocation.function,
                    deleted=write.value is None,
                    value=_shown(write.value or b""),
                )


def _shown(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()
