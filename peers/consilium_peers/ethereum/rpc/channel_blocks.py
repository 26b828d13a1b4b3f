"""Keeps the index up to the channel: all blocks that there are, then each one as it comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Protocol

from consilium_peers.errors import BlocksError
from consilium_peers.ethereum.rpc.block_contents import BlockContents, read_block
from consilium_peers.ethereum.rpc.errors import StateError
from consilium_peers.ethereum.rpc.index import BlockIndex
from consilium_peers.gateway import Network

log = logging.getLogger("consilium.ethereum.blocks")

BATCH = 200
RETRY_SECONDS = 2.0
Progress = Callable[[int, int], None]


class Listener(Protocol):
    """Hears of every block, once it is in the index."""

    def __call__(self, block: BlockContents) -> None:
        """Take note of a block."""
        ...


class ChannelBlocks:
    """Feeds the index from a channel's blocks, and tells listeners of those that came while they listened."""

    def __init__(self, network: Network, index: BlockIndex) -> None:
        self._network = network
        self.index = index
        self.listeners: list[Listener] = []
        self._grown = asyncio.Event()

    async def catch_up(self, progress: Progress) -> None:
        """Read all blocks that the peer has by now.

        Raises:
            BlocksError: no peer serves them.
            StateError: the index is another ledger's.
        """
        height = await self._network.height()
        await self._check_head(height)
        waiting: list[BlockContents] = []
        async with aclosing(self._network.blocks(self.index.height, height)) as blocks:
            async for raw in blocks:
                waiting.append(read_block(raw))
                if len(waiting) == BATCH:
                    self.index.add(waiting)
                    waiting.clear()
                    progress(self.index.height, height)
        self.index.add(waiting)

    async def follow(self) -> None:
        """Read blocks as they come, for ever; peers that are away are waited for.

        Raises:
            StateError: what comes isn't what follows.
        """
        while True:
            try:
                async with aclosing(self._network.blocks(self.index.height)) as blocks:
                    async for raw in blocks:
                        self.take(read_block(raw))
            except BlocksError as error:
                log.warning("no peer serves blocks; trying again", extra={"detail": str(error)})
                await asyncio.sleep(RETRY_SECONDS)

    async def grown(self, seconds: float) -> None:
        """Wait for the next block, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._grown.wait()
        except TimeoutError:
            return

    async def _check_head(self, height: int) -> None:
        """Compare the index's newest block with the channel's."""
        head = self.index.head
        if head is None:
            return
        if height <= head.number:
            raise StateError(
                f"the index in {self.index.path} has {head.number + 1} blocks and the peer {height}: wait until the "
                "peer has caught up; if the channel is another one, remove the folder"
            )
        async with aclosing(self._network.blocks(head.number, head.number + 1)) as blocks:
            async for raw in blocks:
                if read_block(raw).hash != head.hash:
                    raise StateError(
                        f"the index in {self.index.path} is of another ledger: its block {head.number} isn't the "
                        "channel's; remove the folder, or name another one with --state"
                    )

    def take(self, block: BlockContents) -> None:
        """Put the next block into the index, and tell the listeners.

        Raises:
            StateError: it doesn't follow.
        """
        self.index.add([block])
        self._grown.set()
        self._grown = asyncio.Event()
        for listener in list(self.listeners):
            try:
                listener(block)
            except Exception as error:  # one listener's defect isn't the others' end
                log.error("a listener failed", exc_info=error, extra={"block": block.number})
