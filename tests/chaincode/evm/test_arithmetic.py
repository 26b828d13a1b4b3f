"""Arithmetic, comparisons and bits, on the words where they differ from Python's numbers."""

from __future__ import annotations

import pytest
from evm_world import BASE, run, word_of

from consilium_bench.evm_oracle.assembler import assemble

MAX = 2**256 - 1
MOST_NEGATIVE = 2**255


def signed(number: int) -> int:
    return number % 2**256


@pytest.mark.parametrize(
    ("operands", "name", "result"),
    [
        ((MAX, 2), "ADD", 1),
        ((2**200, 2**200), "MUL", 0),
        ((1, 2), "SUB", MAX),
        ((7, 2), "DIV", 3),
        ((7, 0), "DIV", 0),
        ((signed(-7), 2), "SDIV", signed(-3)),
        ((7, signed(-2)), "SDIV", signed(-3)),
        ((MOST_NEGATIVE, signed(-1)), "SDIV", MOST_NEGATIVE),
        ((signed(-7), 0), "SDIV", 0),
        ((7, 0), "MOD", 0),
        ((signed(-8), 3), "SMOD", signed(-2)),
        ((8, signed(-3)), "SMOD", 2),
        ((signed(-8), 0), "SMOD", 0),
        ((MAX, MAX, MAX - 1), "ADDMOD", 2),
        ((MAX, 1, 0), "ADDMOD", 0),
        ((MAX, MAX, 12), "MULMOD", MAX * MAX % 12),
        ((1, 1, 0), "MULMOD", 0),
        ((2, 256), "EXP", 0),
        ((0, 0), "EXP", 1),
        ((0, 0xFF), "SIGNEXTEND", MAX),
        ((0, 0x1_7F), "SIGNEXTEND", 0x7F),
        ((30, 2**247), "SIGNEXTEND", signed(-(2**247))),
        ((31, MOST_NEGATIVE), "SIGNEXTEND", MOST_NEGATIVE),
        ((MAX, 0xFF), "SIGNEXTEND", 0xFF),
        ((1, 2), "LT", 1),
        ((2, 1), "GT", 1),
        ((MAX, 0), "SLT", 1),
        ((0, MAX), "SGT", 1),
        ((0, 0), "SGT", 0),
        ((5, 5), "EQ", 1),
        ((0,), "ISZERO", 1),
        ((5,), "ISZERO", 0),
        ((0b1100, 0b1010), "AND", 0b1000),
        ((0b1100, 0b1010), "OR", 0b1110),
        ((0b1100, 0b1010), "XOR", 0b0110),
        ((0,), "NOT", MAX),
        ((31, 0x1234), "BYTE", 0x34),
        ((0, MAX), "BYTE", 0xFF),
        ((32, MAX), "BYTE", 0),
        ((1, MAX), "SHL", MAX - 1),
        ((256, 1), "SHL", 0),
        ((1, MAX), "SHR", MAX >> 1),
        ((256, MAX), "SHR", 0),
        ((1, MOST_NEGATIVE), "SAR", 3 << 254),
        ((256, MOST_NEGATIVE), "SAR", MAX),
        ((MAX, MOST_NEGATIVE - 1), "SAR", 0),
        ((0,), "CLZ", 256),
        ((MOST_NEGATIVE,), "CLZ", 0),
        ((MOST_NEGATIVE - 1,), "CLZ", 1),
        ((1,), "CLZ", 255),
    ],
)
def test_the_result_of(operands: tuple[int, ...], name: str, result: int) -> None:
    assert word_of(assemble(*reversed(operands), name)) == result


@pytest.mark.parametrize(
    ("name", "count", "price"),
    [
        ("ADD", 2, 3),
        ("MUL", 2, 5),
        ("SDIV", 2, 5),
        ("ADDMOD", 3, 8),
        ("CLZ", 1, 5),
        ("NOT", 1, 3),
        ("SIGNEXTEND", 2, 5),
    ],
)
def test_the_price_of(name: str, count: int, price: int) -> None:
    assert run(assemble(*[1] * count, name)).gas_used == BASE + 3 * count + price


@pytest.mark.parametrize(("exponent", "size"), [(0, 0), (0xFF, 1), (0x100, 2), (MAX, 32)])
def test_exponents_cost_by_their_bytes(exponent: int, size: int) -> None:
    pushes = 3 + (3 if exponent else 2)
    assert run(assemble(exponent, 3, "EXP")).gas_used == BASE + pushes + 10 + 50 * size
