"""Estimates of gas are exact: with the limit the transaction succeeds, with one unit less it doesn't."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from ethereum_world import CLEVELAND, GAS_CAP, HEIGHT, EvmLedger, deploying, entry, identity_transaction, question

from consilium_bench.evm_oracle.assembler import assemble
from consilium_bench.evm_oracle.programs import ProgramWriter
from consilium_chaincode.ethereum.addresses import FEDERATION_ADDRESS, identity_address
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_proto.canonical import decode
from consilium_proto.contracts import REWARD_LEDGER, load_artifact
from consilium_proto.ethereum.scalars import as_data, from_quantity
from consilium_proto.ethereum.transactions import GasEstimate, IdentityTransaction, ReceiptRecord

CONTRACT, INNER, SPENDER = (bytes([byte]) * 20 for byte in (0xC1, 0xC2, 0xC3))
RANDOM_PROGRAMS = 150
_INNER, _SPENDER = (int.from_bytes(each, "big") for each in (INNER, SPENDER))


def calling(gas: bytes, to: int = _INNER) -> bytes:
    """CALL without data or value, with the gas that this code leaves on the stack."""
    return assemble("PUSH0 PUSH0 PUSH0 PUSH0 PUSH0", to) + gas + assemble("CALL")


def unless(condition: bytes, otherwise: bytes) -> bytes:
    """Run `otherwise`, which has less than 200 bytes, where the condition leaves zero."""
    # The destination counts from this code's beginning, so it is the program's first.
    target = len(condition) + 3 + len(otherwise)
    return condition + assemble(bytes([0x60, target]), "JUMPI", otherwise, "JUMPDEST")


REVERT = assemble("PUSH0 PUSH0 REVERT")
GAS_BELOW = {limit: assemble(limit, "GAS GT") for limit in (30_000, 40_000, 100_000)}
LEDGER = load_artifact(REWARD_LEDGER).creation_code + b"".join(
    word.rjust(32, b"\0") if isinstance(word, bytes) else word.to_bytes(32, "big")
    for word in (
        160,
        224,
        FEDERATION_ADDRESS,
        10**20,
        10**21,
        6,
        b"Reward".ljust(32, b"\0"),
        3,
        b"RWD".ljust(32, b"\0"),
    )
)

# Name → code, call data, options. Storage: slots 1 to 5 of the contract hold 7.
PROGRAMS: dict[str, tuple[bytes, bytes, dict[str, Any]]] = {
    "nothing": (b"", b"", {}),
    "data that costs the floor (EIP-7623)": (b"", b"\xff" * 1_000, {}),
    "data just above the floor": (assemble(3_000, "PUSH0 MSTORE", 8_000, "PUSH0 KECCAK256"), b"\xff" * 100, {}),
    "a slot set": (assemble(1, 9, "SSTORE"), b"", {}),
    "a refund": (assemble(*(part for slot in range(1, 6) for part in ("PUSH0", slot, "SSTORE"))), b"", {}),
    "a refund inside a call": (calling(assemble("GAS")), b"", {"inner": assemble("PUSH0", 1, "SSTORE")}),
    "memory": (assemble(1, 60_000, "MSTORE"), b"", {}),
    "a call that must succeed": (
        unless(calling(assemble("GAS")), REVERT),
        b"",
        {"inner": assemble(1, 9, "SSTORE", 1, 10, "SSTORE")},
    ),
    "a call with fixed gas": (unless(calling(assemble(50_000)), REVERT), b"", {"inner": assemble(1, 9, "SSTORE")}),
    "a call that may fail": (calling(assemble("GAS")) + assemble(1, 9, "SSTORE"), b"", {"inner": REVERT}),
    "a call that spends all, and then a write": (
        calling(assemble("GAS"), _SPENDER) + assemble(1, 9, "SSTORE"),
        b"",
        {},
    ),
    "a call of itself, many deep": (
        unless(assemble("GAS", 200_000, "GT"), assemble("PUSH0 PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS GAS CALL STOP")),
        b"",
        {},
    ),
    "enough gas demanded": (unless(assemble(100_000, "GAS GT"), REVERT), b"", {}),
    "more written the more gas there is": (assemble("GAS", 9, "SSTORE"), b"", {}),
    "success in one band of gas, and above another": (
        unless(assemble(20_000, "GAS GT", 30_000, "GAS LT AND", 90_000, "GAS GT OR"), REVERT),
        b"",
        {},
    ),
    "a list that makes it cheaper": (
        assemble(1, "SLOAD", 2, "SLOAD", 3, "SLOAD"),
        b"",
        {"access_list": (entry(CONTRACT, 1, 2, 3),)},
    ),
    "a contract made within": (
        assemble(int.from_bytes(deploying(b"\x00" * 20), "big"), "PUSH0 MSTORE")
        + assemble(len(deploying(b"\x00" * 20)), 32 - len(deploying(b"\x00" * 20)), "PUSH0 CREATE")
        + assemble("POP"),
        b"",
        {},
    ),
    "a contract": (b"", deploying(b"\x00" * 200), {"to": None}),
    "the ledger of rewards": (b"", LEDGER, {"to": None}),
}


async def fails(ledger: EvmLedger, argument: IdentityTransaction) -> bool:
    """Tell whether a transaction fails, or has less gas than it costs before anything runs."""
    try:
        return decode(ReceiptRecord, (await ledger.propose("Execute", argument)).result).status == 0
    except ChaincodeError as error:
        return "GasLimitTooLow" in str(error)


async def check(ledger: EvmLedger, to: bytes | None, data: bytes, **fields: Any) -> bool:
    """Hold an estimate against the transaction itself; return whether there is one."""
    own = as_data(identity_address(CLEVELAND))
    estimate = await ledger.ask("EstimateGas", question(to, data, sender=own, **fields), GasEstimate)
    if estimate.gas is None:
        assert estimate.outcome.status == 0
        failed = await ledger.propose("Execute", identity_transaction(to, data, gas=GAS_CAP, **fields))
        assert decode(ReceiptRecord, failed.result).status == 0
        return False
    gas = from_quantity(estimate.gas)
    enough = await ledger.propose("Execute", identity_transaction(to, data, gas=gas, **fields))
    receipt = decode(ReceiptRecord, enough.result)
    assert (receipt.status, receipt.gas_used) == (1, estimate.outcome.gas_used), receipt.error
    assert await fails(ledger, identity_transaction(to, data, gas=gas - 1, **fields))
    return True


@pytest.mark.parametrize("name", PROGRAMS)
async def test_estimates_are_exact(name: str) -> None:
    code, data, options = PROGRAMS[name]
    ledger = EvmLedger()
    ledger.place(CONTRACT, code, dict.fromkeys(range(1, 6), 7))
    ledger.place(INNER, options.get("inner", b""), {1: 7})
    ledger.place(SPENDER, b"\xfe")
    fields = {"access_list": options["access_list"]} if "access_list" in options else {}
    assert await check(ledger, options.get("to", CONTRACT), data, **fields)


async def test_estimates_of_random_programs_are_exact() -> None:
    addresses = [bytes([number]) * 20 for number in range(0xD1, 0xD5)]
    succeeded = 0
    for number in range(RANDOM_PROGRAMS):
        writer = ProgramWriter(Random(number), addresses, HEIGHT)
        ledger = EvmLedger()
        for address in addresses:
            ledger.place(address, writer.program(), {0: 1, 1: 5})
        succeeded += await check(ledger, addresses[0], b"\x05" * 40)
    # Otherwise the programs would show nothing.
    assert succeeded > RANDOM_PROGRAMS // 4


async def test_what_one_in_64_keeps_back_is_in_the_estimate() -> None:
    code, _, options = PROGRAMS["a call that must succeed"]
    ledger = EvmLedger()
    ledger.place(CONTRACT, code)
    ledger.place(INNER, options["inner"])
    estimate = await ledger.ask("EstimateGas", question(CONTRACT), GasEstimate)
    assert estimate.gas is not None
    assert from_quantity(estimate.gas) > from_quantity(estimate.outcome.gas_used)


async def test_what_fails_with_all_gas_has_no_estimate_but_a_reason() -> None:
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble(7, "PUSH0 MSTORE", 32, "PUSH0 REVERT"))
    estimate = await ledger.ask("EstimateGas", question(CONTRACT), GasEstimate)
    assert estimate.gas is None
    assert estimate.outcome.error == "execution reverted"
    assert estimate.outcome.output == as_data((7).to_bytes(32, "big"))
    ledger.place(CONTRACT, assemble("JUMPDEST PUSH0 JUMP"))
    assert (await ledger.ask("EstimateGas", question(CONTRACT), GasEstimate)).outcome.error.startswith("OutOfGas")


async def test_a_questions_own_limit_bounds_the_search_and_the_channels_cap_does() -> None:
    ledger = EvmLedger()
    ledger.place(CONTRACT, assemble(1, 9, "SSTORE"))
    assert (await ledger.ask("EstimateGas", question(CONTRACT, gas=30_000), GasEstimate)).gas is None
    generous = await ledger.ask("EstimateGas", question(CONTRACT, gas=30_000_000), GasEstimate)
    assert generous == await ledger.ask("EstimateGas", question(CONTRACT), GasEstimate)
