"""Chaincode `evm` as typed calls, asked of the own organisation's peer; carried by any gateway."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from consilium_peers.errors import GatewayError
from consilium_peers.ethereum.rpc.refusals import as_rpc_error
from consilium_peers.gateway import Contract, SubmitResult, Transaction
from consilium_proto.canonical import Record, decode, encode
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.transactions import (
    AccessListAnswer,
    AccountReference,
    AccountView,
    CodeView,
    GasEstimate,
    IdentityAddress,
    IdentityTransaction,
    Inspection,
    Outcome,
    Question,
    RawTransaction,
    SignedTransaction,
    SlotReference,
    SlotView,
)

R = TypeVar("R", bound=Record)

QUESTION_SECONDS = 25.0
"""The chaincode gives up on a question after 20 seconds."""
MOST_QUESTIONS = 64
"""How many questions a peer has at once from one server; the others wait their turn."""


class EvmLedger:
    """Questions raise `RpcError`: the contract's refusal in known words, or that the peer is away."""

    def __init__(self, reader: Contract, writer: Contract) -> None:
        """Take the contract twice: through the own organisation's peer alone, whose word is trusted, and through any.

        What a transaction does, several organisations' peers endorse, whoever carries it.
        """
        self._reader = reader
        self._writer = writer
        self._room = asyncio.Semaphore(MOST_QUESTIONS)

    async def terms(self) -> EvmTerms:
        """Return the terms in force."""
        return await self._ask("ReadTerms", None, EvmTerms)

    async def own_address(self) -> str:
        """Return the address of the identity that asks."""
        return (await self._ask("ReadOwnAddress", None, IdentityAddress)).address

    async def account(self, address: str) -> AccountView:
        """Return an account."""
        return await self._ask("ReadAccount", AccountReference(address=address), AccountView)

    async def code(self, address: str) -> str:
        """Return an account's code."""
        return (await self._ask("ReadCode", AccountReference(address=address), CodeView)).code

    async def slot(self, address: str, slot: str) -> str:
        """Return a word of an account's storage."""
        return (await self._ask("ReadSlot", SlotReference(address=address, slot=slot), SlotView)).word

    async def call(self, question: Question) -> Outcome:
        """Return what a call would do."""
        return await self._ask("Call", question, Outcome)

    async def estimate_gas(self, question: Question) -> GasEstimate:
        """Return the least gas limit with which a transaction succeeds."""
        return await self._ask("EstimateGas", question, GasEstimate)

    async def create_access_list(self, question: Question) -> AccessListAnswer:
        """Return the access list that serves a transaction."""
        return await self._ask("CreateAccessList", question, AccessListAnswer)

    async def inspect(self, raw: str, block_number: int) -> Inspection:
        """Look at a signed transaction before it is sent."""
        return await self._ask("Inspect", RawTransaction(raw=raw, block_number=block_number), Inspection)

    async def endorse(self, transaction: SignedTransaction, seconds: float) -> Transaction:
        """Gather endorsements of a signed transaction.

        Raises:
            EndorseError: refused, or too few peers endorsed; nothing was ordered.
        """
        return await self._writer.propose("SendRawTransaction", encode(transaction)).endorse(seconds)

    async def execute(self, transaction: IdentityTransaction, seconds: float) -> SubmitResult:
        """Execute a transaction of the own identity and wait until it is committed.

        Raises:
            GatewayError: by the stage at which it failed; see `Contract.submit`.
        """
        return await self._writer.submit("Execute", encode(transaction), timeout=seconds)

    async def _ask(self, function: str, argument: Record | None, kind: type[R]) -> R:
        given = b"" if argument is None else encode(argument)
        try:
            async with self._room:
                return decode(kind, await self._reader.evaluate(function, given, timeout=QUESTION_SECONDS))
        except GatewayError as error:
            raise as_rpc_error(error) from None
