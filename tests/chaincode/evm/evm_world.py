"""A small world for programs: a sender with means, a contract with the code under test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consilium_chaincode.evm import interpreter
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.execution import AccountState, ExecutionResult, answer_from, execute
from consilium_chaincode.evm.frame import Context, Message
from consilium_chaincode.evm.journal import Journal
from consilium_chaincode.evm.transactions.forms import Transaction

SENDER = bytes([0xAA]) * 20
CONTRACT = bytes([0xCC]) * 20
OTHER = bytes([0xDD]) * 20
BASE = 21_000
ENVIRONMENT = Environment(chain_id=1337, number=1_000, timestamp=1_700_000_000)
RETURN_WORD = bytes.fromhex("5f5260205ff3")
"""PUSH0 MSTORE, then RETURN of that word."""


def run(
    code: bytes,
    *,
    data: bytes = b"",
    gas: int = 1_000_000,
    storage: Mapping[int, int] | None = None,
    others: Mapping[bytes, AccountState] | None = None,
    balance: int = 0,
    environment: Environment = ENVIRONMENT,
    **transaction: Any,
) -> ExecutionResult:
    """Call the contract with this code."""
    state = {
        SENDER: AccountState(balance=10**18),
        CONTRACT: AccountState(nonce=1, balance=balance, code=code, storage=storage or {}),
        **(others or {}),
    }
    return execute(state, environment, Transaction(to=CONTRACT, gas=gas, data=data, **transaction), SENDER)


def word_of(code: bytes, **options: Any) -> int:
    """Return the word on top of the stack after the code."""
    result = run(code + RETURN_WORD, **options)
    assert result.status == 1, result.error
    return int.from_bytes(result.output, "big")


def call_precompile(number: int, data: bytes, gas: int = 10_000_000) -> tuple[bytes | None, int]:
    """Return a precompiled contract's output, None when it fails, and the gas that it takes."""
    context = Context(ENVIRONMENT, Journal(), SENDER, 0)
    address = number.to_bytes(20, "big")
    message = Message(SENDER, address, gas, 0, data, b"", address)
    outcome = answer_from({}, interpreter.run(context, message))
    return None if outcome.error else outcome.output, gas - outcome.gas_left
