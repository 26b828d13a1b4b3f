"""Methods about the state: accounts, code, storage, as the ledger has them now."""

from __future__ import annotations

from consilium_peers.ethereum.rpc.block_choice import height_for
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.ledger import EvmLedger
from consilium_peers.ethereum.rpc.method_table import method
from consilium_peers.ethereum.rpc.parameters import Parameters, Tag
from consilium_peers.ethereum.rpc.pool import Pool
from consilium_proto.ethereum.scalars import as_quantity, from_quantity


class StateMethods:
    """Asked of the own organisation's peer."""

    def __init__(self, ledger: EvmLedger, index: BlockIndex, pool: Pool) -> None:
        self._ledger = ledger
        self._index = index
        self._pool = pool

    @method("eth_getBalance", 2)
    async def balance(self, parameters: Parameters) -> str:
        """Return an account's balance in wei; there is no money on this ledger, so it is zero."""
        address = parameters.address(0)
        height_for(self._index, parameters.block(1))
        return (await self._ledger.account(address)).balance

    @method("eth_getCode", 2)
    async def code(self, parameters: Parameters) -> str:
        """Return an account's code."""
        address = parameters.address(0)
        height_for(self._index, parameters.block(1))
        return await self._ledger.code(address)

    @method("eth_getStorageAt", 3)
    async def storage(self, parameters: Parameters) -> str:
        """Return a word of a contract's storage."""
        address, slot = parameters.address(0), parameters.slot(1)
        height_for(self._index, parameters.block(2))
        return await self._ledger.slot(address, slot)

    @method("eth_getTransactionCount", 2)
    async def transaction_count(self, parameters: Parameters) -> str:
        """Return an account's nonce; for `pending`, the one behind what waits."""
        address, block = parameters.address(0), parameters.block(1)
        height_for(self._index, block)
        account = await self._ledger.account(address)
        if block is not Tag.PENDING:
            return account.nonce
        return as_quantity(self._pool.next_nonce(address, from_quantity(account.nonce)))
