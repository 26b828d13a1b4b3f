"""Methods about the chain itself: its id, its prices, its height."""

from __future__ import annotations

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.block_choice import chosen_block
from consilium_peers.ethereum.rpc.errors import InvalidParametersError, RpcError
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.method_table import method
from consilium_peers.ethereum.rpc.parameters import Parameters
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data
from consilium_proto.rewards.keccak import keccak256

MOST_FEE_BLOCKS = 1024
MOST_PERCENTILES = 100
_FREE = "0x0"


class ChainMethods:
    """`accounts` are the addresses for which the server itself can sign."""

    def __init__(self, index: BlockIndex, chain_id: int, version: str, accounts: tuple[str, ...]) -> None:
        self._index = index
        self._chain_id = chain_id
        self._version = version
        self._accounts = accounts

    @method("web3_clientVersion", 0)
    async def client_version(self, _: Parameters) -> str:
        """Return this program's name and version."""
        return self._version

    @method("web3_sha3", 1)
    async def sha3(self, parameters: Parameters) -> str:
        """Return the Keccak-256 of bytes."""
        return as_data(keccak256(from_data(values.data(parameters.raw(0, "bytes"), "parameter 1"))))

    @method("net_version", 0)
    async def net_version(self, _: Parameters) -> str:
        """Return the chain's id in decimal."""
        return str(self._chain_id)

    @method("net_listening", 0)
    async def net_listening(self, _: Parameters) -> bool:
        """Return true: the server is there."""
        return True

    @method("eth_chainId", 0)
    async def chain_id(self, _: Parameters) -> str:
        """Return the chain's id."""
        return as_quantity(self._chain_id)

    @method("eth_syncing", 0)
    async def syncing(self, _: Parameters) -> bool:
        """Return false: the server answers once it has all blocks that its peer had when it began."""
        return False

    @method("eth_blockNumber", 0)
    async def block_number(self, _: Parameters) -> str:
        """Return the newest block's number."""
        return as_quantity(self._index.height - 1)

    @method("eth_accounts", 0)
    async def accounts(self, _: Parameters) -> list[str]:
        """Return the address of the Fabric identity, if the server acts for it."""
        return list(self._accounts)

    @method("eth_gasPrice", 0)
    async def gas_price(self, _: Parameters) -> str:
        """Return zero: gas is a measure and a limit, it isn't paid for."""
        return _FREE

    @method("eth_maxPriorityFeePerGas", 0)
    async def max_priority_fee(self, _: Parameters) -> str:
        """Return zero."""
        return _FREE

    @method("eth_feeHistory", 3)
    async def fee_history(self, parameters: Parameters) -> dict[str, object]:
        """Return prices of zero, and how full blocks were, measured by one transaction's cap."""
        wanted = parameters.raw(0, "a number of blocks")
        count = wanted if isinstance(wanted, int) else parameters.quantity(0, "the number of blocks")
        newest = chosen_block(self._index, parameters.block(1))
        percentiles = values.sequence(parameters.optional(2) or [], "parameter 3")
        if newest is None:
            raise RpcError("header not found")
        if len(percentiles) > MOST_PERCENTILES or not all(isinstance(each, int | float) for each in percentiles):
            raise InvalidParametersError(f"parameter 3 must be at most {MOST_PERCENTILES} percentiles, numbers")
        count = max(0, min(count, MOST_FEE_BLOCKS, newest.number + 1))
        blocks = self._index.blocks(newest.number - count + 1, newest.number) if count else []
        history: dict[str, object] = {
            "oldestBlock": as_quantity(newest.number - count + 1),
            "baseFeePerGas": [_FREE] * (count + 1),
            "gasUsedRatio": [min(1.0, each.gas_used / each.gas_limit) if each.gas_limit else 0.0 for each in blocks],
        }
        return {**history, "reward": [[_FREE] * len(percentiles)] * count} if percentiles else history
