"""Calls: who sees what, what gas goes along, what comes back, how deep it goes."""

from __future__ import annotations

import pytest
from evm_world import BASE, CONTRACT, OTHER, RETURN_WORD, SENDER, run, word_of

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.evm.execution import AccountState
from consilium_chaincode.evm.state_keys import AccountKey

TARGET = int.from_bytes(OTHER, "big")
RETURN_CALL = assemble(32, "PUSH0 PUSH0 PUSH0")


def called(name: str, code: bytes, value: int = 0, balance: int = 0) -> int:
    """Return the word that the other account's code returns when it is called."""
    pushed = [value] if name in ("CALL", "CALLCODE") else []
    outer = assemble(32, 0, 0, 0, *pushed, TARGET, "GAS", name, "POP PUSH0 MLOAD")
    return word_of(outer, others={OTHER: AccountState(nonce=1, code=code + RETURN_WORD)}, balance=balance)


@pytest.mark.parametrize(
    ("name", "address", "caller", "value"),
    [
        ("CALL", OTHER, CONTRACT, 5),
        ("CALLCODE", CONTRACT, CONTRACT, 5),
        ("DELEGATECALL", CONTRACT, SENDER, 0),
        ("STATICCALL", OTHER, CONTRACT, 0),
    ],
)
def test_who_the_called_code_sees(name: str, address: bytes, caller: bytes, value: int) -> None:
    assert called(name, assemble("ADDRESS"), value, balance=9) == int.from_bytes(address, "big")
    assert called(name, assemble("CALLER"), value, balance=9) == int.from_bytes(caller, "big")
    assert called(name, assemble("CALLVALUE"), value, balance=9) == value
    assert called(name, assemble("ORIGIN"), value, balance=9) == int.from_bytes(SENDER, "big")


def test_a_call_with_value_moves_it_and_brings_a_stipend() -> None:
    code = assemble(0, 0, 0, 0, 5, TARGET, 0, "CALL") + RETURN_WORD
    others = {OTHER: AccountState(nonce=1, code=assemble("GAS PUSH0 MSTORE", 32, "PUSH0 RETURN"))}
    result = run(code, others=others, balance=9)
    assert (result.state[OTHER].balance, result.state[CONTRACT].balance) == (5, 4)
    assert int.from_bytes(result.output, "big") == 1


def test_value_to_nobody_makes_an_account_and_costs_so() -> None:
    pushes = 4 * 2 + 2 * 3 + 2
    existing = run(assemble(0, 0, 0, 0, 5, TARGET, 0, "CALL"), balance=9, others={OTHER: AccountState(balance=1)})
    fresh = run(assemble(0, 0, 0, 0, 5, TARGET, 0, "CALL"), balance=9)
    # An account without code gives the stipend back.
    assert existing.gas_used == BASE + pushes + 2_600 + 9_000 - 2_300
    assert fresh.gas_used == existing.gas_used + 25_000


def test_a_call_that_cannot_be_paid_fails_and_gives_its_gas_back() -> None:
    code = assemble(0, 0, 0, 0, 5, TARGET, 100_000, "CALL") + RETURN_WORD
    result = run(code, others={OTHER: AccountState(nonce=1, code=b"\xfe")})
    assert int.from_bytes(result.output, "big") == 0
    assert result.gas_used < 40_000


def test_one_64th_of_the_gas_stays() -> None:
    code = assemble(0, 0, 0, 0, TARGET, 2**256 - 1, "STATICCALL GAS") + RETURN_WORD
    before = 1_000_000 - BASE - 4 * 2 - 3 - 3 - 2_600
    result = run(code, others={OTHER: AccountState(nonce=1, code=b"\xfe")})
    assert int.from_bytes(result.output, "big") == before // 64 - 2


def test_output_is_cut_to_what_was_asked_for_and_return_data_is_whole() -> None:
    others = {OTHER: AccountState(nonce=1, code=assemble(2**256 - 1) + RETURN_WORD)}
    call = assemble(4, 0, 0, 0, TARGET, "GAS STATICCALL POP")
    assert word_of(call + assemble("PUSH0 MLOAD"), others=others) == 0xFFFFFFFF << 224
    assert word_of(call + assemble("RETURNDATASIZE"), others=others) == 32


def test_a_call_that_reverts_returns_its_data_and_undoes_its_writes() -> None:
    inner = assemble(1, 0, "SSTORE", 0xAB, "PUSH0 MSTORE8", 1, 0, "REVERT")
    call = assemble(0, 0, 0, 0, 0, TARGET, "GAS CALL POP RETURNDATASIZE PUSH0 PUSH0 RETURNDATACOPY PUSH0 MLOAD")
    result = run(call + RETURN_WORD, others={OTHER: AccountState(nonce=1, code=inner)})
    assert int.from_bytes(result.output, "big") == 0xAB << 248
    assert not result.state[OTHER].storage


def test_what_a_failed_call_warmed_is_cold_again() -> None:
    inner = assemble(5, "SLOAD", "PUSH0 PUSH0 REVERT")
    code = assemble(0, 0, 0, 0, 50_000, TARGET, "SWAP1 DELEGATECALL POP GAS", 5, "SLOAD POP GAS SWAP1 SUB")
    # GAS 2, PUSH1 3, POP 2 and a cold SLOAD lie between the two readings.
    assert word_of(code, others={OTHER: AccountState(nonce=1, code=inner)}) == 3 + 2_100 + 2 + 2


def test_calls_go_1024_deep_without_recursion_here() -> None:
    # Counts in slot 0 and calls itself with all the gas that may go along.
    code = assemble("PUSH0 TLOAD", 1, "ADD DUP1 PUSH0 TSTORE PUSH0 PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS GAS CALL POP")
    code += assemble("PUSH0 TLOAD") + RETURN_WORD
    result = run(code, gas=2**24)
    depth = int.from_bytes(result.output, "big")
    assert result.status == 1
    assert 300 < depth <= 1025
    assert word_of(code[: -len(RETURN_WORD)], gas=2**24) == depth


def test_a_precompiled_contract_asks_the_ledger_for_nothing() -> None:
    result = run(assemble(0, 0, 0, 0, 4, "GAS STATICCALL"))
    assert result.status == 1
    assert not any(
        isinstance(key, AccountKey) and key.address == (4).to_bytes(20, "big") for key in result.receipt.changes
    )


def test_logs_carry_topics_and_data_in_order_and_those_of_failed_calls_are_gone() -> None:
    inner = assemble(0, 0, "LOG0 PUSH0 PUSH0 REVERT")
    call = assemble(0, 0, 0, 0, 0, TARGET, "GAS CALL POP")
    code = assemble(0xAB, "PUSH0 MSTORE8", 2, 1, 1, 0, "LOG2") + call + assemble(0, 0, "LOG0")
    result = run(code, others={OTHER: AccountState(nonce=1, code=inner)})
    words = tuple(number.to_bytes(32, "big") for number in (1, 2))
    assert [(log.address, log.topics, log.data) for log in result.logs] == [
        (CONTRACT, words, b"\xab"),
        (CONTRACT, (), b""),
    ]
