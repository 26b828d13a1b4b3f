"""Filters: what happened since somebody last asked. They live as long as they are asked."""

from __future__ import annotations

import secrets
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from consilium_peers.ethereum.rpc.errors import LimitError, RpcError
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.ethereum.rpc.log_queries import LogQuery
from consilium_peers.ethereum.rpc.pool import Pool, Waiting
from consilium_proto.ethereum.scalars import as_data

LIFETIME_SECONDS = 300.0
"""How long a filter lives that nobody asks."""
MOST_FILTERS = 1_000
MOST_ARRIVALS = 10_000
"""How many arrivals in the pool are remembered; who asks more rarely misses the oldest."""
MOST_BLOCKS = 10_000


class _Filter(Protocol):
    def changes(self) -> list[object]:
        """Return what is new, and take note that it was told."""
        ...


class BlockFilter:
    """Hashes of new blocks."""

    def __init__(self, index: BlockIndex) -> None:
        self._index = index
        self._next = index.height

    def changes(self) -> list[object]:
        """Return the hashes of the blocks since the last time, the newest `MOST_BLOCKS` if there are more."""
        first = max(self._next, self._index.height - MOST_BLOCKS)
        self._next = self._index.height
        return [as_data(each.hash) for each in self._index.blocks(first, self._next - 1)]


class LogFilter:
    """Logs of new blocks."""

    def __init__(self, index: BlockIndex, query: LogQuery) -> None:
        self._index = index
        self.query = query
        self._next = index.height

    def changes(self) -> list[object]:
        """Return the logs since the last time."""
        found = self.query.news(self._index, self._next)
        self._next = self._index.height
        return list(found)


class Arrivals:
    """Hashes of what came into the pool, numbered."""

    def __init__(self, pool: Pool) -> None:
        self._arrived: deque[tuple[int, str]] = deque(maxlen=MOST_ARRIVALS)
        self.newest = 0
        pool.on_added.append(self._note)

    def since(self, number: int) -> list[str]:
        """Return what came after the arrival with that number."""
        return [arrived for place, arrived in self._arrived if place > number]

    def _note(self, waiting: Waiting) -> None:
        self.newest = waiting.sequence
        self._arrived.append((waiting.sequence, waiting.hash))


class PendingFilter:
    """Hashes of transactions that came into the pool."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._told = arrivals.newest

    def changes(self) -> list[object]:
        """Return what came since the last time."""
        since, self._told = self._told, self._arrivals.newest
        return list(self._arrivals.since(since))


@dataclass(slots=True)
class _Entry:
    filter: _Filter
    asked_at: float


class Filters:
    """Filters by the number that their owner knows; nobody can guess another's."""

    def __init__(self, lifetime: float = LIFETIME_SECONDS) -> None:
        self._entries: dict[str, _Entry] = {}
        self._lifetime = lifetime

    def install(self, made: _Filter) -> str:
        """Keep a filter and return its number.

        Raises:
            LimitError: there are too many.
        """
        self._forget_expired()
        if len(self._entries) >= MOST_FILTERS:
            raise LimitError(f"{MOST_FILTERS} filters are installed; uninstall one, or use eth_subscribe")
        number = hex(secrets.randbits(120) | 1 << 120)
        self._entries[number] = _Entry(made, time.monotonic())
        return number

    def get(self, number: str) -> _Filter:
        """Return a filter, which lives on by that.

        Raises:
            RpcError: there is none, or it has expired.
        """
        self._forget_expired()
        entry = self._entries.get(number)
        if entry is None:
            raise RpcError("filter not found")
        entry.asked_at = time.monotonic()
        return entry.filter

    def uninstall(self, number: str) -> bool:
        """Forget a filter; return whether there was one."""
        self._forget_expired()
        return self._entries.pop(number, None) is not None

    def _forget_expired(self) -> None:
        oldest = time.monotonic() - self._lifetime
        for number in [number for number, entry in self._entries.items() if entry.asked_at < oldest]:
            del self._entries[number]
