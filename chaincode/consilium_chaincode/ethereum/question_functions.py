"""What would happen: calls, estimates, access lists, and a look at a signed transaction before it is sent.

All are queries: one peer answers, nothing is written, and the time and block that are asked for are taken as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any, TypeVar

from consilium_chaincode.ethereum.access_lists import serving_list
from consilium_chaincode.ethereum.contract_parts import EthereumPart
from consilium_chaincode.ethereum.environment import environment_of, terms_in_force
from consilium_chaincode.ethereum.estimation import least_gas
from consilium_chaincode.ethereum.execution import run_on
from consilium_chaincode.ethereum.ledger_reads import LedgerReads
from consilium_chaincode.ethereum.pace import on_a_loop
from consilium_chaincode.ethereum.receipts import output_of, reason_of
from consilium_chaincode.ethereum.transaction_functions import accesses, decoded
from consilium_chaincode.evm.delegation import Authorization
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.signatures import Signature
from consilium_chaincode.evm.state_keys import Account, AccountKey
from consilium_chaincode.evm.transactions.decoding import SignedTransaction
from consilium_chaincode.evm.transactions.forms import Access, Transaction, TransactionType
from consilium_chaincode.evm.transactions.processing import Receipt
from consilium_chaincode.federation.contract_parts import check_any_reader, takes
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.shim.contract import query
from consilium_chaincode.shim.stub import ChaincodeStub
from consilium_proto.canonical import encode
from consilium_proto.ethereum.scalars import as_data, as_quantity, from_data, from_quantity
from consilium_proto.ethereum.transactions import (
    AccessEntry,
    AccessListAnswer,
    AuthorizationEntry,
    GasEstimate,
    Inspection,
    Outcome,
    Question,
    RawTransaction,
)
from consilium_proto.refusals import RefusalCode

ANSWER_SECONDS = 20.0
"""How long a question may take. A transaction has 27 seconds (`shim.dispatcher.Deadlines`), a peer's patience 30."""

T = TypeVar("T")


class QuestionFunctions(EthereumPart):
    """Call, EstimateGas, CreateAccessList, Inspect."""

    @query("Call")
    @takes(Question)
    async def call(self, stub: ChaincodeStub, question: Question) -> bytes:
        """Return what a call would do now."""
        check_any_reader(stub)
        reads, environment, asked, sender = await _prepared(stub, question)
        receipt = await self._in_time(run_on(reads, environment, asked, sender))
        return encode(_outcome(receipt))

    @query("EstimateGas")
    @takes(Question)
    async def estimate_gas(self, stub: ChaincodeStub, question: Question) -> bytes:
        """Return the least gas limit with which the transaction succeeds; none where it fails with all that it may."""
        check_any_reader(stub)
        reads, environment, asked, sender = await _prepared(stub, question)
        gas, receipt = await self._in_time(least_gas(reads, environment, asked, sender))
        return encode(GasEstimate(gas=None if gas is None else as_quantity(gas), outcome=_outcome(receipt)))

    @query("CreateAccessList")
    @takes(Question)
    async def create_access_list(self, stub: ChaincodeStub, question: Question) -> bytes:
        """Return the access list that serves the transaction, and its outcome with that list."""
        check_any_reader(stub)
        reads, environment, asked, sender = await _prepared(stub, question)
        listed, receipt = await self._in_time(serving_list(reads, environment, asked, sender))
        return encode(AccessListAnswer(access_list=_entries(listed), outcome=_outcome(receipt)))

    @query("Inspect")
    @takes(RawTransaction)
    async def inspect(self, stub: ChaincodeStub, argument: RawTransaction) -> bytes:
        """Return whose a signed transaction is and what it would read, and whether it could be executed now."""
        check_any_reader(stub)
        terms = await terms_in_force(stub)
        signed = decoded(from_data(argument.raw), terms.chain_id)
        environment = environment_of(stub, terms, argument.block_number)
        return encode(await self._in_time(_inspection(LedgerReads(stub), environment, signed)))

    async def _in_time(self, answer: Coroutine[Any, Any, T]) -> T:
        """Wait for an answer, and for its turn to be computed, as long as a question may take."""
        try:
            # Who orders a question as a transaction has it replayed: what was endorsed was answered in time.
            limit = asyncio.timeout(ANSWER_SECONDS) if on_a_loop() else contextlib.nullcontext()
            async with limit, self.computing:
                return await answer
        except TimeoutError:
            raise Refused(
                RefusalCode.DEADLINE_PASSED,
                f"the answer takes more than {ANSWER_SECONDS:g} s; ask with less gas, or when less is asked",
            ) from None
        finally:
            answer.close()


async def _prepared(stub: ChaincodeStub, question: Question) -> tuple[LedgerReads, Environment, Transaction, bytes]:
    """Return what an attempt at the question's transaction takes; its gas is at most the channel's cap."""
    terms = await terms_in_force(stub)
    most = terms.gas_cap if question.gas is None else min(from_quantity(question.gas), terms.gas_cap)
    asked = Transaction(
        to=None if question.to is None else from_data(question.to),
        gas=most,
        data=from_data(question.data),
        value=from_quantity(question.value),
        access_list=accesses(question.access_list),
        authorizations=tuple(_authorization(each) for each in question.authorizations),
        type=_type_of(question),
    )
    sender = from_data(question.sender)
    reads = LedgerReads(stub)
    await reads.prefetch((sender,) if asked.to is None else (sender, asked.to), asked.access_list)
    return reads, environment_of(stub, terms, question.block_number), asked, sender


def _type_of(question: Question) -> TransactionType:
    if question.authorizations:
        return TransactionType.SET_CODE
    return TransactionType.ACCESS_LIST if question.access_list else TransactionType.LEGACY


def _authorization(entry: AuthorizationEntry) -> Authorization:
    return Authorization(
        chain_id=from_quantity(entry.chain_id),
        address=from_data(entry.address),
        nonce=from_quantity(entry.nonce),
        signature=Signature(from_quantity(entry.y_parity), from_quantity(entry.r), from_quantity(entry.s)),
    )


async def _inspection(reads: LedgerReads, environment: Environment, signed: SignedTransaction) -> Inspection:
    account = Account.decode(await reads.value(AccountKey(signed.sender)))
    try:
        await run_on(reads, environment, replace(signed.transaction, nonce=account.nonce), signed.sender)
    except Refused as refused:
        problem = refused.explanation
    else:
        problem = ""
    return Inspection(
        hash=as_data(signed.hash),
        sender=as_data(signed.sender),
        nonce=as_quantity(signed.transaction.nonce or 0),
        next_nonce=as_quantity(account.nonce),
        prefetch=_entries(reads.entries()),
        problem=problem,
    )


def _outcome(receipt: Receipt) -> Outcome:
    return Outcome(
        status=receipt.status,
        output=output_of(receipt),
        gas_used=as_quantity(receipt.gas_used),
        error=reason_of(receipt.error),
    )


def _entries(listed: Iterable[Access]) -> tuple[AccessEntry, ...]:
    return tuple(
        AccessEntry(address=as_data(each.address), slots=tuple(f"0x{slot:064x}" for slot in each.slots))
        for each in listed
    )
