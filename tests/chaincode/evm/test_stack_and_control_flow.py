"""The stack's two ends, jumps, and the ways in which a program ends."""

from __future__ import annotations

import pytest
from evm_world import BASE, CONTRACT, RETURN_WORD, run, word_of

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.evm.errors import (
    EvmError,
    InvalidJump,
    InvalidOpcode,
    OutOfGas,
    Reverted,
    StackOverflow,
    StackUnderflow,
)
from consilium_chaincode.evm.instructions import OPERATIONS
from consilium_chaincode.evm.opcodes import Opcode

KNOWN = {
    *Opcode,
    *range(Opcode.PUSH1, Opcode.PUSH1 + 32),
    *range(Opcode.DUP1, Opcode.DUP1 + 16),
    *range(Opcode.SWAP1, Opcode.SWAP1 + 16),
    *range(Opcode.LOG0, Opcode.LOG0 + 5),
}


def test_every_instruction_of_osaka_has_a_function() -> None:
    assert len(KNOWN) == 149
    assert {opcode for opcode in range(256) if OPERATIONS[opcode] is None} < KNOWN


@pytest.mark.parametrize("opcode", sorted(set(range(256)) - KNOWN))
def test_a_byte_without_meaning_takes_all_gas(opcode: int) -> None:
    result = run(assemble(1, 0, "SSTORE", bytes([opcode])))
    assert isinstance(result.error, InvalidOpcode)
    assert (result.status, result.gas_used, result.output) == (0, 1_000_000, b"")
    assert not result.state[CONTRACT].storage


@pytest.mark.parametrize("size", range(1, 33))
def test_push_takes_its_word_from_the_code(size: int) -> None:
    word = bytes(range(1, size + 1))
    assert word_of(bytes([Opcode.PUSH1 + size - 1]) + word) == int.from_bytes(word, "big")


def test_a_push_past_the_end_of_the_code_is_filled_with_zeros_and_the_program_stops() -> None:
    for size in range(1, 33):
        result = run(assemble("PUSH0 PUSH0 POP POP") + bytes([Opcode.PUSH1 + size - 1, 0xFF]))
        assert (result.status, result.gas_used) == (1, BASE + 4 * 2 + 3)


@pytest.mark.parametrize("depth", range(1, 17))
def test_dup_and_swap_reach_sixteen_words_deep(depth: int) -> None:
    words = list(range(100, 100 + depth + 1))
    assert word_of(assemble(*words, f"DUP{depth}")) == words[-depth]
    assert word_of(assemble(*words, f"SWAP{depth}")) == words[0]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (assemble("POP"), StackUnderflow),
        (assemble(1, "ADD"), StackUnderflow),
        (assemble(1, "DUP2"), StackUnderflow),
        (assemble(1, "SWAP1"), StackUnderflow),
        (assemble(1, 1, "LOG1"), StackUnderflow),
        (assemble(*[1] * 1025), StackOverflow),
        (assemble(*["PUSH0"] * 1025), StackOverflow),
        (assemble(*["ADDRESS"] * 1025), StackOverflow),
        (assemble(*[1] * 1024, "DUP1"), StackOverflow),
        (assemble(3, "JUMP"), InvalidJump),
        (assemble(1, 2**256 - 1, "JUMPI"), InvalidJump),
        # The JUMPDEST at 4 is part of a PUSH2's word.
        (assemble(4, "JUMP") + b"\x61\x5b\x5b\x5b", InvalidJump),
    ],
)
def test_what_halts_takes_all_gas(code: bytes, error: type[EvmError]) -> None:
    result = run(code)
    assert isinstance(result.error, error)
    assert (result.status, result.gas_used, result.output) == (0, 1_000_000, b"")


def test_the_stack_holds_1024_words() -> None:
    assert run(assemble(*[1] * 1024)).status == 1


def test_jumps_lead_to_jump_destinations() -> None:
    # 0: PUSH1 1, PUSH1 6, JUMPI, INVALID, JUMPDEST
    assert word_of(assemble(1, 6, "JUMPI", b"\xfe", "JUMPDEST", 42)) == 42
    assert word_of(assemble(0, 2**255, "JUMPI", 42)) == 42
    assert word_of(assemble("PC PC ADD PC ADD")) == 0 + 1 + 3


def test_gas_is_what_is_left_after_the_instruction() -> None:
    assert word_of(assemble("GAS"), gas=100_000) == 100_000 - BASE - 2


def test_the_last_unit_of_gas_is_enough_and_one_less_is_not() -> None:
    code = assemble(1, 2, "ADD")
    assert run(code, gas=BASE + 9).status == 1
    short = run(code, gas=BASE + 8)
    assert isinstance(short.error, OutOfGas)
    assert (short.status, short.gas_used) == (0, BASE + 8)


def test_a_revert_keeps_its_data_and_its_gas_and_undoes_the_rest() -> None:
    code = assemble(1, 0, "SSTORE", 7, "PUSH0 TSTORE", 0xBEEF, 0, "MSTORE", 2, 30, "REVERT")
    result = run(code)
    assert isinstance(result.error, Reverted)
    assert (result.status, result.output, result.logs) == (0, b"\xbe\xef", ())
    assert result.gas_used < 50_000
    assert not result.state[CONTRACT].storage


def test_an_empty_program_and_one_that_runs_off_its_end_succeed() -> None:
    assert run(b"").gas_used == BASE
    assert run(assemble("JUMPDEST")).gas_used == BASE + 1
    assert run(RETURN_WORD).status == 0
