"""Which logs of which blocks: the options of `eth_getLogs` and of filters, and the search in the index."""

from __future__ import annotations

from dataclasses import dataclass

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.errors import InvalidParametersError, RpcError
from consilium_peers.ethereum.rpc.formats import log_object
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.log_criteria import LogCriteria, log_criteria
from consilium_peers.ethereum.rpc.parameters import BlockByHash, BlockName, Tag, block_name

MOST_LOGS = 10_000
"""How many logs one answer holds, unless they are all of one block."""

_KNOWN = {"fromBlock", "toBlock", "blockHash", "address", "topics"}


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Logs of a block by its hash, or of a range with both ends included; numbers above the newest mean the newest."""

    criteria: LogCriteria
    first: BlockName
    last: BlockName
    block_hash: str | None

    def search(self, index: BlockIndex) -> list[dict[str, object]]:
        """Return the logs in the index.

        Raises:
            RpcError: no such block, or the range is none.
            LimitError: too many logs.
        """
        if self.block_hash is not None:
            block = index.block_by_hash(self.block_hash)
            if block is None:
                raise RpcError("unknown block")
            return self.between(index, block.number, block.number)
        first, last = self.bound(index, self.first), self.bound(index, self.last)
        if first > last and self.first != self.last:
            raise InvalidParametersError(f"fromBlock {first} is after toBlock {last}")
        return self.between(index, first, last, MOST_LOGS)

    def between(self, index: BlockIndex, first: int, last: int, most: int | None = None) -> list[dict[str, object]]:
        """Return the logs of a range of blocks, whatever range was asked for."""
        return [log_object(each) for each in index.logs(first, last, self.criteria, most)]

    def news(self, index: BlockIndex, first: int) -> list[dict[str, object]]:
        """Return the logs from block `first` on, as far as they are in the range that was asked for."""
        begin = max(first, self.first) if isinstance(self.first, int) else first
        end = min(index.height - 1, self.last) if isinstance(self.last, int) else index.height - 1
        return self.between(index, begin, end) if begin <= end else []

    def bound(self, index: BlockIndex, name: BlockName) -> int:
        """Return the number of a block that a range names."""
        if name is Tag.EARLIEST:
            return 0
        return min(name, index.height) if isinstance(name, int) else index.height - 1


def log_query(options: dict[str, object]) -> LogQuery:
    """Read the options of a filter (EIP-234: a block's hash excludes a range)."""
    unknown = set(options) - _KNOWN
    if unknown:
        raise InvalidParametersError(f"{min(unknown)} isn't an option of a filter of logs")
    block_hash = options.get("blockHash")
    if block_hash is not None and (options.get("fromBlock") is not None or options.get("toBlock") is not None):
        raise InvalidParametersError("blockHash excludes fromBlock and toBlock (EIP-234)")
    return LogQuery(
        criteria=log_criteria(options),
        first=_end(options, "fromBlock"),
        last=_end(options, "toBlock"),
        block_hash=None if block_hash is None else values.hash_of(block_hash, "blockHash"),
    )


def _end(options: dict[str, object], name: str) -> BlockName:
    given = options.get(name)
    found = Tag.LATEST if given is None else block_name(given, name)
    if isinstance(found, BlockByHash):
        raise InvalidParametersError(f"{name} is a hash; give a number or a tag, or use blockHash")
    return found
