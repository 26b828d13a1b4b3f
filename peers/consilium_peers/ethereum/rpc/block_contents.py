"""What a block of the channel holds for Ethereum's eyes: every receipt that a valid transaction wrote is one of these.

A transaction of the federation's chaincode that credits a round's rewards writes one too.
"""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.blocks.reader import RawBlock
from consilium_peers.ethereum.rpc.errors import StateError
from consilium_proto.canonical import decode
from consilium_proto.errors import WireError
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.scalars import EVM_CHAINCODE
from consilium_proto.ethereum.transactions import ReceiptRecord
from consilium_trail.blocks.block import Block, data_hash, decode_block
from consilium_trail.blocks.read_write_sets import Write
from consilium_trail.blocks.transactions import Envelope, decode_envelope, decode_invocation
from consilium_trail.errors import TrailError

VALID = 0
_RECEIPT_KEY = "\0receipt\0"
_TERMS_KEY = "\0evm-terms\0"


@dataclass(frozen=True, slots=True)
class BlockContents:
    """A block.

    Attributes:
        number: its number on the channel.
        hash: of its header (32 bytes).
        parent_hash: of the header before it; zeros for the first block.
        data_hash: of its envelopes.
        size: of the block as peers deliver it, in bytes.
        timestamp: seconds since 1970; the latest of its Ethereum transactions, None where it has none.
        receipts: of its Ethereum transactions, in the block's order.
        gas_cap: what the EVM's terms say from this block on; None where it doesn't change them.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    data_hash: bytes
    size: int
    timestamp: int | None
    receipts: tuple[ReceiptRecord, ...]
    gas_cap: int | None


def read_block(raw: RawBlock) -> BlockContents:
    """Read a block as a peer delivered it; which of its transactions are valid is that peer's word.

    Raises:
        StateError: it isn't a block, or its header isn't of these envelopes.
    """
    try:
        return _contents(decode_block(raw.content), len(raw.content))
    except (TrailError, WireError) as error:
        raise StateError(f"block {raw.number} of the channel can't be read: {error}") from None


def _contents(block: Block, size: int) -> BlockContents:
    header = block.header
    if data_hash(block.envelopes) != header.data_hash:
        raise StateError(f"block {block.number} doesn't hold what its header says; the peer's ledger is damaged")
    receipts: list[ReceiptRecord] = []
    times: list[int] = []
    gas_cap = None
    for raw, flag in zip(block.envelopes, block.flags, strict=True):
        if flag != VALID:
            continue
        envelope = decode_envelope(raw)
        if block.number == 0:
            times.append(envelope.timestamp // 1000)
        for write in _writes(envelope):
            if write.value is None:
                continue
            if write.key.startswith(_RECEIPT_KEY):
                receipts.append(decode(ReceiptRecord, write.value))
                times.append(envelope.timestamp // 1000)
            elif write.key == _TERMS_KEY:
                gas_cap = decode(EvmTerms, write.value).gas_cap
    return BlockContents(
        number=block.number,
        hash=header.hash(),
        parent_hash=header.previous_hash or bytes(32),
        data_hash=header.data_hash,
        size=size,
        timestamp=max(times, default=None),
        receipts=tuple(receipts),
        gas_cap=gas_cap,
    )


def _writes(envelope: Envelope) -> tuple[Write, ...]:
    """Return what a transaction wrote in the EVM's state."""
    if envelope.kind != "ENDORSER_TRANSACTION":
        return ()
    sets = decode_invocation(envelope).sets
    return tuple(write for each in sets if each.namespace == EVM_CHAINCODE for write in each.writes)
