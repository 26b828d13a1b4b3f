"""Attacks on chaincode `evm`: acting in another's name, crediting oneself, exhausting it, forging its answers."""

from __future__ import annotations

import time

import eth_abi
import pytest
from ethereum_world import (
    CLEVELAND,
    GAS_CAP,
    HEIGHT,
    NOW,
    TERMS,
    EvmLedger,
    identity,
    identity_transaction,
    key_of,
    question,
    signed,
    signed_argument,
)
from msgspec.structs import replace
from relay import Relay

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.ethereum.addresses import FEDERATION_ADDRESS, identity_address
from consilium_chaincode.ethereum.contract import EthereumContract
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_proto.canonical import encode
from consilium_proto.contracts import REWARD_LEDGER, load_artifact
from consilium_proto.ethereum.scalars import as_data, from_data
from consilium_proto.ethereum.transactions import (
    AccountReference,
    Outcome,
    RawTransaction,
    ReceiptReference,
    SlotReference,
)

HOSPITAL = keccak256(b"ClevelandMSP")


def every_function() -> list[str]:
    return sorted(EthereumContract._functions)


# ---- in another's name


@pytest.mark.parametrize("function", every_function())
async def test_nothing_answers_behind_another_chaincode(function: str) -> None:
    relay = Relay()
    ledger = EvmLedger(relay=relay)
    with pytest.raises(ChaincodeError, match=r"^FORBIDDEN: "):
        await ledger.ledger.simulate(relay, "Relay", function.encode(), b"", creator=CLEVELAND, timestamp=NOW)


async def test_another_chaincode_cant_spend_a_callers_nonce() -> None:
    relay = Relay()
    ledger = EvmLedger(relay=relay)
    argument = encode(identity_transaction(b"\xc5" * 20))
    with pytest.raises(ChaincodeError, match="Execute takes calls of evm alone, this one is of 'relay'"):
        await ledger.ledger.simulate(relay, "Relay", b"Execute", argument, creator=CLEVELAND, timestamp=NOW)


# ---- crediting oneself


def credit() -> bytes:
    """Call data that credits Cleveland with a round's whole pot."""
    arguments = (b"\x01" * 32, 10**18, 2**64 - 1, [HOSPITAL], [1])
    selector = keccak256(b"creditRound(bytes32,uint96,uint64,bytes32[],uint64[])")[:4]
    return selector + eth_abi.encode(["bytes32", "uint96", "uint64", "bytes32[]", "uint64[]"], arguments)


async def reward_ledger(ledger: EvmLedger) -> bytes:
    terms = ("Reward", "RWD", FEDERATION_ADDRESS, 10**20, 10**21)
    arguments = eth_abi.encode(["string", "string", "address", "uint96", "uint96"], terms)
    receipt = await ledger.execute(to=None, data=load_artifact(REWARD_LEDGER).creation_code + arguments)
    assert receipt.contract is not None
    return from_data(receipt.contract)


async def test_no_identity_and_no_key_credits_itself() -> None:
    ledger = EvmLedger()
    rewards = await reward_ledger(ledger)
    data = credit()
    not_federation = keccak256(b"NotFederation(address)")[:4]
    for by in (CLEVELAND, identity("ClevelandMSP", "an admin", "admin")):
        simulation = await ledger.propose("Execute", identity_transaction(rewards, data), by=by)
        receipt = await ledger.commit(simulation)
        assert receipt.status == 0
        assert from_data(receipt.output) == not_federation + identity_address(by).rjust(32, b"\0")
    receipt = await ledger.send(signed(key_of(7), to=rewards, data=data, gas=GAS_CAP))
    assert receipt.status == 0
    as_federation = question(rewards, data, sender="0x" + FEDERATION_ADDRESS.hex())
    # The same call from the federation's address would succeed: that is what nobody can send.
    assert (await ledger.ask("Call", as_federation, Outcome)).status == 1


async def test_a_contract_cant_credit_in_the_federations_name_either() -> None:
    ledger = EvmLedger()
    rewards = await reward_ledger(ledger)
    data = credit()
    for instruction in ("CALL", "CALLCODE", "DELEGATECALL"):
        value = ("PUSH0",) if instruction != "DELEGATECALL" else ()
        to = int.from_bytes(rewards, "big")
        copied = assemble("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY PUSH0 PUSH0 CALLDATASIZE PUSH0", *value)
        called = assemble(to, "GAS", instruction, "PUSH0 MSTORE", 32, "PUSH0 RETURN")
        proxy = await ledger.create(copied + called)
        receipt = await ledger.execute(to=proxy, data=data)
        assert (receipt.status, int(receipt.output, 16)) == (1, 0), instruction


# ---- exhausting it

_SELF = "PUSH0 PUSH0 PUSH0 PUSH0 PUSH0 ADDRESS GAS CALL"
EXHAUSTING: dict[str, tuple[bytes, str]] = {
    "gas": (assemble("JUMPDEST PUSH0 JUMP"), "OutOfGas"),
    "depth": (assemble(_SELF), ""),
    "memory": (assemble(1, 2**40, "MSTORE"), "OutOfGas"),
    "memory, call by call": (assemble(1, 60_000, "MSTORE", _SELF), ""),
    "storage": (assemble("JUMPDEST GAS GAS SSTORE PUSH0 JUMP"), "OutOfGas"),
    "logs": (assemble("JUMPDEST", 10_000, "PUSH0 LOG0 PUSH0 JUMP"), "OutOfGas"),
    "the stack": (assemble("JUMPDEST PUSH0 PUSH0 JUMP"), "StackOverflow"),
    "hashes": (assemble("JUMPDEST", 200_000, "PUSH0 KECCAK256 POP PUSH0 JUMP"), "OutOfGas"),
    "copies": (assemble("JUMPDEST", 200_000, "PUSH0 PUSH0 MCOPY PUSH0 JUMP"), "OutOfGas"),
    "powers": (assemble("JUMPDEST", 2**256 - 1, "DUP1 EXP POP PUSH0 JUMP"), "OutOfGas"),
    "contracts": (assemble("JUMPDEST PUSH0 PUSH0 PUSH0 CREATE POP PUSH0 JUMP"), "OutOfGas"),
    "init code": (assemble("JUMPDEST", 49_152, "PUSH0 PUSH0 CREATE POP PUSH0 JUMP"), "OutOfGas"),
}
HIGHEST = replace(TERMS, gas_cap=2**24)
LIVELY = assemble(42, "PUSH0 MSTORE", 32, "PUSH0 RETURN")


@pytest.mark.parametrize("what", EXHAUSTING)
async def test_whatever_a_contract_exhausts_the_service_lives_on(what: str) -> None:
    code, error = EXHAUSTING[what]
    ledger = EvmLedger()
    contract = ledger.place(b"\xc1" * 20, code)
    began = time.monotonic()
    receipt = await ledger.execute(to=contract)
    assert time.monotonic() - began < 20
    assert receipt.status == (0 if error else 1)
    assert receipt.error.startswith(error)
    lively = await ledger.create(LIVELY)
    assert int((await ledger.execute(to=lively)).output, 16) == 42


async def test_deep_calls_end_by_gas_or_at_1024() -> None:
    ledger = EvmLedger(HIGHEST)
    # Counts in transient storage how deep it is, and answers the depth.
    deep = assemble("PUSH0 TLOAD", 1, "ADD PUSH0 TSTORE", _SELF, "POP PUSH0 TLOAD PUSH0 MSTORE", 32, "PUSH0 RETURN")
    outcome = await ledger.ask("Call", question(ledger.place(b"\xc1" * 20, deep)), Outcome)
    # A caller keeps one part in 64 of its gas, so that the most gas that there is ends it first.
    assert 300 < int(outcome.output, 16) <= 1_025


async def test_code_above_eip_170s_limit_fails() -> None:
    ledger = EvmLedger(HIGHEST)
    fits = await ledger.execute(to=None, data=assemble(24_576, "PUSH0 RETURN"), gas=HIGHEST.gas_cap)
    assert fits.status == 1
    too_large = await ledger.execute(to=None, data=assemble(24_577, "PUSH0 RETURN"), gas=HIGHEST.gas_cap)
    assert (too_large.status, too_large.output) == (0, "0x")
    assert "EIP-170" in too_large.error


async def test_init_code_above_eip_3860s_limit_is_refused() -> None:
    ledger = EvmLedger()
    with pytest.raises(ChaincodeError, match=r"^MALFORMED: InitCodeTooLarge"):
        await ledger.propose("Execute", identity_transaction(None, bytes(49_153)))
    assert (await ledger.execute(to=None, data=bytes(49_152))).status == 1


# ---- forging what the bridge believes


async def test_no_answer_can_be_taken_for_an_attestation() -> None:
    ledger = EvmLedger()
    attestation = b"\x89" + bytes(300)
    contract = await ledger.create(assemble("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY CALLDATASIZE PUSH0 RETURN"))
    simulations = [
        await ledger.propose("Call", question(contract, attestation)),
        await ledger.propose("Execute", identity_transaction(contract, attestation)),
        await ledger.propose("SendRawTransaction", signed_argument(signed(key_of(7), to=contract, data=attestation))),
        await ledger.propose("EstimateGas", question(contract, attestation)),
        await ledger.propose("CreateAccessList", question(contract, attestation)),
    ]
    for simulation in simulations:
        assert attestation.hex().encode() in simulation.result
        assert simulation.result.startswith(b"{")


async def test_what_is_read_is_a_record_too() -> None:
    ledger = EvmLedger()
    # Code and a slot that begin as an attestation does.
    contract = ledger.place(b"\xc1" * 20, b"\x89" * 40, {1: int.from_bytes(b"\x89" * 32, "big")})
    address = as_data(contract)
    receipt = await ledger.execute(to=contract)
    for function, argument in {
        "ReadAccount": AccountReference(address=address),
        "ReadCode": AccountReference(address=address),
        "ReadSlot": SlotReference(address=address, slot=f"0x{1:064x}"),
        "ReadReceipt": ReceiptReference(hash=receipt.hash),
        "ReadTerms": None,
        "ReadOwnAddress": None,
        "Inspect": RawTransaction(raw=as_data(signed(key_of(7), to=contract)), block_number=HEIGHT),
    }.items():
        assert (await ledger.propose(function, argument)).result.startswith(b"{"), function
