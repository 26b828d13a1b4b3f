"""From an accepted transaction to its block: in the order of nonces, tried again until it is committed.

A transaction leaves the pool when it is in the index of blocks, when the ledger would never take it, or when its
deadline has passed; until then it is on disk. Attempts may be repeated at any time: the nonce counts once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextlib import suppress

from consilium_peers.errors import GatewayError
from consilium_peers.ethereum.rpc.block_contents import BlockContents
from consilium_peers.ethereum.rpc.channel_blocks import ChannelBlocks
from consilium_peers.ethereum.rpc.errors import RpcError, UnavailableError
from consilium_peers.ethereum.rpc.lanes import Lanes
from consilium_peers.ethereum.rpc.ledger import EvmLedger
from consilium_peers.ethereum.rpc.obstacles import Kind, Obstacle, obstacle_in, obstacle_of
from consilium_peers.ethereum.rpc.pool import Pool, Waiting
from consilium_peers.ethereum.rpc.pool_journal import Accepted, PoolJournal
from consilium_peers.ethereum.rpc.raw_transactions import transaction_fields
from consilium_peers.ethereum.rpc.refusals import known_words
from consilium_proto.ethereum.scalars import from_data, from_quantity
from consilium_proto.ethereum.transactions import SignedTransaction

log = logging.getLogger("consilium.ethereum.sending")

PATIENCE_SECONDS = 600.0
"""How long a transaction that is next in line is tried."""
GAP_SECONDS = 3 * 3600.0
"""How long one waits for those before it, from when it was accepted."""
DRAIN_SECONDS = 30.0

_ENDORSE_SECONDS = 30.0
_SETTLE_SECONDS = 60.0
_INDEXED_SECONDS = 10.0
_LOOK_SECONDS = 5.0
_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0
_CONFLICT_PAUSE_SECONDS = 0.1


class Sending:
    """Accepts signed transactions and carries them to the ledger; one task for each sender that has any."""

    def __init__(
        self,
        ledger: EvmLedger,
        blocks: ChannelBlocks,
        pool: Pool,
        journal: PoolJournal,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._ledger = ledger
        self._blocks = blocks
        self.pool = pool
        self._journal = journal
        self._patience = patience
        self._lanes = Lanes()
        self._stirred: dict[str, asyncio.Event] = {}
        self._carriers: dict[str, asyncio.Task[None]] = {}
        self._resuming: asyncio.Task[None] | None = None
        blocks.listeners.append(self._on_block)

    async def accept(self, raw: str) -> str:
        """Take a signed transaction and return its hash; it is on disk by then, and on its way.

        Raises:
            RpcError: it isn't valid, or can't wait here.
        """
        return await self._accept(raw, time.time())

    def resume(self) -> int:
        """Go on with what was accepted before the server ended; return how many transactions that are."""
        kept = self._journal.accepted()
        done = [each.hash for each in kept if self._blocks.index.transaction(each.hash) is not None]
        self._journal.forget(done)
        left = [each for each in kept if each.hash not in done]
        if left:
            self._resuming = asyncio.create_task(self._accept_again(left))
        return len(left)

    async def drain(self, seconds: float = DRAIN_SECONDS) -> int:
        """Wait, at most so long, for all that is on its way; then stop. Return how many transactions are left."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(self.pool.is_due(each) for each in self.pool):
            await self._blocks.grown(_PAUSE_SECONDS)
        running = [*self._carriers.values(), *([self._resuming] if self._resuming else [])]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return len(self.pool)

    async def _accept(self, raw: str, accepted_at: float) -> str:
        inspection = await self._ledger.inspect(raw, self._blocks.index.height)
        if self._blocks.index.transaction(inspection.hash) is not None:
            raise RpcError("already known")
        if inspection.problem:
            raise RpcError(known_words(inspection.problem))
        self.pool.check(inspection)
        self._journal.record(Accepted(inspection.hash, raw, accepted_at))
        waiting = self.pool.add(inspection, raw, accepted_at)
        self._stir(waiting.sender)
        if waiting.sender not in self._carriers:
            self._carriers[waiting.sender] = asyncio.create_task(self._carry(waiting.sender))
        return waiting.hash

    async def _accept_again(self, kept: list[Accepted]) -> None:
        for each in kept:
            while True:
                try:
                    await self._accept(each.raw, each.accepted_at)
                except UnavailableError:
                    await asyncio.sleep(_LOOK_SECONDS)
                    continue
                except RpcError as error:
                    if self.pool.get(each.hash) is None:
                        self._journal.forget([each.hash])
                        log.warning("dropped", extra={"transaction": each.hash, "reason": error.message})
                break

    def _on_block(self, block: BlockContents) -> None:
        gone = []
        for receipt in block.receipts:
            nonce = from_quantity(receipt.nonce)
            self.pool.note_next(receipt.sender, nonce + 1)
            if self.pool.remove(receipt.hash) is not None:
                gone.append(receipt.hash)
            elif (waiting := self.pool.with_nonce(receipt.sender, nonce)) is not None:
                self._drop(waiting, f"nonce too low: {receipt.hash} was first with nonce {nonce}")
            self._stir(receipt.sender)
        self._journal.forget(gone)

    def _stir(self, sender: str) -> None:
        if sender in self._stirred:
            self._stirred[sender].set()

    async def _stirring(self, sender: str, seconds: float) -> None:
        """Wait until something happens to a sender's transactions, at most so long."""
        event = self._stirred[sender]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        event.clear()

    async def _carry(self, sender: str) -> None:
        """Carry a sender's transactions, one after the other, until none is left."""
        self._stirred[sender] = asyncio.Event()
        try:
            while (waiting := self.pool.first_of(sender)) is not None:
                try:
                    await self._carry_one(waiting)
                except Exception as error:  # a defect must not cost an accepted transaction
                    log.error("carrying failed", exc_info=error, extra={"transaction": waiting.hash})
                    await asyncio.sleep(_LONGEST_PAUSE_SECONDS)
        finally:
            del self._stirred[sender], self._carriers[sender]

    async def _carry_one(self, waiting: Waiting) -> None:
        """Carry the transaction with a sender's lowest nonce until it left the pool, or isn't the lowest any more."""
        kind = _kind_of(waiting.raw)
        deadline, failures, obstacle = None, 0, None
        while self.pool.first_of(waiting.sender) is waiting:
            if not self.pool.is_due(waiting):
                await self._wait_for_others(waiting)
                continue
            now = time.monotonic()
            deadline = deadline or now + self._patience
            if obstacle is not None and now > deadline:
                self._drop(waiting, f"gave up after {self._patience:g} s; last: {obstacle.reason}")
                return
            async with self._lanes.turn(kind):
                if obstacle is not None and not await self._still_due(waiting):
                    continue
                obstacle = await self._attempt(waiting)
            if obstacle is None:
                await self._until_indexed(waiting)
                continue
            failures += 1
            if obstacle.kind is Kind.CONFLICT:
                self._lanes.heat(kind)
                await asyncio.sleep(_CONFLICT_PAUSE_SECONDS * random.random())  # noqa: S311 - spreads retries
            else:
                log.info("trying again", extra={"transaction": waiting.hash, "reason": obstacle.reason})
                await asyncio.sleep(min(_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_SECONDS))

    async def _attempt(self, waiting: Waiting) -> Obstacle | None:
        argument = SignedTransaction(raw=waiting.raw, block_number=self._blocks.index.height, prefetch=waiting.prefetch)
        try:
            transaction = await self._ledger.endorse(argument, _ENDORSE_SECONDS)
            return obstacle_in(await transaction.settle(_SETTLE_SECONDS))
        except GatewayError as error:
            return obstacle_of(error)

    async def _until_indexed(self, waiting: Waiting) -> None:
        """Wait for the block of a committed transaction."""
        deadline = time.monotonic() + _INDEXED_SECONDS
        while self.pool.get(waiting.hash) is waiting and time.monotonic() < deadline:
            await self._stirring(waiting.sender, _PAUSE_SECONDS * 4)

    async def _still_due(self, waiting: Waiting) -> bool:
        """Look again at a transaction, since the ledger may have changed; drop it if it can't be any more."""
        try:
            inspection = await self._ledger.inspect(waiting.raw, self._blocks.index.height)
        except UnavailableError:
            return True
        except RpcError as error:
            self._drop(waiting, error.message)
            return False
        self.pool.note_next(waiting.sender, from_quantity(inspection.next_nonce))
        if waiting.nonce < from_quantity(inspection.next_nonce):
            # The ledger has a transaction with this nonce; its block, which is on its way here, says which.
            await self._until_indexed(waiting)
            return False
        if inspection.problem:
            self._drop(waiting, known_words(inspection.problem))
            return False
        waiting.prefetch = inspection.prefetch
        return True

    async def _wait_for_others(self, waiting: Waiting) -> None:
        if time.time() - waiting.accepted_at > GAP_SECONDS:
            self._drop(waiting, f"the transactions before it didn't come within {GAP_SECONDS:g} s")
            return
        await self._stirring(waiting.sender, _LOOK_SECONDS)
        if self.pool.first_of(waiting.sender) is waiting and not self.pool.is_due(waiting):
            await self._still_due(waiting)

    def _drop(self, waiting: Waiting, reason: str) -> None:
        if self.pool.remove(waiting.hash) is not None:
            self._journal.forget([waiting.hash])
            log.warning("dropped", extra={"transaction": waiting.hash, "reason": reason})


def _kind_of(raw: str) -> str:
    """Return the contract and the function that a transaction calls."""
    fields = transaction_fields(from_data(raw))
    return f"{fields['to']}/{fields['input'][:10]}"
