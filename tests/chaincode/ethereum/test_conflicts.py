"""Accounts, codes and slots are keys of their own: who touches different ones doesn't get in each other's way."""

from __future__ import annotations

from ethereum_world import CLEVELAND, CONFLICT, VALID, ZURICH, EvmLedger, deploying, identity_transaction

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.evm.keccak import keccak256

# Writes the second word of the call data to the slot that the first names.
STORE = assemble(32, "CALLDATALOAD PUSH0 CALLDATALOAD SSTORE")
COPY = assemble("PUSH0 CALLDATALOAD SLOAD", 32, "CALLDATALOAD SSTORE")


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


async def test_writers_of_different_slots_of_one_contract_both_succeed() -> None:
    ledger = EvmLedger()
    store = await ledger.create(STORE)
    first = await ledger.propose("Execute", identity_transaction(store, words(1, 11)), by=CLEVELAND)
    second = await ledger.propose("Execute", identity_transaction(store, words(2, 22)), by=ZURICH)
    assert ledger.ledger.commit([first, second]) == [VALID, VALID]


async def test_of_two_writers_of_one_slot_the_second_fails() -> None:
    ledger = EvmLedger()
    store = await ledger.create(STORE)
    first = await ledger.propose("Execute", identity_transaction(store, words(1, 11)), by=CLEVELAND)
    second = await ledger.propose("Execute", identity_transaction(store, words(1, 22)), by=ZURICH)
    assert ledger.ledger.commit([first, second]) == [VALID, CONFLICT]


async def test_a_reader_of_a_slot_conflicts_with_its_writer() -> None:
    ledger = EvmLedger()
    copy = await ledger.create(COPY)
    ledger.place(b"\xc5" * 20, STORE)
    await ledger.commit(await ledger.propose("Execute", identity_transaction(copy, words(1, 2))))
    writer = await ledger.propose("Execute", identity_transaction(copy, words(9, 1)), by=CLEVELAND)
    assert ("evm/", state_keys.slot(copy, 1)) in writer.reads
    reader = await ledger.propose("Execute", identity_transaction(copy, words(1, 3)), by=ZURICH)
    bystander = await ledger.propose("Execute", identity_transaction(b"\xc5" * 20, words(1, 3)), by=ZURICH)
    ledger.write(state_keys.slot(copy, 1), b"\x05")
    assert ledger.ledger.commit([reader]) == [CONFLICT]
    assert ledger.ledger.commit([bystander]) == [VALID]


async def test_two_transactions_of_one_sender_conflict_by_its_nonce() -> None:
    ledger = EvmLedger()
    store = await ledger.create(STORE)
    both = [await ledger.propose("Execute", identity_transaction(store, words(n, 1))) for n in (1, 2)]
    assert ledger.ledger.commit(both) == [VALID, CONFLICT]


async def test_code_is_written_once_and_its_users_arent_disturbed_by_another_creation() -> None:
    ledger = EvmLedger()
    store = await ledger.create(STORE)
    key = ("evm/", state_keys.code(keccak256(STORE)))
    again = await ledger.propose("Execute", identity_transaction(None, deploying(STORE)), by=CLEVELAND)
    assert key not in again.writes
    user = await ledger.propose("Execute", identity_transaction(store, words(1, 1)), by=ZURICH)
    assert ledger.ledger.commit([again, user]) == [VALID, VALID]


async def test_receipts_of_other_transactions_never_conflict() -> None:
    ledger = EvmLedger()
    simulations = [
        await ledger.propose("Execute", identity_transaction(b"\xc5" * 20), by=by) for by in (CLEVELAND, ZURICH)
    ]
    for simulation in simulations:
        written = {name for _, name in simulation.writes}
        assert state_keys.receipt(bytes.fromhex(simulation.tx_id)) in written
        assert len(written) == 2  # the sender's nonce, the receipt
    assert ledger.ledger.commit(simulations) == [VALID, VALID]
