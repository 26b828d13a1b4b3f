"""Methods about logs, and filters, which are asked again and again."""

from __future__ import annotations

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.errors import RpcError
from consilium_peers.ethereum.rpc.filters import Arrivals, BlockFilter, Filters, LogFilter, PendingFilter
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.log_queries import LogQuery, log_query
from consilium_peers.ethereum.rpc.method_table import method
from consilium_peers.ethereum.rpc.parameters import Parameters


class LogMethods:
    """All from the index; nothing is taken back on this ledger, so no log is ever `removed`."""

    def __init__(self, index: BlockIndex, filters: Filters, arrivals: Arrivals) -> None:
        self._index = index
        self._filters = filters
        self._arrivals = arrivals

    @method("eth_getLogs", 1)
    async def logs(self, parameters: Parameters) -> list[dict[str, object]]:
        """Return the logs of a range or a block that match addresses and topics."""
        return _query(parameters).search(self._index)

    @method("eth_newFilter", 1)
    async def new_filter(self, parameters: Parameters) -> str:
        """Install a filter of logs."""
        return self._filters.install(LogFilter(self._index, _query(parameters)))

    @method("eth_newBlockFilter", 0)
    async def new_block_filter(self, _: Parameters) -> str:
        """Install a filter of new blocks."""
        return self._filters.install(BlockFilter(self._index))

    @method("eth_newPendingTransactionFilter", 1)
    async def new_pending_filter(self, _: Parameters) -> str:
        """Install a filter of transactions that come into the pool; it tells their hashes."""
        return self._filters.install(PendingFilter(self._arrivals))

    @method("eth_getFilterChanges", 1)
    async def filter_changes(self, parameters: Parameters) -> list[object]:
        """Return what is new since the last time."""
        return self._filters.get(_number(parameters)).changes()

    @method("eth_getFilterLogs", 1)
    async def filter_logs(self, parameters: Parameters) -> list[dict[str, object]]:
        """Return all logs of a filter of logs."""
        found = self._filters.get(_number(parameters))
        if not isinstance(found, LogFilter):
            raise RpcError("filter not found")
        return found.query.search(self._index)

    @method("eth_uninstallFilter", 1)
    async def uninstall_filter(self, parameters: Parameters) -> bool:
        """Forget a filter."""
        return self._filters.uninstall(_number(parameters))


def _query(parameters: Parameters) -> LogQuery:
    given = parameters.optional(0)
    return log_query({} if given is None else values.mapping(given, "parameter 1"))


def _number(parameters: Parameters) -> str:
    return hex(parameters.quantity(0, "the filter's number"))
