"""Blocks of a trail in the form in which a peer delivers them."""

from __future__ import annotations

from typing import Any

from fabric_protos.common import common_pb2

from consilium_trail.blocks.block import Block


def as_delivered(block: Block) -> bytes:
    """Return a block as a peer delivers it; the orderers' signatures, which aren't looked at, are left out."""
    message: Any = common_pb2.Block()
    message.header.number = block.number
    message.header.previous_hash = block.header.previous_hash
    message.header.data_hash = block.header.data_hash
    message.data.data.extend(block.envelopes)
    message.metadata.metadata.extend([b"", b"", block.flags])
    return bytes(message.SerializeToString())
