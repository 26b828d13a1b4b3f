"""Subscriptions of one WebSocket connection: new heads, logs, arrivals in the pool (`eth_subscribe`)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from consilium_peers.ethereum.rpc import values
from consilium_peers.ethereum.rpc.block_contents import BlockContents
from consilium_peers.ethereum.rpc.channel_blocks import ChannelBlocks
from consilium_peers.ethereum.rpc.errors import InvalidParametersError, LimitError
from consilium_peers.ethereum.rpc.formats import header_object, pending_object
from consilium_peers.ethereum.rpc.log_queries import LogQuery, log_query
from consilium_peers.ethereum.rpc.method_table import method
from consilium_peers.ethereum.rpc.parameters import Parameters
from consilium_peers.ethereum.rpc.pool import Pool, Waiting

MOST_SUBSCRIPTIONS = 100

Tell = Callable[[dict[str, Any]], None]


class Subscriptions:
    """The methods `eth_subscribe` and `eth_unsubscribe` of a connection, to which `tell` sends."""

    def __init__(self, blocks: ChannelBlocks, pool: Pool, tell: Tell) -> None:
        self._blocks = blocks
        self._pool = pool
        self._tell = tell
        self._heads: set[str] = set()
        self._logs: dict[str, LogQuery] = {}
        self._pending: dict[str, bool] = {}
        blocks.listeners.append(self._on_block)
        pool.on_added.append(self._on_added)

    def close(self) -> None:
        """Tell nothing any more."""
        self._blocks.listeners.remove(self._on_block)
        self._pool.on_added.remove(self._on_added)

    @method("eth_subscribe", 2)
    async def subscribe(self, parameters: Parameters) -> str:
        """Begin to tell about something; return the subscription's number."""
        if len(self._heads) + len(self._logs) + len(self._pending) >= MOST_SUBSCRIPTIONS:
            raise LimitError(f"a connection has at most {MOST_SUBSCRIPTIONS} subscriptions")
        number = hex(secrets.randbits(120) | 1 << 120)
        kind, options = parameters.raw(0, "a kind of subscription"), parameters.optional(1)
        if kind == "newHeads":
            self._heads.add(number)
        elif kind == "logs":
            self._logs[number] = log_query(values.mapping(options or {}, "parameter 2"))
        elif kind == "newPendingTransactions":
            self._pending[number] = False if options is None else values.boolean(options, "parameter 2")
        else:
            raise InvalidParametersError(
                f"there is no subscription {str(kind)[:40]!r}; there are newHeads, logs and newPendingTransactions"
            )
        return number

    @method("eth_unsubscribe", 1)
    async def unsubscribe(self, parameters: Parameters) -> bool:
        """Stop telling; return whether there was such a subscription."""
        number = hex(parameters.quantity(0, "the subscription's number"))
        found = number in self._heads or number in self._logs or number in self._pending
        self._heads.discard(number)
        self._logs.pop(number, None)
        self._pending.pop(number, None)
        return found

    def _on_block(self, block: BlockContents) -> None:
        if self._heads and (stored := self._blocks.index.block(block.number)) is not None:
            for number in self._heads:
                self._notify(number, header_object(stored))
        for number, query in self._logs.items():
            if any(query.criteria.match(log) for receipt in block.receipts for log in receipt.logs):
                for written in query.between(self._blocks.index, block.number, block.number):
                    self._notify(number, written)

    def _on_added(self, waiting: Waiting) -> None:
        for number, whole in self._pending.items():
            self._notify(number, pending_object(waiting.hash, waiting.sender, waiting.raw) if whole else waiting.hash)

    def _notify(self, number: str, result: object) -> None:
        self._tell(
            {"jsonrpc": "2.0", "method": "eth_subscription", "params": {"subscription": number, "result": result}}
        )
