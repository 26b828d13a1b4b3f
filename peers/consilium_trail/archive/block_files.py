"""Blocks in files: the parts that all peers have alike, the orderers' signatures, and the validation codes.

Each file is a row of records: a length of four bytes, big-endian, then that many bytes. Orderers each keep the first
quorum of signatures that they received, so these differ from peer to peer and lie in files of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from fabric_protos.common import common_pb2

from consilium_trail.blocks.block import Block, assemble_block, checked_header
from consilium_trail.blocks.orderer_signatures import decode_orderer_signatures
from consilium_trail.blocks.wire import parse
from consilium_trail.errors import ArchiveError

BLOCKS_PER_FILE = 1000
LARGEST_BLOCK = 100 * 2**20
"""More than ten times what an orderer puts into a block (bytes)."""
_LENGTH = struct.Struct(">I")


def block_file(number: int) -> str:
    """Return the name of the file that holds a block."""
    return f"blocks/{number // BLOCKS_PER_FILE:06d}.bin"


def flags_file(number: int) -> str:
    """Return the name of the file that holds a block's validation codes."""
    return f"flags/{number // BLOCKS_PER_FILE:06d}.bin"


def signatures_file(number: int) -> str:
    """Return the name of the file that holds the orderers' signatures of a block."""
    return f"signatures/orderers/{number // BLOCKS_PER_FILE:06d}.bin"


def record(content: bytes) -> bytes:
    """Return a record of a file."""
    return _LENGTH.pack(len(content)) + content


def encode_block(block: Block) -> bytes:
    """Return a block's header and envelopes: a `common.Block` without metadata."""
    header = common_pb2.BlockHeader(
        number=block.header.number, previous_hash=block.header.previous_hash, data_hash=block.header.data_hash
    )
    message = common_pb2.Block(header=header, data=common_pb2.BlockData(data=block.envelopes))
    return bytes(message.SerializeToString(deterministic=True))


def decode_stored_block(content: bytes, signatures: bytes, flags: bytes) -> Block:
    """Put a block together from its three records.

    Raises:
        MalformedBlockError: they aren't a block's.
        ArchiveError: the block isn't stored in its one form.
    """
    message = parse(common_pb2.Block, content, "a block of the trail")
    header = checked_header(message.header.number, bytes(message.header.previous_hash), bytes(message.header.data_hash))
    envelopes = tuple(bytes(each) for each in message.data.data)
    block = assemble_block(header, envelopes, decode_orderer_signatures(signatures, header.number), flags)
    if encode_block(block) != content:
        raise ArchiveError(f"block {header.number} isn't stored in its one form")
    return block


def records(pieces: Iterable[bytes], what: str) -> Iterator[bytes]:
    """Yield a file's records.

    Raises:
        ArchiveError: a record is longer than a block can be, or the file ends in the middle of one.
    """
    held = b""
    for piece in pieces:
        held += piece
        position = 0
        while len(held) - position >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, position)
            if length > LARGEST_BLOCK:
                raise ArchiveError(f"{what} has a record of {length} bytes; at most {LARGEST_BLOCK} are read")
            end = position + _LENGTH.size + length
            if end > len(held):
                break
            yield held[position + _LENGTH.size : end]
            position = end
        held = held[position:]
    if held:
        raise ArchiveError(f"{what} ends in the middle of a record")
