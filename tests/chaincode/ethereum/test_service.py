"""The chaincode as a service: how many messages a transaction costs, and that nobody makes others wait."""

from __future__ import annotations

import asyncio
import time

import pytest
from answering_peer import answering, tx_id_of
from ethereum_world import GAS_CAP, TERMS, EvmLedger, entry, identity_transaction, question
from msgspec.structs import replace

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.ethereum.pace import COMPUTATIONS
from consilium_chaincode.shim.dispatcher import Deadlines
from consilium_proto.canonical import decode
from consilium_proto.ethereum.resolutions import EvmTerms
from consilium_proto.ethereum.rewards import RewardCheck
from consilium_proto.ethereum.transactions import ReceiptRecord

CONTRACT, INNER = bytes([0xC1]) * 20, bytes([0xC2]) * 20
BLAKE2F = (9).to_bytes(20, "big")
SLOTS = 40
# Reads and writes many slots here, and calls another contract.
BUSY = assemble(*(part for slot in range(SLOTS) for part in (slot, "SLOAD", 1, "ADD", slot, "SSTORE"))) + assemble(
    "PUSH0 PUSH0 PUSH0 PUSH0 PUSH0", int.from_bytes(INNER, "big"), "GAS CALL"
)


def busy_ledger(terms: EvmTerms = TERMS) -> EvmLedger:
    ledger = EvmLedger(terms)
    ledger.place(CONTRACT, BUSY, dict.fromkeys(range(SLOTS), 7))
    ledger.place(INNER, assemble(3, "SLOAD"))
    return ledger


async def test_a_transaction_with_its_list_costs_four_messages() -> None:
    async with answering(busy_ledger()) as peer:
        prefetch = (entry(CONTRACT, *range(SLOTS)), entry(INNER, 3))
        response = await peer.send("tx", "Execute", identity_transaction(CONTRACT, prefetch=prefetch))
        assert decode(ReceiptRecord, response.payload).status == 1
        # The terms; accounts and slots; codes; all that is written.
        assert peer.requests("tx") == {"GET_STATE": 1, "GET_STATE_MULTIPLE": 2, "WRITE_BATCH_STATE": 1, "COMPLETED": 1}
        assert peer.written[tx_id_of("tx")] == SLOTS + 2  # the slots, the sender's nonce, the receipt


async def test_without_the_list_every_slot_costs_one() -> None:
    async with answering(busy_ledger()) as peer:
        response = await peer.send("tx", "Execute", identity_transaction(CONTRACT))
        assert decode(ReceiptRecord, response.payload).status == 1
        # The terms, the slots, the inner contract's account, code and slot.
        assert peer.requests("tx")["GET_STATE"] == 1 + SLOTS + 3
        assert peer.requests("tx")["WRITE_BATCH_STATE"] == 1


async def test_light_transactions_pass_heavy_ones() -> None:
    ledger = busy_ledger(replace(TERMS, gas_cap=2**24))
    heavy = ledger.place(bytes([0xC3]) * 20, assemble("JUMPDEST GAS POP PUSH0 JUMP"))
    async with answering(ledger) as peer:
        began = time.monotonic()
        computing = [
            asyncio.create_task(peer.send(f"heavy{n}", "Call", question(heavy, gas=6_000_000))) for n in range(4)
        ]
        waits = []
        while not all(each.done() for each in computing):
            asked = time.monotonic()
            response = await peer.send(f"light{len(waits)}", "Call", question(INNER))
            assert response.status == 200
            waits.append(time.monotonic() - asked)
        assert [each.result().status for each in computing] == [200] * len(computing)
        took = time.monotonic() - began
    print(f"heavy: {took:.2f} s; light: {len(waits)}, {max(waits):.3f} s at most")
    # A light one that had to wait for a heavy one would take a quarter of the time at least.
    assert max(waits) < took / 8


async def test_whoever_asks_much_keeps_no_round_from_its_end() -> None:
    """The federation's calls are answered beside as many computations as are let in; the others wait outside."""
    ledger = busy_ledger()
    read = assemble(0, "SLOAD POP")
    heavy = ledger.place(bytes([0xC3]) * 20, read + assemble("JUMPDEST GAS POP", len(read), "JUMP"))
    names = [f"heavy{n}" for n in range(COMPUTATIONS + 4)]
    async with answering(ledger) as peer:
        computing = [asyncio.create_task(peer.send(name, "Call", question(heavy))) for name in names]
        while sum(peer.asked.get(tx_id_of(name), {}).get("GET_STATE", 0) > 1 for name in names) < COMPUTATIONS:
            await asyncio.sleep(0.005)
        check = RewardCheck(pot="0x1", weight_cap=1)
        assert "no ledger of rewards" in (await peer.send("check", "CheckRewards", check, entry="federation")).message
        assert not any(each.done() for each in computing)
        assert sum(peer.requests(name)["GET_STATE"] > 1 for name in names) == COMPUTATIONS
        assert [(await each).status for each in computing] == [200] * len(names)


async def test_what_takes_too_long_is_ended_and_others_are_served_meanwhile() -> None:
    # BLAKE2F is the dearest contract in time: so many rounds take many times this deadline.
    rounds = (GAS_CAP - 30_000).to_bytes(4, "big") + bytes(209)
    deadlines = Deadlines(answer=20.0, transaction=1.0)
    async with answering(busy_ledger(), deadlines) as peer:
        began = time.monotonic()
        heavy = asyncio.create_task(peer.send("heavy", "Execute", identity_transaction(BLAKE2F, rounds)))
        waits = []
        while not heavy.done():
            asked = time.monotonic()
            await peer.send(f"light{len(waits)}", "Call", question(INNER))
            waits.append(time.monotonic() - asked)
        response = await heavy
        assert (response.status, response.message) == (503, "not done within 1 s")
        assert time.monotonic() - began < 3
        assert "WRITE_BATCH_STATE" not in peer.requests("heavy")
        assert len(waits) >= 2
        after = await peer.send("after", "Execute", identity_transaction(CONTRACT))
        assert decode(ReceiptRecord, after.payload).status == 1


def test_without_an_event_loop_a_long_execution_runs_through() -> None:
    ledger = busy_ledger()
    heavy = ledger.place(bytes([0xC3]) * 20, assemble("JUMPDEST GAS POP PUSH0 JUMP"))
    with pytest.raises(StopIteration) as ended:
        ledger.propose("Execute", identity_transaction(heavy)).send(None)
    receipt = decode(ReceiptRecord, ended.value.value.result)
    assert receipt.error.startswith("OutOfGas")
