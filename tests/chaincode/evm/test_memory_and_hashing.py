"""Memory grows in words and costs as it does; what is copied past an end is zeros."""

from __future__ import annotations

import pytest
from evm_world import BASE, OTHER, run, word_of

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.evm.errors import OutOfGas, ReturnDataOutOfBounds
from consilium_chaincode.evm.execution import AccountState
from consilium_chaincode.evm.keccak import EMPTY_HASH, keccak256


def test_keccak_of_nothing_is_the_well_known_one() -> None:
    assert EMPTY_HASH.hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (0, 32), (5, 40), (0, 1000)])
def test_keccak_of_memory(offset: int, size: int) -> None:
    memory = (0xBEEF).to_bytes(32, "big") + bytes(2000)
    code = assemble(0xBEEF, 0, "MSTORE", size, offset, "KECCAK256")
    assert word_of(code) == int.from_bytes(keccak256(memory[offset : offset + size]), "big")


@pytest.mark.parametrize(
    ("offset", "words"), [(0, 1), (1, 2), (32, 2), (22 * 32, 23), (1023 * 32, 1024), (4095 * 32, 4096)]
)
def test_memory_costs_three_a_word_and_its_square(offset: int, words: int) -> None:
    pushes = 3 if offset else 2
    assert run(assemble(offset, "MLOAD")).gas_used == BASE + pushes + 3 + 3 * words + words * words // 512


@pytest.mark.parametrize("offset", [2**32, 2**64, 2**256 - 1])
def test_memory_that_nobody_can_pay_for_halts(offset: int) -> None:
    assert isinstance(run(assemble(offset, "MLOAD")).error, OutOfGas)
    assert isinstance(run(assemble(1, offset, "MSTORE8")).error, OutOfGas)
    assert isinstance(run(assemble(1, offset, 0, "MCOPY")).error, OutOfGas)


def test_a_range_without_size_touches_nothing() -> None:
    assert run(assemble(0, 2**256 - 1, 2**255, "CALLDATACOPY MSIZE")).status == 1
    assert word_of(assemble(0, 2**256 - 1, 5, "MCOPY MSIZE")) == 0


def test_mstore8_writes_the_lowest_byte() -> None:
    assert word_of(assemble(0x1234, 31, "MSTORE8", 0, "MLOAD")) == 0x34


def test_mcopy_copies_overlapping_ranges_as_if_at_once() -> None:
    word = int.from_bytes(bytes(range(32)), "big")
    moved = word_of(assemble(word, 0, "MSTORE", 31, 0, 1, "MCOPY", 0, "MLOAD"))
    assert moved.to_bytes(32, "big") == bytes([0, *range(31)])


def test_mcopy_grows_memory_for_both_its_ranges() -> None:
    assert word_of(assemble(32, 96, 0, "MCOPY MSIZE")) == 128
    assert word_of(assemble(32, 0, 96, "MCOPY MSIZE")) == 128


def test_call_data_goes_on_with_zeros() -> None:
    assert word_of(assemble(2, "CALLDATALOAD"), data=b"\1\2\3") == 3 << 248
    assert word_of(assemble(2**255, "CALLDATALOAD"), data=b"\1") == 0
    assert word_of(assemble(32, 1, 0, "CALLDATACOPY", 0, "MLOAD"), data=b"\1\2\3") == 0x0203 << 240
    assert word_of(assemble("CALLDATASIZE"), data=b"\1\2\3") == 3


def test_code_can_be_read_its_own_and_others() -> None:
    own = assemble(32, 0, 0, "CODECOPY", 0, "MLOAD")
    assert word_of(own).to_bytes(32, "big")[: len(own)] == own
    others = {OTHER: AccountState(nonce=1, code=b"\xab\xcd")}
    address = int.from_bytes(OTHER, "big")
    assert word_of(assemble(32, 1, 0, address, "EXTCODECOPY", 0, "MLOAD"), others=others) == 0xCD << 248
    assert word_of(assemble(address, "EXTCODESIZE"), others=others) == 2
    assert word_of(assemble(address, "EXTCODEHASH"), others=others) == int.from_bytes(keccak256(b"\xab\xcd"), "big")


def test_the_code_hash_of_an_account_without_code_and_of_none() -> None:
    address = int.from_bytes(OTHER, "big")
    holder = {OTHER: AccountState(balance=1)}
    assert word_of(assemble(address, "EXTCODEHASH"), others=holder) == int.from_bytes(EMPTY_HASH, "big")
    assert word_of(assemble(address, "EXTCODEHASH")) == 0


def test_return_data_can_be_read_to_its_end_and_not_beyond() -> None:
    # The identity contract returns what it gets: here 3 bytes.
    call = assemble(0, 0, 3, 0, 4, "GAS STATICCALL POP")
    assert word_of(call + assemble("RETURNDATASIZE")) == 3
    assert run(call + assemble(3, 0, 0, "RETURNDATACOPY")).status == 1
    assert isinstance(run(call + assemble(3, 1, 0, "RETURNDATACOPY")).error, ReturnDataOutOfBounds)
    assert isinstance(run(call + assemble(0, 4, 0, "RETURNDATACOPY")).error, ReturnDataOutOfBounds)
