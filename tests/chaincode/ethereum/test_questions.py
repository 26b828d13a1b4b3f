"""Questions: calls that change nothing, and a look at a signed transaction before it is sent."""

from __future__ import annotations

import asyncio

import pytest
from ethereum_world import (
    CHAIN_ID,
    CLEVELAND,
    HEIGHT,
    SENDER,
    EvmLedger,
    entry,
    identity,
    key_of,
    question,
    signed,
    signed_argument,
)

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.ethereum import question_functions, state_keys
from consilium_chaincode.evm.addresses import created_address
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_proto.canonical import encode
from consilium_proto.ethereum.scalars import as_data, from_data
from consilium_proto.ethereum.transactions import AccessEntry, Inspection, Outcome, RawTransaction

CONTRACT, INNER = bytes([0xC1]) * 20, bytes([0xC2]) * 20
KEY = key_of(7)
ADDRESS = from_data(KEY.address.lower())
WORD = assemble("PUSH0 MSTORE", 32, "PUSH0 RETURN")


async def look(ledger: EvmLedger, raw: bytes) -> Inspection:
    return await ledger.ask("Inspect", RawTransaction(raw=as_data(raw), block_number=HEIGHT), Inspection)


async def test_a_call_sees_its_sender_and_writes_nothing() -> None:
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble(1, 9, "SSTORE CALLER") + WORD)
    outcome = await ledger.ask("Call", question(CONTRACT), Outcome)
    assert (outcome.status, from_data(outcome.output)) == (1, SENDER.rjust(32, b"\0"))
    assert ("evm/", state_keys.slot(CONTRACT, 9)) not in ledger.ledger.state


async def test_a_call_may_be_a_contracts() -> None:
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble("CALLER") + WORD)
    ledger.place(INNER, b"\x00")
    outcome = await ledger.ask("Call", question(CONTRACT, sender=as_data(INNER)), Outcome)
    assert from_data(outcome.output) == INNER.rjust(32, b"\0")


async def test_a_call_may_ask_about_another_block_and_reverts_say_why() -> None:
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble("NUMBER PUSH0 MSTORE", 32, "PUSH0 REVERT"))
    outcome = await ledger.ask("Call", question(CONTRACT, block_number=5), Outcome)
    assert (outcome.status, outcome.error, int(outcome.output, 16)) == (0, "execution reverted", 5)


async def test_inspecting_tells_whose_it_is_and_what_it_reads() -> None:
    ledger = EvmLedger()
    ledger.place(INNER, assemble(3, "SLOAD"))
    inner = int.from_bytes(INNER, "big")
    ledger.place(CONTRACT, assemble(1, 9, "SSTORE PUSH0 PUSH0 PUSH0 PUSH0 PUSH0", inner, "GAS CALL"))
    raw = signed(KEY, to=CONTRACT)
    found = await look(ledger, raw)
    assert (found.hash, found.sender) == (as_data(keccak256(raw)), as_data(ADDRESS))
    assert (found.nonce, found.next_nonce, found.problem) == ("0x0", "0x0", "")
    assert found.prefetch == tuple(sorted((entry(ADDRESS), entry(CONTRACT, 9), entry(INNER, 3)), key=by_address))
    # With this list nothing is left to read one by one: what is read is the same.
    plain = await ledger.propose("SendRawTransaction", signed_argument(raw))
    hinted = await ledger.propose("SendRawTransaction", signed_argument(raw, prefetch=found.prefetch))
    assert plain.reads == hinted.reads


def by_address(listed: AccessEntry) -> str:
    return listed.address


async def test_inspecting_a_creation_lists_the_new_contract() -> None:
    found = await look(EvmLedger(), signed(KEY, to=b"", data=assemble(1, 9, "SSTORE")))
    assert as_data(created_address(ADDRESS, 0)) in [each.address for each in found.prefetch]


async def test_inspecting_says_what_is_wrong_the_nonce_apart() -> None:
    ledger = EvmLedger()
    queued = await look(ledger, signed(KEY, to=CONTRACT, nonce=4))
    assert (queued.nonce, queued.next_nonce, queued.problem) == ("0x4", "0x0", "")
    assert (await look(ledger, signed(KEY, to=CONTRACT, gas=20_999))).problem.startswith("GasLimitTooLow")
    assert (await look(ledger, signed(KEY, to=CONTRACT, gas=10**7))).problem.startswith("GasLimitTooHigh")
    assert (await look(ledger, signed(KEY, to=CONTRACT, value=1))).problem.startswith("InsufficientFunds")
    for raw, code in ((b"\x03", "MALFORMED"), (signed(KEY, to=CONTRACT, chainId=CHAIN_ID + 1), "FORBIDDEN")):
        with pytest.raises(ChaincodeError, match=code):
            await look(ledger, raw)


async def test_a_question_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(question_functions, "ANSWER_SECONDS", 0.05)
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble("JUMPDEST GAS POP PUSH0 JUMP"))
    for function in ("Call", "EstimateGas", "CreateAccessList"):
        with pytest.raises(ChaincodeError, match=r"^DEADLINE_PASSED: the answer takes more than 0\.05 s"):
            await ledger.propose(function, question(CONTRACT))


@pytest.mark.parametrize("function", ["Call", "EstimateGas", "CreateAccessList", "Inspect"])
def test_a_question_that_somebody_ordered_is_answered_again_in_a_replay(function: str) -> None:
    """Peers endorse a question's transaction, which writes nothing; a replay has no event loop."""
    ledger = EvmLedger()
    raw = RawTransaction(raw=as_data(signed(KEY, to=CONTRACT)), block_number=HEIGHT)
    argument = encode(raw if function == "Inspect" else question(CONTRACT))
    work = ledger.ledger.simulate(ledger.contract, function, argument, creator=CLEVELAND, timestamp=ledger.now)
    with pytest.raises(StopIteration):
        work.send(None)


async def test_an_unknown_role_may_not_ask() -> None:
    odd = identity("ClevelandMSP", "odd")
    attributes = {"consilium.role": "visitor"}
    by = type(odd)(odd.msp_id, odd.certificate, odd.role, attributes)
    for function, argument in (("Call", question(CONTRACT)), ("ReadTerms", None)):
        with pytest.raises(ChaincodeError, match=r"^FORBIDDEN"):
            await EvmLedger().propose(function, argument, by=by)


async def test_others_have_their_turn_while_a_question_computes() -> None:
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble("JUMPDEST GAS POP PUSH0 JUMP"))
    asked = asyncio.create_task(ledger.propose("Call", question(CONTRACT), by=CLEVELAND))
    turns = 0
    while not asked.done():
        await asyncio.sleep(0)
        turns += 1
    await asked
    assert turns > 5
