"""Which block a name stands for, and whether the state after it is at hand."""

from __future__ import annotations

from consilium_peers.ethereum.rpc.errors import RpcError
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.parameters import BlockByHash, BlockName, Tag
from consilium_peers.ethereum.rpc.stored import StoredBlock


def chosen_block(index: BlockIndex, name: BlockName) -> StoredBlock | None:
    """Return the block of a name, None if there is none. What is committed is final; a pending block doesn't exist."""
    if isinstance(name, BlockByHash):
        return index.block_by_hash(name.hash)
    if name is Tag.EARLIEST:
        return index.block(0)
    if isinstance(name, Tag):
        return index.head
    return index.block(name) if name < index.height else None


def height_for(index: BlockIndex, name: BlockName) -> int:
    """Return the block number that a question about the newest state sees; refuse to look into the past.

    For `pending` that is the next block's, which a transaction sent now would claim. The state after an earlier block
    is at hand as long as no later one changed anything.

    Raises:
        RpcError: there is no such block, or the state has changed since.
    """
    if name is Tag.PENDING:
        return index.height
    block = chosen_block(index, name)
    if block is None:
        raise RpcError("header not found")
    if block.number < index.newest_change:
        raise RpcError(
            f"historical state isn't kept: the state after block {block.number} changed in block "
            f"{index.newest_change}; ask for latest, pending, safe or finalized"
        )
    return block.number
