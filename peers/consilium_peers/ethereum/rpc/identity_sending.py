"""Transactions of the Fabric identity itself: the server signs the proposal, nobody signs for Ethereum.

Such a transaction's hash is the Fabric transaction's id, which each attempt has anew. So the answer waits for the
commit, and names the one attempt that counts.
"""

from __future__ import annotations

import asyncio
import time

from consilium_peers.errors import CommitError, CommitStatusError, GatewayError, SubmitError
from consilium_peers.ethereum.rpc.call_objects import CallObject
from consilium_peers.ethereum.rpc.channel_blocks import ChannelBlocks
from consilium_peers.ethereum.rpc.errors import RpcError, UnavailableError
from consilium_peers.ethereum.rpc.ledger import EvmLedger
from consilium_peers.ethereum.rpc.refusals import as_rpc_error, failure_of
from consilium_proto.canonical import decode
from consilium_proto.ethereum.scalars import as_quantity, from_quantity
from consilium_proto.ethereum.transactions import IdentityTransaction, ReceiptRecord
from consilium_proto.refusals import RefusalCode

COMMIT_SECONDS = 90.0
_INDEXED_SECONDS = 10.0
_STALE_PAUSE_SECONDS = 0.5
_STALE = (RefusalCode.BLOCK_SKEW, RefusalCode.CLOCK_SKEW)


class IdentitySending:
    """Sends one transaction at a time: they share a nonce, so two at once would only be in each other's way."""

    def __init__(self, ledger: EvmLedger, blocks: ChannelBlocks, address: str, chain_id: int) -> None:
        self._ledger = ledger
        self._blocks = blocks
        self.address = address
        self._chain_id = chain_id
        self._turn = asyncio.Lock()

    async def send(self, asked: CallObject) -> str:
        """Execute a transaction and return its hash, once it is committed and in the index.

        Raises:
            RpcError: it can't be executed, or the outcome isn't known in time; the error says which.
        """
        if asked.sender not in (None, self.address):
            raise RpcError(f"unknown account {asked.sender}; this server acts for {self.address} alone")
        if asked.chain_id not in (None, self._chain_id):
            raise RpcError(f"the transaction is for chain {asked.chain_id}, this is chain {self._chain_id}")
        if asked.authorizations:
            raise RpcError("a Fabric identity's transaction carries no authorisations; let an Ethereum key sign it")
        async with self._turn:
            await self._check_nonce(asked.nonce)
            gas = asked.gas if asked.gas is not None else await self._gas(asked)
            receipt = await self._execute(asked, gas)
        deadline = time.monotonic() + _INDEXED_SECONDS
        while self._blocks.index.transaction(receipt.hash) is None and time.monotonic() < deadline:
            await self._blocks.grown(_INDEXED_SECONDS)
        return receipt.hash

    async def _check_nonce(self, nonce: int | None) -> None:
        if nonce is None:
            return
        expected = from_quantity((await self._ledger.account(self.address)).nonce)
        if nonce != expected:
            wrong = "low" if nonce < expected else "high"
            raise RpcError(f"nonce too {wrong}: next nonce {expected}, tx nonce {nonce}")

    async def _gas(self, asked: CallObject) -> int:
        estimate = await self._ledger.estimate_gas(asked.question(self._blocks.index.height))
        if estimate.gas is None:
            raise failure_of(estimate.outcome)
        return from_quantity(estimate.gas)

    async def _execute(self, asked: CallObject, gas: int) -> ReceiptRecord:
        deadline = time.monotonic() + COMMIT_SECONDS
        while True:
            argument = IdentityTransaction(
                to=asked.to,
                data=asked.data,
                value=as_quantity(asked.value),
                gas=as_quantity(gas),
                access_list=asked.access_list,
                block_number=self._blocks.index.height,
            )
            try:
                result = await self._ledger.execute(argument, deadline - time.monotonic())
                return decode(ReceiptRecord, result.payload)
            except (SubmitError, CommitStatusError) as error:
                raise UnavailableError(
                    f"whether transaction 0x{error.tx_id} is committed isn't known: {error.reason}; ask for its receipt"
                ) from None
            except CommitError as error:
                raise UnavailableError(f"the transaction wasn't committed: {error.reason}; send it again") from None
            except GatewayError as error:
                # Attempts before were committed as invalid, or not ordered: they have no effect.
                if error.refusal not in _STALE or time.monotonic() >= deadline:
                    raise as_rpc_error(error) from None
                await asyncio.sleep(_STALE_PAUSE_SECONDS)
