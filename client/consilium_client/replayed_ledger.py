"""The ledger's state as its own signed transactions make it: what a hospital's agent acts on.

A quorum of dishonest endorsers can commit a state that the contract wouldn't write; the hospital's own peer then has it
too, and answers with it. So the agent doesn't ask its peer what a round looks like. It follows the blocks of its peer,
runs the contract itself on every valid transaction (the replay of `consilium_trail`, which auditors run years later),
and reads the state that comes out. The first transaction that did something else ends it, named with its endorsers:
nothing of this ledger can be acted on any more (`test_a_false_write_of_a_full_quorum_stops_every_honest_agent`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from consilium_client.errors import FalseLedgerError
from consilium_peers.durable import write_durably
from consilium_peers.errors import BlocksError, EvaluateError, PeersError
from consilium_peers.gateway import EVALUATE_SECONDS, Network
from consilium_trail.blocks.block import decode_block
from consilium_trail.errors import TrailError
from consilium_trail.verification.followed_blocks import FollowedBlocks, RefusedQueryError

log = logging.getLogger("consilium.ledger")

# After a failure of the own peer that may pass.
RETRY_SECONDS = 1.0
# Between two words on how far it is, while a long ledger is replayed at start.
PROGRESS_SECONDS = 5.0
# The state is kept after so many blocks, and at the end: a killed agent replays at most these again.
KEEP_BLOCKS = 500


class ReplayedLedger:
    """Follows one channel, by the blocks of the peers that `network` knows: the hospital's own, in an agent."""

    def __init__(self, network: Network, kept: Path | None = None) -> None:
        self._network = network
        self._kept = kept
        self._kept_height = 0
        self._followed = FollowedBlocks(network.channel)
        # The replay works in a thread of its own, so that an agent's connections don't wait for it.
        self._working = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._finding: FalseLedgerError | None = None

    @classmethod
    @asynccontextmanager
    async def following(cls, network: Network, kept: Path | None = None) -> AsyncIterator[ReplayedLedger]:
        """Replay all blocks that there are, then follow for the length of the block.

        What was replayed is kept in the file `kept`, so that the next run needn't begin with the first block. Blocks
        that another release of the contract wrote are thereby judged by that release.

        Raises:
            FalseLedgerError: a block holds what the contract wouldn't write.
        """
        ledger = cls(network, kept)
        await ledger._restore()
        follower = asyncio.create_task(ledger._follow())
        try:
            await ledger._until_level()
            yield ledger
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            ledger._keep()

    async def evaluate(self, function: str, *arguments: bytes, timeout: float = EVALUATE_SECONDS) -> bytes:
        """Answer a query from the replayed state, once it is at least as new as the peer's.

        Raises:
            FalseLedgerError: a block holds what the contract wouldn't write.
            EvaluateError: the contract refuses, or the replay isn't level after `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._reach(await self._network.height(timeout))
        except TimeoutError:
            raise EvaluateError("", "DEADLINE_EXCEEDED", f"no new block in {timeout:g} s; is the peer well?") from None
        identity = self._network.gateway.identity
        async with self._working:
            try:
                return self._followed.ask(
                    function, arguments, identity.msp_id, identity.certificate_pem, int(time.time() * 1000)
                )
            except RefusedQueryError as error:
                raise EvaluateError("", "ABORTED", str(error)) from None

    async def _restore(self) -> None:
        """Go on from the kept state, if it is of this ledger: another network may have been made in the same place."""
        if self._kept is None or not self._kept.exists():
            return
        try:
            followed = FollowedBlocks.restored(self._network.channel, await asyncio.to_thread(self._kept.read_bytes))
            same = await self._last_hash(followed.height) == followed.last_hash
        except (TrailError, BlocksError) as error:
            log.warning("replaying from the first block", extra={"detail": str(error)})
            return
        if same:
            self._followed, self._kept_height = followed, followed.height
        else:
            log.warning("replaying from the first block", extra={"detail": f"{self._kept} is of another ledger"})

    async def _last_hash(self, height: int) -> bytes:
        """Return the hash of the last of so many blocks, as the peer has it; empty when it has fewer."""
        if height > await self._network.height():
            return b""
        async with aclosing(self._network.blocks(height - 1, height)) as blocks:
            async for block in blocks:
                return decode_block(block.content).header.hash()
        return b""

    def _keep(self) -> None:
        if self._kept is None or self._followed.height == self._kept_height:
            return
        height, state = self._followed.height, self._followed.kept()
        if state is not None:
            write_durably(self._kept, state)
            self._kept_height = height

    async def _until_level(self) -> None:
        """Wait until the replay has all blocks, with a word now and then on how far it is."""
        while True:
            try:
                height = await self._network.height()
                async with asyncio.timeout(PROGRESS_SECONDS):
                    return await self._reach(height)
            except TimeoutError:
                log.info("replaying the ledger", extra={"blocks": self._followed.height, "of": height})
            except PeersError as error:
                log.warning("the peer doesn't answer; trying again", extra={"detail": str(error)})
                await asyncio.sleep(RETRY_SECONDS)

    async def _reach(self, height: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._finding is not None or self._followed.height >= height)
        if self._finding is not None:
            raise self._finding

    async def _follow(self) -> None:
        while self._finding is None:
            try:
                async for block in self._network.blocks(self._followed.height):
                    await self._take(block.content)
                    if self._finding is not None:
                        return
            except BlocksError as error:
                log.warning("blocks stopped; reading on", extra={"detail": str(error)})
                await asyncio.sleep(RETRY_SECONDS)

    async def _take(self, block: bytes) -> None:
        async with self._working:
            try:
                await asyncio.to_thread(self._followed.take, block)
                if self._followed.height >= self._kept_height + KEEP_BLOCKS:
                    await asyncio.to_thread(self._keep)
            except TrailError as error:
                self._finding = FalseLedgerError(
                    f"{error}: the ledger isn't what the contract makes of its transactions, and nothing is done on "
                    "its word any more; have an auditor verify the channel (consilium audit export, verify)"
                )
                log.error("a false ledger", extra={"detail": str(error)})
        async with self._moved:
            self._moved.notify_all()
