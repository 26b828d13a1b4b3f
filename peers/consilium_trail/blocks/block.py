"""A block: header, envelopes and metadata, and the two hashes that chain blocks together."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from fabric_protos.common import common_pb2

from consilium_trail.blocks.orderer_signatures import OrdererSignatures, decode_orderer_signatures
from consilium_trail.blocks.wire import parse
from consilium_trail.errors import MalformedBlockError

_SIGNATURES = common_pb2.BlockMetadataIndex.SIGNATURES
_FLAGS = common_pb2.BlockMetadataIndex.TRANSACTIONS_FILTER
_HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Header:
    """What orderers sign. `previous_hash` is empty in a channel's first block."""

    number: int
    previous_hash: bytes
    data_hash: bytes

    def encoded(self) -> bytes:
        """Return the DER form: SEQUENCE {INTEGER number, OCTET STRING previous hash, OCTET STRING data hash}."""
        number = self.number.to_bytes(self.number.bit_length() // 8 + 1, "big")
        return _der(0x30, _der(0x02, number) + _der(0x04, self.previous_hash) + _der(0x04, self.data_hash))

    def hash(self) -> bytes:
        """Return SHA-256 of the DER form: the next block's `previous_hash`."""
        return hashlib.sha256(self.encoded()).digest()


@dataclass(frozen=True, slots=True)
class Block:
    """A decoded block.

    Attributes:
        header: number and hashes, as they stand in the block.
        envelopes: the transactions, undecoded, in their order; `transactions.decode_transaction` decodes one.
        signatures: of the orderers.
        flags: one validation code per transaction; the word of the peer that the block was read from.
    """

    header: Header
    envelopes: tuple[bytes, ...]
    signatures: OrdererSignatures
    flags: bytes

    @property
    def number(self) -> int:
        """The block's number, from 0."""
        return self.header.number


def data_hash(envelopes: Sequence[bytes]) -> bytes:
    """Return the hash that a header must hold of its envelopes: SHA-256 of all of them in a row."""
    digest = hashlib.sha256()
    for envelope in envelopes:
        digest.update(envelope)
    return digest.digest()


def decode_block(raw: bytes) -> Block:
    """Decode a serialized `common.Block`. Hashes and signatures aren't checked, but their forms are.

    Raises:
        MalformedBlockError: it isn't a block, has no transaction, or not one flag for each.
    """
    message = parse(common_pb2.Block, raw, "the block")
    envelopes = tuple(bytes(envelope) for envelope in message.data.data)
    header = checked_header(message.header.number, bytes(message.header.previous_hash), bytes(message.header.data_hash))
    metadata = [bytes(part) for part in message.metadata.metadata]
    if len(metadata) <= _FLAGS:
        raise MalformedBlockError(f"block {header.number} has {len(metadata)} pieces of metadata, not 3 or more")
    return assemble_block(
        header, envelopes, decode_orderer_signatures(metadata[_SIGNATURES], header.number), metadata[_FLAGS]
    )


def assemble_block(header: Header, envelopes: tuple[bytes, ...], signatures: OrdererSignatures, flags: bytes) -> Block:
    """Put a block together out of its parts.

    Raises:
        MalformedBlockError: no transaction, or not one flag for each.
    """
    if not envelopes:
        raise MalformedBlockError(f"block {header.number} has no transaction")
    if len(flags) != len(envelopes):
        raise MalformedBlockError(
            f"block {header.number} has {len(flags)} validation codes for {len(envelopes)} transactions"
        )
    return Block(header, envelopes, signatures, flags)


def checked_header(number: int, previous_hash: bytes, hash_of_data: bytes) -> Header:
    """Return a header whose hashes have the length of hashes.

    Raises:
        MalformedBlockError: they haven't.
    """
    expected = _HASH_BYTES if number else 0
    if len(previous_hash) != expected or len(hash_of_data) != _HASH_BYTES:
        raise MalformedBlockError(
            f"the header of block {number} has hashes of {len(previous_hash)} and {len(hash_of_data)} bytes, "
            f"not of {expected} and {_HASH_BYTES}"
        )
    return Header(number, previous_hash, hash_of_data)


def _der(tag: int, content: bytes) -> bytes:
    """Return a DER value; nothing in a header is longer than 127 bytes."""
    return bytes([tag, len(content)]) + content
