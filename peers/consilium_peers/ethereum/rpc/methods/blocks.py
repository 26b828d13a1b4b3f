"""Methods about blocks, transactions and receipts: all from the index and the pool."""

from __future__ import annotations

from consilium_peers.ethereum.rpc.block_choice import chosen_block
from consilium_peers.ethereum.rpc.formats import block_object, pending_object, receipt_object, transaction_object
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.method_table import method
from consilium_peers.ethereum.rpc.parameters import BlockByHash, BlockName, Parameters
from consilium_peers.ethereum.rpc.pool import Pool
from consilium_peers.ethereum.rpc.stored import StoredTransaction
from consilium_proto.ethereum.scalars import as_quantity

Objects = dict[str, object]


class BlockMethods:
    """What isn't there is null, as everywhere in Ethereum."""

    def __init__(self, index: BlockIndex, pool: Pool) -> None:
        self._index = index
        self._pool = pool

    @method("eth_getBlockByNumber", 2)
    async def block_by_number(self, parameters: Parameters) -> Objects | None:
        """Return a block, with whole transactions where parameter 2 is true."""
        return self._block(parameters.block(0), whole=parameters.boolean(1))

    @method("eth_getBlockByHash", 2)
    async def block_by_hash(self, parameters: Parameters) -> Objects | None:
        """Return a block."""
        return self._block(BlockByHash(parameters.hash(0)), whole=parameters.boolean(1))

    @method("eth_getBlockTransactionCountByNumber", 1)
    async def count_by_number(self, parameters: Parameters) -> str | None:
        """Return how many transactions of the EVM a block has."""
        return self._count(parameters.block(0))

    @method("eth_getBlockTransactionCountByHash", 1)
    async def count_by_hash(self, parameters: Parameters) -> str | None:
        """Return how many transactions of the EVM a block has."""
        return self._count(BlockByHash(parameters.hash(0)))

    @method("eth_getBlockReceipts", 1)
    async def block_receipts(self, parameters: Parameters) -> list[Objects] | None:
        """Return the receipts of a block."""
        block = chosen_block(self._index, parameters.block(0))
        return None if block is None else [receipt_object(each) for each in self._index.transactions(block.number)]

    @method("eth_getTransactionByHash", 1)
    async def transaction_by_hash(self, parameters: Parameters) -> Objects | None:
        """Return a transaction, also one that still waits."""
        wanted = parameters.hash(0)
        found = self._index.transaction(wanted)
        if found is not None:
            return transaction_object(found)
        waiting = self._pool.get(wanted)
        return None if waiting is None else pending_object(waiting.hash, waiting.sender, waiting.raw)

    @method("eth_getTransactionByBlockNumberAndIndex", 2)
    async def transaction_by_number(self, parameters: Parameters) -> Objects | None:
        """Return a transaction by its place."""
        return self._at(parameters.block(0), parameters.quantity(1, "the transaction's index"))

    @method("eth_getTransactionByBlockHashAndIndex", 2)
    async def transaction_by_block_hash(self, parameters: Parameters) -> Objects | None:
        """Return a transaction by its place."""
        return self._at(BlockByHash(parameters.hash(0)), parameters.quantity(1, "the transaction's index"))

    @method("eth_getTransactionReceipt", 1)
    async def receipt(self, parameters: Parameters) -> Objects | None:
        """Return a transaction's receipt."""
        found = self._index.transaction(parameters.hash(0))
        return None if found is None else receipt_object(found)

    def _block(self, name: BlockName, *, whole: bool) -> Objects | None:
        block = chosen_block(self._index, name)
        return None if block is None else block_object(block, self._index.transactions(block.number), whole=whole)

    def _count(self, name: BlockName) -> str | None:
        block = chosen_block(self._index, name)
        return None if block is None else as_quantity(block.transactions)

    def _at(self, name: BlockName, position: int) -> Objects | None:
        block = chosen_block(self._index, name)
        found: StoredTransaction | None = None
        # What is larger than any index isn't one, and more than SQLite's integers hold.
        if block is not None and position < block.transactions:
            found = self._index.transaction_at(block.number, position)
        return None if found is None else transaction_object(found)
