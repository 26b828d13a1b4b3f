"""EIP-7702: an account runs another's code, once its owner has signed that it may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from evm_world import BASE, CONTRACT, ENVIRONMENT, OTHER, RETURN_WORD, SENDER, run, word_of

from consilium_bench.evm_oracle.assembler import assemble
from consilium_bench.evm_oracle.keys import Key
from consilium_chaincode.evm.delegation import Authorization
from consilium_chaincode.evm.errors import InvalidAuthorizations
from consilium_chaincode.evm.execution import AccountState, ExecutionResult, execute
from consilium_chaincode.evm.signatures import ORDER, Signature
from consilium_chaincode.evm.transactions.forms import Transaction, TransactionType

OWNER = Key.of_number(7)
MARKER = b"\xef\x01\x00"
CHAIN = ENVIRONMENT.chain_id


def send(*authorizations: Authorization, owner: AccountState | None = None, **fields: Any) -> ExecutionResult:
    state = {
        SENDER: AccountState(balance=10**18),
        CONTRACT: AccountState(nonce=1, code=assemble("ADDRESS") + RETURN_WORD),
    }
    if owner is not None:
        state[OWNER.address] = owner
    transaction = Transaction(
        to=OWNER.address, gas=500_000, authorizations=authorizations, type=TransactionType.SET_CODE, **fields
    )
    return execute(state, ENVIRONMENT, transaction, SENDER)


def test_an_authorised_account_runs_the_code_as_itself() -> None:
    result = send(OWNER.authorize(CHAIN, CONTRACT, 0))
    assert result.output == OWNER.address.rjust(32, b"\0")
    assert result.state[OWNER.address] == AccountState(nonce=1, code=MARKER + CONTRACT)


def test_an_account_that_exists_gets_a_part_of_the_price_back() -> None:
    fresh = send(OWNER.authorize(CHAIN, CONTRACT, 0))
    existing = send(OWNER.authorize(CHAIN, CONTRACT, 0), owner=AccountState(balance=1))
    used = fresh.gas_used
    assert used == BASE + 25_000 + 2 + 2 + 3 + 3 + 3 + 2
    assert existing.gas_used == used - min(12_500, used // 5)


def test_the_refund_stays_when_the_call_fails() -> None:
    owner = AccountState(balance=1)
    result = send(OWNER.authorize(CHAIN, bytes(20), 0), owner=owner)
    assert result.gas_used == BASE + 25_000 - (BASE + 25_000) // 5


def test_the_null_address_ends_a_delegation() -> None:
    result = send(OWNER.authorize(CHAIN, bytes(20), 3), owner=AccountState(nonce=3, code=MARKER + CONTRACT))
    assert result.state[OWNER.address] == AccountState(nonce=4)


def test_chain_zero_stands_for_every_chain() -> None:
    assert send(OWNER.authorize(0, CONTRACT, 0)).state[OWNER.address].code == MARKER + CONTRACT


SIGNED = OWNER.authorize(CHAIN, CONTRACT, 0)


@pytest.mark.parametrize(
    "authorization",
    [
        OWNER.authorize(CHAIN + 1, CONTRACT, 0),
        OWNER.authorize(CHAIN, CONTRACT, 1),
        OWNER.authorize(CHAIN, CONTRACT, 2**64 - 1),
        replace(SIGNED, signature=SIGNED.signature._replace(y_parity=2)),
        replace(SIGNED, signature=SIGNED.signature._replace(r=0)),
        replace(
            SIGNED, signature=Signature(1 - SIGNED.signature.y_parity, SIGNED.signature.r, ORDER - SIGNED.signature.s)
        ),
    ],
)
def test_an_authorisation_that_is_not_in_order_is_passed_over(authorization: Authorization) -> None:
    result = send(authorization)
    assert result.status == 1
    assert OWNER.address not in result.state


def test_an_account_with_code_of_its_own_is_not_delegated() -> None:
    owner = AccountState(code=b"\x00")
    assert send(OWNER.authorize(CHAIN, CONTRACT, 0), owner=owner).state[OWNER.address] == owner


def test_the_last_authorisation_of_an_account_counts() -> None:
    result = send(OWNER.authorize(CHAIN, OTHER, 0), OWNER.authorize(CHAIN, CONTRACT, 1))
    assert result.state[OWNER.address] == AccountState(nonce=2, code=MARKER + CONTRACT)


def test_delegations_stay_when_the_transaction_fails() -> None:
    failing = AccountState(nonce=1, code=b"\xfe")
    state = {SENDER: AccountState(balance=10**18), OTHER: failing}
    transaction = Transaction(
        to=OTHER, gas=500_000, authorizations=(OWNER.authorize(CHAIN, CONTRACT, 0),), type=TransactionType.SET_CODE
    )
    result = execute(state, ENVIRONMENT, transaction, SENDER)
    assert result.status == 0
    assert result.state[OWNER.address].code == MARKER + CONTRACT


def test_only_one_step_is_followed() -> None:
    others = {
        OWNER.address: AccountState(nonce=1, code=MARKER + OTHER),
        OTHER: AccountState(nonce=1, code=MARKER + CONTRACT),
    }
    call = assemble(0, 0, 0, 0, int.from_bytes(OWNER.address, "big"), 50_000, "STATICCALL")
    # 0xEF, what the marker begins with, is no instruction.
    assert word_of(call, others=others) == 0


def test_a_call_through_a_delegation_pays_for_both_accounts() -> None:
    others = {OWNER.address: AccountState(nonce=1, code=MARKER + OTHER)}
    plain = run(assemble(0, 0, 0, 0, int.from_bytes(OTHER, "big"), 0, "STATICCALL"))
    delegated = run(assemble(0, 0, 0, 0, int.from_bytes(OWNER.address, "big"), 0, "STATICCALL"), others=others)
    assert delegated.gas_used == plain.gas_used + 2_600


def test_precompiled_contracts_do_nothing_behind_a_delegation() -> None:
    identity = (4).to_bytes(20, "big")
    others = {OWNER.address: AccountState(nonce=1, code=MARKER + identity)}
    call = assemble(0, 0, 5, 0, int.from_bytes(OWNER.address, "big"), "GAS STATICCALL RETURNDATASIZE ADD")
    assert word_of(call, others=others) == 1


def test_others_see_the_marker_as_code() -> None:
    others = {OWNER.address: AccountState(nonce=1, code=MARKER + OTHER)}
    assert word_of(assemble(int.from_bytes(OWNER.address, "big"), "EXTCODESIZE"), others=others) == 23


def test_a_transaction_of_type_4_needs_an_authorisation_and_a_recipient() -> None:
    with pytest.raises(InvalidAuthorizations, match="needs an authorisation"):
        send()
    state = {SENDER: AccountState(balance=10**18)}
    creation = Transaction(to=None, gas=500_000, authorizations=(SIGNED,), type=TransactionType.SET_CODE)
    with pytest.raises(InvalidAuthorizations, match="can't create"):
        execute(state, ENVIRONMENT, creation, SENDER)
