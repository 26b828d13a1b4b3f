"""Transactions of the EVM on the ledger: signed ones of every type, those of identities, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account as EthereumAccount
from ethereum_world import (
    CHAIN_ID,
    CLEVELAND,
    GAS_CAP,
    HEIGHT,
    NOW,
    VALID,
    ZURICH,
    EvmLedger,
    entry,
    identity,
    identity_transaction,
    key_of,
    question,
    signed,
    signed_argument,
)

from consilium_bench.evm_oracle.assembler import assemble
from consilium_chaincode.ethereum import state_keys
from consilium_chaincode.ethereum.addresses import identity_address
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.shim.errors import ChaincodeError
from consilium_proto.ethereum.scalars import as_data, from_data
from consilium_proto.ethereum.transactions import (
    AccountReference,
    AccountView,
    CodeView,
    IdentityAddress,
    Outcome,
    ReceiptRecord,
    ReceiptReference,
    SlotReference,
    SlotView,
)

KEY = key_of(7)
ADDRESS = from_data(KEY.address.lower())
# Adds the first word of the call data to slot 1 and logs the sum under topic 9.
COUNTER = assemble("PUSH0 CALLDATALOAD", 1, "SLOAD ADD DUP1", 1, "SSTORE PUSH0 MSTORE", 9, 32, "PUSH0 LOG1")
REVERTING = assemble(0xBAD, "PUSH0 MSTORE", 32, "PUSH0 REVERT")
# What the environment says: number, time, chain, gas limit, coinbase, price of gas, origin.
BLOCK = assemble(
    *("NUMBER PUSH0 MSTORE TIMESTAMP", 32, "MSTORE CHAINID", 64, "MSTORE GASLIMIT", 96, "MSTORE COINBASE", 128),
    *("MSTORE GASPRICE", 160, "MSTORE ORIGIN", 192, "MSTORE", 224, "PUSH0 RETURN"),
)


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


async def refusal(ledger: EvmLedger, function: str, argument: Any, **options: Any) -> str:
    before = dict(ledger.ledger.state)
    with pytest.raises(ChaincodeError) as caught:
        await ledger.propose(function, argument, **options)
    assert ledger.ledger.state == before
    return str(caught.value)


TYPES: dict[str, dict[str, Any]] = {
    "legacy": {},
    "access list": {"type": 1, "accessList": [{"address": "0x" + "cc" * 20, "storageKeys": ["0x" + "01" * 32]}]},
    "fee market": {"type": 2},
    "set code": {"type": 4},
}


@pytest.mark.parametrize("kind", TYPES)
async def test_a_signed_transaction_of_every_type_runs_as_its_signer(kind: str) -> None:
    ledger = EvmLedger()
    counter = await ledger.create(COUNTER)
    fields = dict(TYPES[kind])
    if kind == "set code":
        unsigned = {"chainId": CHAIN_ID, "address": counter, "nonce": 0}
        fields["authorizationList"] = [key_of(8).sign_authorization(unsigned)]
    raw = signed(KEY, to=counter, data=word(5), **fields)
    receipt = await ledger.send(raw)
    assert (receipt.status, receipt.sender, receipt.nonce) == (1, as_data(ADDRESS), "0x0")
    assert (receipt.hash, receipt.raw) == (as_data(keccak256(raw)), as_data(raw))
    assert receipt.type == fields.get("type", 0)
    assert [(log.address, log.topics, log.data) for log in receipt.logs] == [
        (as_data(counter), (as_data(word(9)),), as_data(word(5)))
    ]
    slot = await ledger.ask("ReadSlot", SlotReference(address=as_data(counter), slot=as_data(word(1))), SlotView)
    assert slot.word == as_data(word(5))
    if kind == "set code":
        delegated = AccountReference(address=key_of(8).address.lower())
        assert (await ledger.ask("ReadCode", delegated, CodeView)).code == "0xef0100" + counter.hex()


async def test_a_legacy_transaction_for_no_chain_in_particular_is_taken() -> None:
    settings = {"nonce": 0, "gas": 21_000, "gasPrice": 0, "value": 0, "to": ADDRESS, "data": b""}
    raw = bytes(KEY.sign_transaction(settings).raw_transaction)
    assert (await EvmLedger().send(raw)).status == 1


async def test_blob_transactions_are_refused_by_name() -> None:
    said = await refusal(EvmLedger(), "SendRawTransaction", signed_argument(b"\x03" + bytes(40)))
    assert said.startswith("MALFORMED: ")
    assert "blob transaction (type 3, EIP-4844)" in said


async def test_an_identity_acts_under_its_own_address_with_its_own_nonce() -> None:
    ledger = EvmLedger()
    own = await ledger.ask("ReadOwnAddress", None, IdentityAddress)
    assert own.address == as_data(identity_address(CLEVELAND)) != as_data(identity_address(ZURICH))
    counter = await ledger.create(COUNTER)
    receipts = [await ledger.execute(to=counter, data=word(n)) for n in (1, 2)]
    assert [(each.sender, each.nonce, each.raw) for each in receipts] == [
        (own.address, "0x1", "0x"),
        (own.address, "0x2", "0x"),
    ]
    assert receipts[0].hash == "0x" + receipts[0].tx_id
    account = await ledger.ask("ReadAccount", AccountReference(address=own.address), AccountView)
    assert (account.nonce, account.balance, account.code_hash) == ("0x3", "0x0", None)


async def test_a_renewed_certificate_keeps_the_address_and_another_key_has_another() -> None:
    assert identity_address(identity("ClevelandMSP")) == identity_address(CLEVELAND)
    assert identity_address(identity("ClevelandMSP", "somebody else")) != identity_address(CLEVELAND)


async def test_a_failed_execution_is_recorded_with_status_0_and_counts_the_nonce_up() -> None:
    ledger = EvmLedger()
    reverting = await ledger.create(REVERTING)
    for attempt, (gas, error, output) in enumerate(
        [(50_000, "execution reverted", as_data(word(0xBAD))), (21_010, "OutOfGas", "0x")], start=1
    ):
        receipt = await ledger.execute(to=reverting, gas=gas)
        assert (receipt.status, receipt.nonce, receipt.output) == (0, hex(attempt), output)
        assert receipt.error.startswith(error)
        assert receipt.logs == ()
        assert receipt.bloom == "0x" + "00" * 256
        kept = await ledger.ask("ReadReceipt", ReceiptReference(hash=receipt.hash), ReceiptRecord)
        assert kept == receipt


async def test_the_receipt_has_the_bloom_filter_of_its_logs() -> None:
    ledger = EvmLedger()
    counter = await ledger.create(COUNTER)
    receipt = await ledger.execute(to=counter, data=word(3))
    bloom = int(receipt.bloom, 16)
    expected = 0
    for each in (counter, word(9)):
        digest = keccak256(each)
        for place in (0, 2, 4):
            expected |= 1 << (int.from_bytes(digest[place : place + 2], "big") & 2047)
    assert bloom == expected != 0


async def test_the_block_is_what_terms_and_argument_say() -> None:
    ledger = EvmLedger()
    contract = await ledger.create(BLOCK)
    receipt = await ledger.execute(to=contract, block_number=HEIGHT + 3)
    output = from_data(receipt.output)
    words = [int.from_bytes(output[start : start + 32], "big") for start in range(0, len(output), 32)]
    sender = int.from_bytes(identity_address(CLEVELAND), "big")
    assert words == [HEIGHT + 3, NOW // 1000, CHAIN_ID, GAS_CAP, 0, 0, sender]


async def test_the_channels_cap_bounds_a_transactions_gas() -> None:
    ledger = EvmLedger()
    said = await refusal(ledger, "Execute", identity_transaction(to=ADDRESS, gas=GAS_CAP + 1))
    assert said.startswith("MALFORMED: GasLimitTooHigh")
    assert str(GAS_CAP) in said
    assert (await ledger.execute(to=ADDRESS, gas=GAS_CAP)).status == 1


async def test_nobody_has_money_so_value_is_refused() -> None:
    said = await refusal(EvmLedger(), "SendRawTransaction", signed_argument(signed(KEY, to=ADDRESS, value=1)))
    assert said.startswith("FORBIDDEN: InsufficientFunds")
    assert said.endswith("send it with a value of 0")


async def test_what_a_wallet_offers_for_gas_is_not_taken() -> None:
    """Hardhat, for one, offers 1 wei and more whatever the chain's prices are."""
    ledger = EvmLedger()
    prices = {"gasPrice": 10**9}, {"type": 2, "maxFeePerGas": 10**9, "maxPriorityFeePerGas": 1}
    for nonce, fields in enumerate(prices):
        settings = {"nonce": nonce, "gas": 21_000, "value": 0, "chainId": CHAIN_ID, "to": ADDRESS, "data": b""}
        receipt = await ledger.send(bytes(KEY.sign_transaction({**settings, **fields}).raw_transaction))
        assert (receipt.status, receipt.gas_price) == (1, "0x0")
    contradicting = {"type": 2, "maxFeePerGas": 1, "maxPriorityFeePerGas": 2, "nonce": 2}
    raw = KEY.sign_transaction({**settings, **contradicting}).raw_transaction
    assert "FeeTooLow" in await refusal(ledger, "SendRawTransaction", signed_argument(bytes(raw)))


async def test_nothing_runs_before_the_hospitals_enacted_terms() -> None:
    ledger = EvmLedger(terms=None)
    calls = {"Execute": identity_transaction(to=ADDRESS), "Call": question(ADDRESS), "ReadTerms": None}
    for function, argument in calls.items():
        assert (await refusal(ledger, function, argument)).startswith("NOT_FOUND: there is no EVM on this channel yet")


# ---- attacks on who, when and where


async def test_a_signed_transaction_cant_be_replayed() -> None:
    ledger = EvmLedger()
    counter = await ledger.create(COUNTER)
    raw = signed(KEY, to=counter, data=word(5))
    twice = [await ledger.propose("SendRawTransaction", signed_argument(raw), by=by) for by in (CLEVELAND, ZURICH)]
    assert ledger.ledger.commit(twice) == [VALID, "MVCC_READ_CONFLICT"]
    said = await refusal(ledger, "SendRawTransaction", signed_argument(raw))
    assert said.startswith("CONFLICTING: WrongNonce: nonce 0; the sender's next one is 1")


async def test_a_gap_in_the_nonces_is_refused() -> None:
    raw = signed(KEY, to=ADDRESS, nonce=2)
    said = await refusal(EvmLedger(), "SendRawTransaction", signed_argument(raw))
    assert said.startswith("CONFLICTING: WrongNonce: nonce 2; the sender's next one is 0")


@pytest.mark.parametrize("kind", ["legacy", "access list", "fee market"])
async def test_a_transaction_for_another_chain_is_refused(kind: str) -> None:
    raw = signed(KEY, to=ADDRESS, chainId=CHAIN_ID + 1, **TYPES[kind])
    said = await refusal(EvmLedger(), "SendRawTransaction", signed_argument(raw))
    assert said.startswith("FORBIDDEN: InvalidSignature")
    assert f"chain {CHAIN_ID}" in said


async def test_a_transaction_that_was_changed_has_another_signer_or_none() -> None:
    ledger = EvmLedger()
    counter = await ledger.create(COUNTER)
    raw = signed(KEY, to=counter, data=word(5))
    forged = raw.replace(word(5), word(6))
    recovered = EthereumAccount.recover_transaction(forged)
    receipt = await ledger.send(forged)
    assert receipt.sender == recovered.lower() != as_data(ADDRESS)


@pytest.mark.parametrize("distance", [-21, 21])
async def test_a_claimed_block_far_from_the_endorsers_height_is_refused(distance: int) -> None:
    ledger = EvmLedger()
    wrong = HEIGHT + distance
    said = await refusal(ledger, "Execute", identity_transaction(to=ADDRESS, block_number=wrong))
    assert said.startswith(f"BLOCK_SKEW: the transaction claims block {wrong}, this peer's ledger has {HEIGHT} blocks")
    signed_one = signed_argument(signed(KEY, to=ADDRESS), block_number=wrong)
    assert (await refusal(ledger, "SendRawTransaction", signed_one)).startswith("BLOCK_SKEW")
    near = HEIGHT + distance + (1 if distance < 0 else -1)
    assert (await ledger.execute(to=ADDRESS, block_number=near)).status == 1


@pytest.mark.parametrize("skew", [-60_001, 60_001])
async def test_a_timestamp_far_from_the_endorsers_clock_is_refused(skew: int) -> None:
    ledger = EvmLedger()
    for function, argument in (
        ("Execute", identity_transaction(to=ADDRESS)),
        ("SendRawTransaction", signed_argument(signed(KEY, to=ADDRESS))),
    ):
        assert (await refusal(ledger, function, argument, at=NOW + skew)).startswith("CLOCK_SKEW")
        near = NOW + skew + (1 if skew < 0 else -1)
        await ledger.propose(function, argument, at=near)


@pytest.mark.parametrize("role", ["peer", "orderer", ""])
async def test_certificates_of_nodes_carry_no_transactions(role: str) -> None:
    by = identity("ClevelandMSP", f"a {role}", role)
    argument = identity_transaction(to=ADDRESS)
    assert (await refusal(EvmLedger(), "Execute", argument, by=by)).startswith("FORBIDDEN")


# ---- sizes


async def test_outputs_that_no_receipt_can_hold_are_refused() -> None:
    ledger = EvmLedger()
    large = await ledger.create(assemble("PUSH0 CALLDATALOAD PUSH0 RETURN"))
    assert (await ledger.execute(to=large, data=word(2**19 - 1))).status == 1
    argument = identity_transaction(to=large, data=word(2**19))
    assert (await refusal(ledger, "Execute", argument)).startswith(f"MALFORMED: output has {2**19} bytes")
    assert (await refusal(ledger, "Call", question(large, word(2**19)))).startswith("MALFORMED: output has")


async def test_prefetching_too_much_is_refused_and_too_little_or_much_changes_nothing() -> None:
    ledger = EvmLedger()
    counter = await ledger.create(COUNTER)
    plain = await ledger.propose("Execute", identity_transaction(to=counter, data=word(1)))
    listed = (entry(counter, 1, 2, 3), entry(ADDRESS))
    hinted = await ledger.propose("Execute", identity_transaction(to=counter, data=word(1), prefetch=listed))
    assert set(plain.reads) < set(hinted.reads)
    name = state_keys.receipt(bytes.fromhex(plain.tx_id))
    other = state_keys.receipt(bytes.fromhex(hinted.tx_id))
    for simulation, receipt in ((plain, name), (hinted, other)):
        simulation.writes.pop(("evm/", receipt))
    assert plain.writes == hinted.writes
    argument = identity_transaction(to=counter, prefetch=(entry(counter, *range(5_000)),))
    assert (await refusal(ledger, "Execute", argument)).startswith("MALFORMED: 5002 keys to read in advance")


async def test_a_calls_answer_is_a_record() -> None:
    ledger = EvmLedger()
    contract = await ledger.create(BLOCK)
    answer = await ledger.ask("Call", question(contract), Outcome)
    assert (answer.status, answer.error) == (1, "")
