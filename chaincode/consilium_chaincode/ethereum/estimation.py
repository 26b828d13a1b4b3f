"""The least gas limit with which a transaction succeeds."""

from __future__ import annotations

from dataclasses import replace

from consilium_chaincode.ethereum.execution import run_on
from consilium_chaincode.ethereum.ledger_reads import LedgerReads
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.gas import CALL_GAS_DIVISOR, GAS_CALL_STIPEND
from consilium_chaincode.evm.transactions.forms import Transaction
from consilium_chaincode.evm.transactions.intrinsic import intrinsic_gas
from consilium_chaincode.evm.transactions.processing import Receipt


async def least_gas(
    reads: LedgerReads, environment: Environment, transaction: Transaction, sender: bytes
) -> tuple[int | None, Receipt]:
    """Return the least gas limit up to `transaction.gas` with which it succeeds, and what it does with that limit.

    What a transaction consumes isn't enough where it calls others: a caller keeps one part in 64 of its gas to itself
    (EIP-150), so the limit is searched between one that fails and one that succeeds. The one found succeeds, and one
    unit less fails; where a program's success doesn't grow with its gas there may be others below. Without any, as
    far as the most that is allowed can tell, it is None, and the receipt is that of the failure.

    Raises:
        Refused: the transaction isn't valid, whatever its gas.
    """
    best = await run_on(reads, environment, transaction, sender)
    if best.status != 1:
        return None, best
    # The limit that is known to fail, and the one that is known to do.
    low, high = max(intrinsic_gas(transaction)) - 1, transaction.gas
    consumed = best.gas_consumed
    # Most programs need what they consume. Those that call others need a little more.
    guesses = [consumed, consumed - 1, (consumed + GAS_CALL_STIPEND) * CALL_GAS_DIVISOR // (CALL_GAS_DIVISOR - 1)]
    while high - low > 1:
        limit = _next(guesses, low, high)
        receipt = await run_on(reads, environment, replace(transaction, gas=limit), sender)
        if receipt.status == 1:
            high, best = limit, receipt
        else:
            low = limit
    return high, best


def _next(guesses: list[int], low: int, high: int) -> int:
    """Return the next guess between the bounds, the middle when there is none."""
    while guesses:
        guess = guesses.pop(0)
        if low < guess < high:
            return guess
    return (low + high) // 2
