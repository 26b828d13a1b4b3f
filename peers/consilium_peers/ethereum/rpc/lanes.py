"""Transactions that conflict go one after the other for a while, instead of one winning in each block at random.

Two transactions that change the same slot can't stand in one block. Which will, nobody knows beforehand; that two calls
of one function of one contract did, is the best hint there is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HOT_SECONDS = 5.0


@dataclass(slots=True)
class _Lane:
    hot_until: float
    users: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Lanes:
    """A lane for each kind of call that met a conflict lately."""

    def __init__(self) -> None:
        self._lanes: dict[str, _Lane] = {}

    def heat(self, kind: str) -> None:
        """Note a conflict between calls of a kind."""
        until = asyncio.get_running_loop().time() + HOT_SECONDS
        self._lanes.setdefault(kind, _Lane(until)).hot_until = until

    @asynccontextmanager
    async def turn(self, kind: str) -> AsyncIterator[None]:
        """Wait for the calls of this kind that came before, if the kind is hot."""
        lane = self._lanes.get(kind)
        if lane is None:
            yield
            return
        lane.users += 1
        try:
            async with lane.lock:
                yield
        finally:
            lane.users -= 1
            if not lane.users and lane.hot_until < asyncio.get_running_loop().time():
                self._lanes.pop(kind, None)
