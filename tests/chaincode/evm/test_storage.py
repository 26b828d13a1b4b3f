"""Storage: prices and refunds as EIP-3529's table has them, originals, transient storage, access lists."""

from __future__ import annotations

import pytest
from evm_world import BASE, CONTRACT, run, word_of

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.evm.errors import OutOfGas
from consilium_chaincode.evm.transactions.forms import Access, TransactionType

WARM = {"access_list": (Access(CONTRACT, (0,)),), "type": TransactionType.ACCESS_LIST}
ACCESS_LIST_COST = 2_400 + 1_900


@pytest.mark.parametrize(
    ("code", "original", "cost", "refund"),
    [
        ("60006000556000600055", 0, 212, 0),
        ("60006000556001600055", 0, 20_112, 0),
        ("60016000556000600055", 0, 20_112, 19_900),
        ("60016000556002600055", 0, 20_112, 0),
        ("60016000556001600055", 0, 20_112, 0),
        ("60006000556000600055", 1, 3_012, 4_800),
        ("60006000556001600055", 1, 3_012, 2_800),
        ("60006000556002600055", 1, 3_012, 0),
        ("60026000556000600055", 1, 3_012, 4_800),
        ("60026000556003600055", 1, 3_012, 0),
        ("60026000556001600055", 1, 3_012, 2_800),
        ("60026000556002600055", 1, 3_012, 0),
        ("60016000556000600055", 1, 3_012, 4_800),
        ("60016000556002600055", 1, 3_012, 0),
        ("60016000556001600055", 1, 212, 0),
        ("600160005560006000556001600055", 0, 40_118, 19_900),
        ("600060005560016000556000600055", 1, 5_918, 7_600),
    ],
)
def test_writes_cost_and_give_back_what_eip_3529_says(code: str, original: int, cost: int, refund: int) -> None:
    result = run(bytes.fromhex(code), storage={0: original}, **WARM)
    used = BASE + ACCESS_LIST_COST + cost
    assert result.gas_used == used - min(refund, used // 5)


def test_the_first_touch_of_a_slot_costs_more_than_the_next() -> None:
    assert run(assemble(7, "SLOAD", 7, "SLOAD")).gas_used == BASE + 2 * 3 + 2_100 + 100
    assert run(assemble(0, "SLOAD"), **WARM).gas_used == BASE + ACCESS_LIST_COST + 2 + 100
    assert run(assemble(1, 7, "SSTORE")).gas_used == BASE + 2 * 3 + 2_100 + 20_000


def test_a_write_with_no_more_than_the_stipend_left_halts() -> None:
    code = assemble(0, 0, "SSTORE")
    assert isinstance(run(code, gas=BASE + 4 + 2_300).error, OutOfGas)
    assert run(code, gas=BASE + 4 + 2_301).status == 1


def test_zero_leaves_nothing_in_storage() -> None:
    assert run(assemble(0, 0, "SSTORE"), storage={0: 5, 1: 6}).state[CONTRACT].storage == {1: 6}


def test_transient_storage_lasts_through_calls_and_no_longer_than_the_transaction() -> None:
    # Called by itself, it returns what it finds; called from outside, it writes and calls itself.
    code = assemble(
        "CALLER ADDRESS EQ", 0x20, "JUMPI", 42, 0, "TSTORE", 32, "PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS GAS CALL POP"
    )
    code += assemble(32, 0, "RETURN")
    code = code.ljust(0x20, b"\0") + assemble("JUMPDEST PUSH0 TLOAD PUSH0 MSTORE", 32, "PUSH0 RETURN")
    assert int.from_bytes(run(code).output, "big") == 42
    assert word_of(assemble(0, "TLOAD")) == 0


def test_nothing_is_written_below_a_static_call() -> None:
    for write in (
        assemble(1, 0, "SSTORE"),
        assemble(1, 0, "TSTORE"),
        assemble(0, 0, "LOG0"),
        assemble(0, "SELFDESTRUCT"),
    ):
        code = assemble("CALLER ADDRESS EQ", 0x20, "JUMPI PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS", 50_000, "STATICCALL")
        code += assemble("PUSH0 MSTORE", 32, "PUSH0 RETURN")
        code = code.ljust(0x20, b"\0") + assemble("JUMPDEST") + write
        result = run(code)
        assert result.status == 1
        assert int.from_bytes(result.output, "big") == 0, "the inner frame must fail"
        assert result.gas_used > 50_000
