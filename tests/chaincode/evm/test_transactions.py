"""Transactions: their bytes, their senders, what they cost, and why they are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evm_world import BASE, CONTRACT, ENVIRONMENT, OTHER

from consilium_bench.evm_oracle.keys import Key, sign_transaction
from consilium_chaincode.evm import rlp
from consilium_chaincode.evm.errors import (
    EvmError,
    FeeTooLow,
    GasLimitTooHigh,
    GasLimitTooLow,
    InsufficientFunds,
    InvalidSignature,
    MalformedTransaction,
    SenderIsContract,
    UnsupportedTransaction,
    WrongNonce,
)
from consilium_chaincode.evm.execution import AccountState, ExecutionResult, execute, execute_raw
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.signatures import ORDER
from consilium_chaincode.evm.transactions.decoding import decode_transaction
from consilium_chaincode.evm.transactions.forms import Access, Transaction, TransactionType
from consilium_chaincode.evm.transactions.intrinsic import intrinsic_gas

KEY = Key.of_number(0x4646464646464646464646464646464646464646464646464646464646464646)
CHAIN = ENVIRONMENT.chain_id
ACCESSES = (Access(CONTRACT, (1, 2**256 - 1)), Access(OTHER))
EIP_155_EXAMPLE = bytes.fromhex(
    "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025"
    "a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
    "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
)


def transaction_of(kind: TransactionType, **fields: Any) -> Transaction:
    usual: dict[str, Any] = {
        "to": CONTRACT,
        "gas": 200_000,
        "data": b"\1\2",
        "value": 5,
        "nonce": 0,
        "max_fee": 9,
        "type": kind,
    }
    usual["max_priority_fee"] = 9 if kind < TransactionType.FEE_MARKET else 3
    if kind:
        usual["access_list"] = ACCESSES
    if kind is TransactionType.SET_CODE:
        usual["authorizations"] = (Key.of_number(3).authorize(CHAIN, OTHER, 0),)
    return Transaction(**{**usual, **fields})


KINDS = [kind for kind in TransactionType if kind is not TransactionType.BLOB]


def test_the_example_of_eip_155() -> None:
    signed = decode_transaction(EIP_155_EXAMPLE, chain_id=1)
    assert signed.sender.hex() == "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f" == KEY.address.hex()
    expected = Transaction(
        to=b"\x35" * 20, gas=21_000, value=10**18, nonce=9, max_fee=20 * 10**9, max_priority_fee=20 * 10**9
    )
    assert signed.transaction == expected
    assert sign_transaction(KEY, expected, 1) == EIP_155_EXAMPLE


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_signed_is_read_with_its_sender_and_hash(kind: TransactionType) -> None:
    transaction = transaction_of(kind)
    raw = sign_transaction(KEY, transaction, CHAIN)
    signed = decode_transaction(raw, CHAIN)
    assert (signed.transaction, signed.sender, signed.hash) == (transaction, KEY.address, keccak256(raw))


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_for_another_chain_is_refused(kind: TransactionType) -> None:
    with pytest.raises(InvalidSignature):
        decode_transaction(sign_transaction(KEY, transaction_of(kind), CHAIN + 1), CHAIN)


def test_a_legacy_transaction_may_be_signed_for_no_chain() -> None:
    numbers = [rlp.encode_number(each) for each in (0, 9, 21_000)]
    fields = [*numbers, CONTRACT, b"", b""]
    y_parity, r, s = KEY.sign(keccak256(rlp.encode(fields)))
    raw = rlp.encode([*fields, *(rlp.encode_number(each) for each in (27 + y_parity, r, s))])
    assert decode_transaction(raw, CHAIN).sender == KEY.address
    twin = rlp.encode([*fields, *(rlp.encode_number(each) for each in (28 - y_parity, r, ORDER - s))])
    with pytest.raises(InvalidSignature, match="above half"):
        decode_transaction(twin, CHAIN)


def test_blob_transactions_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedTransaction, match=r"blob transaction \(type 3, EIP-4844\)"):
        decode_transaction(b"\x03" + rlp.encode([]), CHAIN)


@pytest.mark.parametrize("first", [0, 5, 0x7F])
def test_unknown_types_are_refused(first: int) -> None:
    with pytest.raises(UnsupportedTransaction, match=f"type {first}"):
        decode_transaction(bytes([first]) + rlp.encode([]), CHAIN)


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_may_be_missing_added_or_changed(kind: TransactionType) -> None:
    raw = sign_transaction(KEY, transaction_of(kind), CHAIN)
    for bad in (raw[:-1], raw + b"\0", b""):
        with pytest.raises(MalformedTransaction):
            decode_transaction(bad, CHAIN)
    for place in range(len(raw)):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        try:
            sender = decode_transaction(changed, CHAIN).sender
        except EvmError:
            continue
        assert sender != KEY.address


@pytest.mark.parametrize(
    "data",
    ["b90001aa", "b801aa", "8100", "c101ff", "f800", "b8", "bf", "c2", "c1b9", "c0c0", "ff" * 9, "c1" * 1000 + "c0"],
)
def test_what_has_a_shorter_form_or_an_end_too_soon_is_no_rlp(data: str) -> None:
    with pytest.raises(MalformedTransaction):
        rlp.decode(bytes.fromhex(data))


@pytest.mark.parametrize("size", [0, 1, 55, 56, 255, 256, 70_000])
def test_rlp_reads_what_it_writes(size: int) -> None:
    item = [b"\x7f" * size, [b"", [b"\x80"]], [b"x"] * (size // 10)]
    assert rlp.decode(rlp.encode(item)) == item


@pytest.mark.parametrize("field", range(13))
def test_each_field_has_its_kind(field: int) -> None:
    transaction = transaction_of(TransactionType.SET_CODE)
    fields = rlp.decode(sign_transaction(KEY, transaction, CHAIN)[1:])
    for wrong in (b"\0\1", [b"x"], [[b"x", b"y"]], b"\1" * 33):
        changed = [wrong if place == field else each for place, each in enumerate(fields)]
        if field == 7 and isinstance(wrong, bytes):
            continue
        with pytest.raises((MalformedTransaction, InvalidSignature)):
            decode_transaction(b"\x04" + rlp.encode(changed), CHAIN)


# What they cost


@pytest.mark.parametrize(
    ("transaction", "charged", "floor"),
    [
        (Transaction(CONTRACT, 0), BASE, BASE),
        (Transaction(CONTRACT, 0, data=b"\0\1"), BASE + 4 + 16, BASE + 50),
        (Transaction(None, 0, data=b"\1" * 33), BASE + 33 * 16 + 32_000 + 2 * 2, BASE + 33 * 40),
        (Transaction(CONTRACT, 0, access_list=ACCESSES), BASE + 2 * 2_400 + 2 * 1_900, BASE),
        (
            Transaction(CONTRACT, 0, authorizations=(KEY.authorize(0, OTHER, 0),) * 2),
            BASE + 50_000,
            BASE,
        ),
    ],
)
def test_intrinsic_gas_and_floor(transaction: Transaction, charged: int, floor: int) -> None:
    assert intrinsic_gas(transaction) == (charged, floor)


def send(
    transaction: Transaction, *, balance: int = 10**18, nonce: int = 0, code: bytes = b"", **block: Any
) -> ExecutionResult:
    state = {KEY.address: AccountState(nonce=nonce, balance=balance, code=code)}
    return execute(state, replace(ENVIRONMENT, **block), transaction, KEY.address)


def test_data_that_nothing_looks_at_costs_its_floor() -> None:
    data = b"\1" * 100
    assert send(Transaction(CONTRACT, 100_000, data=data)).gas_used == BASE + 4_000
    with pytest.raises(GasLimitTooLow, match=str(BASE + 4_000)):
        send(Transaction(CONTRACT, BASE + 3_999, data=data))


def test_fees_go_to_the_beneficiary_and_the_base_fee_to_nobody() -> None:
    beneficiary = b"\xfe" * 20
    transaction = Transaction(
        CONTRACT, 50_000, value=5, max_fee=10, max_priority_fee=2, type=TransactionType.FEE_MARKET
    )
    result = send(transaction, base_fee=7, coinbase=beneficiary)
    assert (result.gas_used, result.receipt.gas_price) == (BASE, 9)
    assert result.state[beneficiary].balance == 2 * BASE
    assert result.state[KEY.address] == AccountState(nonce=1, balance=10**18 - 5 - 9 * BASE)
    assert result.state[CONTRACT].balance == 5


def test_a_failed_transaction_pays_and_counts_but_moves_no_value() -> None:
    state = {KEY.address: AccountState(balance=10**18), CONTRACT: AccountState(nonce=1, code=b"\xfe")}
    result = execute(state, ENVIRONMENT, Transaction(CONTRACT, 50_000, value=5, max_fee=1), KEY.address)
    assert (result.status, result.gas_used) == (0, 50_000)
    assert result.state == state | {KEY.address: AccountState(nonce=1, balance=10**18)}


@pytest.mark.parametrize(
    ("transaction", "state", "error"),
    [
        (Transaction(CONTRACT, BASE - 1), {}, GasLimitTooLow),
        (Transaction(CONTRACT, 2**24 + 1), {}, GasLimitTooHigh),
        (Transaction(CONTRACT, 30_000), {"gas_limit": 29_999}, GasLimitTooHigh),
        (Transaction(CONTRACT, 30_000), {"transaction_gas_cap": 29_999}, GasLimitTooHigh),
        (Transaction(CONTRACT, 30_000, nonce=1), {}, WrongNonce),
        (Transaction(CONTRACT, 30_000, nonce=0), {"nonce": 1}, WrongNonce),
        (Transaction(CONTRACT, 30_000, nonce=2**64 - 1), {"nonce": 2**64 - 1}, WrongNonce),
        (Transaction(CONTRACT, 30_000, value=5), {"balance": 4}, InsufficientFunds),
        (Transaction(CONTRACT, 30_000, max_fee=2), {"balance": 59_999}, InsufficientFunds),
        (Transaction(CONTRACT, 30_000, max_fee=6), {"base_fee": 7}, FeeTooLow),
        (Transaction(CONTRACT, 30_000, max_fee=6, max_priority_fee=7), {}, FeeTooLow),
        (Transaction(CONTRACT, 30_000, nonce=0), {"code": b"\0"}, SenderIsContract),
    ],
)
def test_what_is_refused(transaction: Transaction, state: dict[str, Any], error: type[EvmError]) -> None:
    with pytest.raises(error):
        send(transaction, **state)


def test_a_call_that_nobody_signed_may_be_a_contracts() -> None:
    assert send(Transaction(CONTRACT, 30_000), code=b"\0").status == 1


def test_a_sender_with_a_delegation_may_send() -> None:
    assert send(Transaction(CONTRACT, 30_000), code=b"\xef\x01\x00" + OTHER).status == 1


def test_a_call_that_nobody_signed_needs_no_nonce() -> None:
    result = send(Transaction(CONTRACT, 30_000), nonce=7)
    assert result.state[KEY.address].nonce == 8


def test_raw_transactions_run_for_who_signed_them() -> None:
    state = {KEY.address: AccountState(balance=10**18)}
    raw = sign_transaction(KEY, transaction_of(TransactionType.FEE_MARKET), CHAIN)
    assert execute_raw(state, ENVIRONMENT, raw).state[CONTRACT].balance == 5
