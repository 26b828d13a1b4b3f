"""Access lists are exact: with the list, a transaction touches what the list says."""

from __future__ import annotations

from random import Random

from ethereum_world import (
    CLEVELAND,
    HEIGHT,
    SENDER,
    EvmLedger,
    deploying,
    entry,
    identity_transaction,
    question,
)

from consilium_bench.evm_oracle.assembler import assemble
from consilium_bench.evm_oracle.programs import ProgramWriter
from consilium_chaincode.ethereum.addresses import identity_address
from consilium_proto.canonical import decode
from consilium_proto.ethereum.scalars import as_data
from consilium_proto.ethereum.transactions import AccessEntry, AccessListAnswer, Outcome, ReceiptRecord

CONTRACT, INNER, OTHER = (bytes([byte]) * 20 for byte in (0xC1, 0xC2, 0xC3))
COINBASE = bytes(20)
RANDOM_PROGRAMS = 150


def number(address: bytes) -> int:
    return int.from_bytes(address, "big")


async def served(ledger: EvmLedger, to: bytes | None, data: bytes = b"") -> tuple[AccessEntry, ...]:
    """Return a transaction's list, once asking with it gives it again and the outcome is the transaction's own."""
    own = as_data(identity_address(CLEVELAND))
    answer = await ledger.ask("CreateAccessList", question(to, data, sender=own), AccessListAnswer)
    again = question(to, data, sender=own, access_list=answer.access_list)
    assert await ledger.ask("CreateAccessList", again, AccessListAnswer) == answer
    simulation = await ledger.propose("Execute", identity_transaction(to, data, access_list=answer.access_list))
    receipt = decode(ReceiptRecord, simulation.result)
    outcome = answer.outcome
    assert (receipt.status, receipt.gas_used, receipt.output) == (outcome.status, outcome.gas_used, outcome.output)
    return answer.access_list


async def test_what_a_program_touches_is_listed_and_what_is_warm_anyway_is_not() -> None:
    ledger = EvmLedger()
    ledger.place(INNER, assemble(3, "SLOAD"))
    touched = (OTHER, CONTRACT, COINBASE, (4).to_bytes(20, "big"))
    balances = assemble(*(part for each in touched for part in (number(each), "BALANCE POP")), "CALLER BALANCE POP")
    inner = assemble("PUSH0 PUSH0 PUSH0 PUSH0 PUSH0", number(INNER), "GAS CALL POP")
    ledger.place(CONTRACT, assemble(2, "SLOAD", 1, "SLOAD") + balances + inner)
    assert await served(ledger, CONTRACT) == (entry(CONTRACT, 1, 2), entry(INNER, 3), entry(OTHER))


async def test_what_a_frame_touched_that_reverted_is_listed() -> None:
    ledger = EvmLedger()
    ledger.place(INNER, assemble(3, "SLOAD", number(OTHER), "BALANCE PUSH0 PUSH0 REVERT"))
    ledger.place(CONTRACT, assemble("PUSH0 PUSH0 PUSH0 PUSH0 PUSH0", number(INNER), "GAS CALL"))
    assert await served(ledger, CONTRACT) == (entry(INNER, 3), entry(OTHER))


async def test_a_new_contracts_slots_are_listed_its_bare_address_is_not() -> None:
    ledger = EvmLedger()
    assert await served(ledger, None, deploying(b"\x00")) == ()
    ((address, slots),) = [(each.address, each.slots) for each in await served(ledger, None, assemble(1, 9, "SSTORE"))]
    assert slots == (f"0x{9:064x}",)
    assert address not in (as_data(SENDER), as_data(CONTRACT))


async def test_a_program_that_reads_by_its_gas_gets_a_list_that_stays() -> None:
    ledger = EvmLedger()
    # A slot for every thousand units of gas that are left: each entry of the list changes which one.
    ledger.place(CONTRACT, assemble(1_000, "GAS DIV SLOAD"))
    listed = await served(ledger, CONTRACT)
    assert [each.address for each in listed] == [as_data(CONTRACT)]


async def test_the_outcome_is_the_one_with_the_list() -> None:
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble(number(OTHER), "BALANCE"))
    plain = await ledger.ask("Call", question(CONTRACT), Outcome)
    answer = await ledger.ask("CreateAccessList", question(CONTRACT), AccessListAnswer)
    assert int(answer.outcome.gas_used, 16) - int(plain.gas_used, 16) == 2_400 - 2_500


async def test_lists_of_random_programs_come_out_again() -> None:
    addresses = [bytes([number]) * 20 for number in range(0xD1, 0xD5)]
    entries = 0
    for seed in range(RANDOM_PROGRAMS):
        writer = ProgramWriter(Random(seed), addresses, HEIGHT)
        ledger = EvmLedger()
        for address in addresses:
            ledger.place(address, writer.program(), {0: 1, 1: 5})
        entries += len(await served(ledger, addresses[0], b"\x05" * 40))
    assert entries > RANDOM_PROGRAMS
