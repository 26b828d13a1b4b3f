"""The generator: which keys it asks for, when, how often, and what it says changed."""

from __future__ import annotations

import pytest
from evm_world import CONTRACT, ENVIRONMENT, OTHER, SENDER

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.evm.addresses import created_address
from consilium_chaincode.evm.errors import CorruptState
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.state_keys import Account, AccountKey, AnyStorageKey, CodeKey, SlotKey, StateKey, Turn
from consilium_chaincode.evm.transactions.forms import Transaction
from consilium_chaincode.evm.transactions.processing import Receipt, process_transaction


def drive(code: bytes, *, to: bytes | None = CONTRACT, data: bytes = b"") -> tuple[list[StateKey], Receipt]:
    """Run a call against a few keys, and note which are asked for."""
    values: dict[StateKey, bytes] = {
        AccountKey(SENDER): Account(3, 10**18, b"").encode(),
        AccountKey(CONTRACT): Account(1, 0, keccak256(code)).encode(),
        CodeKey(keccak256(code)): code,
        SlotKey(CONTRACT, 1): b"\x05",
    }
    asked: list[StateKey] = []
    steps = process_transaction(ENVIRONMENT, Transaction(to=to, gas=500_000, data=data), SENDER)
    try:
        key = next(steps)
        while True:
            asked.append(key)
            key = steps.send(values.get(key, b""))
    except StopIteration as stopped:
        receipt: Receipt = stopped.value
        return asked, receipt


def test_each_key_is_asked_for_once_and_only_when_needed() -> None:
    code = assemble(
        1, "SLOAD", 1, "SLOAD ADD", 2, "SSTORE", 2, "SLOAD", int.from_bytes(OTHER, "big"), "BALANCE BALANCE"
    )
    asked, receipt = drive(code)
    assert receipt.status == 1
    assert asked == [
        AccountKey(SENDER),
        AccountKey(CONTRACT),
        CodeKey(keccak256(code)),
        SlotKey(CONTRACT, 1),
        SlotKey(CONTRACT, 2),
        AccountKey(OTHER),
        AccountKey(bytes(20)),
    ]


def test_what_changed_is_said_in_a_fixed_order_and_nothing_else() -> None:
    _, receipt = drive(assemble(7, 9, "SSTORE", 0, 1, "SSTORE", 0, 3, "SSTORE", 4, 4, "SSTORE", 0, 4, "SSTORE"))
    assert list(receipt.changes.items()) == [
        (AccountKey(SENDER), Account(4, 10**18, b"").encode()),
        (SlotKey(CONTRACT, 1), b""),
        (SlotKey(CONTRACT, 9), b"\x07"),
    ]


def test_a_failed_transaction_changes_the_nonce_alone() -> None:
    _, receipt = drive(assemble(7, 9, "SSTORE PUSH0 PUSH0 REVERT"))
    assert list(receipt.changes) == [AccountKey(SENDER)]


def test_a_new_contracts_code_is_looked_for_once_and_its_slots_not_at_all() -> None:
    init_code = assemble(5, 0, "SSTORE", 0, "SLOAD POP") + assemble(1, "PUSH0 RETURN")
    address = created_address(SENDER, 3)
    asked, receipt = drive(b"\x00", to=None, data=init_code)
    code_hash = keccak256(b"\x00")
    assert asked == [AccountKey(SENDER), AccountKey(address), AnyStorageKey(address), CodeKey(code_hash)]
    assert list(receipt.changes) == [AccountKey(SENDER), AccountKey(address), SlotKey(address, 0)]


def test_code_that_the_ledger_lacks_is_written_by_its_hash() -> None:
    init_code = assemble(0xAB, "PUSH0 MSTORE8", 1, "PUSH0 RETURN")
    address = created_address(SENDER, 3)
    _, receipt = drive(b"\x00", to=None, data=init_code)
    code_hash = keccak256(b"\xab")
    assert receipt.changes[CodeKey(code_hash)] == b"\xab"
    assert receipt.changes[AccountKey(address)] == Account(1, 0, code_hash).encode()


def test_what_was_touched_makes_an_access_list() -> None:
    _, receipt = drive(assemble(1, "SLOAD", int.from_bytes(OTHER, "big"), "BALANCE", 4, "BALANCE"))
    assert receipt.touched_slots == {(CONTRACT, 1)}
    assert receipt.touched_addresses == {OTHER}


def test_what_a_frame_touched_that_failed_counts_as_touched() -> None:
    _, receipt = drive(assemble(1, "SLOAD", int.from_bytes(OTHER, "big"), "BALANCE PUSH0 PUSH0 REVERT"))
    assert (receipt.touched_slots, receipt.touched_addresses) == ({(CONTRACT, 1)}, {OTHER})


def test_a_long_execution_gives_turns() -> None:
    loop = assemble(0x300, "JUMPDEST", 1, "SWAP1 SUB DUP1", 3, "JUMPI")
    asked, receipt = drive(loop)
    assert receipt.status == 1
    assert asked.count(Turn()) == 2  # 0x300 times 7 instructions


def test_accounts_are_written_as_they_are_read() -> None:
    for account in (Account(0, 0, b""), Account(2**64 - 1, 2**256 - 1, b"\xab" * 32), Account(1, 0, b"")):
        assert Account.decode(account.encode()) == account
    with pytest.raises(CorruptState, match="41"):
        Account.decode(bytes(41))
