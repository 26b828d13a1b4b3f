"""Contracts begin and end: addresses, limits, prices, collisions, and SELFDESTRUCT after EIP-6780."""

from __future__ import annotations

from dataclasses import replace

import pytest
from evm_world import CONTRACT, ENVIRONMENT, OTHER, RETURN_WORD, SENDER, run

from consilium_bench.evm_oracle.assembler import assemble, returning
from consilium_chaincode.evm.addresses import created_address, salted_address
from consilium_chaincode.evm.errors import AddressCollision, EvmError, InitCodeTooLarge, InvalidCode, OutOfGas
from consilium_chaincode.evm.execution import AccountState, execute
from consilium_chaincode.evm.transactions.forms import Transaction


def creating(init_code: bytes, *, value: int = 0, salt: int | None = None) -> bytes:
    """Return code that copies init code from its call data, creates a contract and returns its address."""
    salted = [] if salt is None else [salt]
    copy = assemble("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY")
    return copy + assemble(*salted, "CALLDATASIZE PUSH0", value, "CREATE" if salt is None else "CREATE2") + RETURN_WORD


def created(init_code: bytes, **options: int | None) -> int:
    result = run(creating(init_code, **options), data=init_code)  # type: ignore[arg-type]
    assert result.status == 1
    return int.from_bytes(result.output, "big")


@pytest.mark.parametrize(
    ("creator", "salt", "init_code", "address"),
    [
        ("0000000000000000000000000000000000000000", 0, "00", "4d1a2e2bb4f88f0250f26ffff098b0b30b26bf38"),
        ("deadbeef00000000000000000000000000000000", 0, "00", "b928f69bb1d91cd65274e3c79d8986362984fda3"),
        ("0000000000000000000000000000000000000000", 0, "", "e33c0c7f7df4809055c3eba6c09cfe4baf1bd9e0"),
    ],
)
def test_the_addresses_of_eip_1014(creator: str, salt: int, init_code: str, address: str) -> None:
    made = salted_address(bytes.fromhex(creator), salt.to_bytes(32, "big"), bytes.fromhex(init_code))
    assert made.hex() == address


def test_create_and_create2_give_the_addresses_that_the_rules_say() -> None:
    init_code = returning(b"\x00")
    assert created(init_code).to_bytes(20, "big") == created_address(CONTRACT, 1)
    assert created(init_code, salt=7).to_bytes(20, "big") == salted_address(
        CONTRACT, (7).to_bytes(32, "big"), init_code
    )


def test_a_new_contract_has_nonce_one_its_code_and_the_value() -> None:
    init_code = returning(b"\x01\x02")
    result = run(creating(init_code, value=5), data=init_code, balance=9)
    address = created_address(CONTRACT, 1)
    assert result.state[address] == AccountState(nonce=1, balance=5, code=b"\x01\x02")
    assert (result.state[CONTRACT].nonce, result.state[CONTRACT].balance) == (2, 4)


@pytest.mark.parametrize(
    "init_code",
    [
        b"\xfe",
        returning(b"\xef\x00"),
        assemble(24_577, "PUSH0 RETURN"),
        assemble(1, "PUSH0 PUSH0 REVERT"),
    ],
)
def test_a_creation_that_fails_leaves_nothing_but_the_nonce(init_code: bytes) -> None:
    result = run(creating(init_code), data=init_code, gas=10_000_000)
    assert int.from_bytes(result.output, "big") == 0
    assert created_address(CONTRACT, 1) not in result.state
    assert result.state[CONTRACT].nonce == 2


def test_code_of_the_largest_size_is_kept() -> None:
    init_code = assemble(24_576, "PUSH0 RETURN")
    assert run(creating(init_code), data=init_code, gas=10_000_000).state[created_address(CONTRACT, 1)].code == bytes(
        24_576
    )


def test_init_code_above_its_limit_halts_the_creator() -> None:
    def code(size: int) -> bytes:
        return assemble(size, 0, 0, "CREATE") + RETURN_WORD

    assert run(code(49_152), gas=10_000_000).status == 1
    assert isinstance(run(code(49_153), gas=10_000_000).error, OutOfGas)


@pytest.mark.parametrize("taken", [AccountState(nonce=1), AccountState(code=b"\0"), AccountState(storage={0: 1})])
def test_an_address_that_is_taken_stays_as_it_is(taken: AccountState) -> None:
    address = created_address(CONTRACT, 1)
    result = run(creating(b""), others={address: taken})
    assert int.from_bytes(result.output, "big") == 0
    assert result.state[address] == taken
    assert result.state[CONTRACT].nonce == 2
    assert result.gas_used > 950_000, "the gas that goes along is lost"


def test_a_balance_does_not_take_an_address() -> None:
    address = created_address(CONTRACT, 1)
    assert run(creating(b""), others={address: AccountState(balance=3)}).state[address] == AccountState(
        nonce=1, balance=3
    )


def create_by_transaction(
    init_code: bytes, gas: int = 10_000_000, **others: AccountState
) -> tuple[int, EvmError | None]:
    state = {SENDER: AccountState(balance=10**18), **{bytes.fromhex(name): each for name, each in others.items()}}
    result = execute(state, ENVIRONMENT, Transaction(to=None, gas=gas, data=init_code), SENDER)
    return result.status, result.error


def test_a_transaction_creates_a_contract() -> None:
    init_code = returning(b"\x60\x00")
    state = {SENDER: AccountState(balance=10**18)}
    result = execute(state, ENVIRONMENT, Transaction(to=None, gas=1_000_000, data=init_code), SENDER)
    assert result.contract == created_address(SENDER, 0)
    assert result.state[result.contract].code == b"\x60\x00"
    assert result.output == b"\x60\x00"


def test_a_transaction_fails_where_the_address_is_taken_or_the_code_is_reserved() -> None:
    address = created_address(SENDER, 0).hex()
    status, error = create_by_transaction(b"", **{address: AccountState(nonce=1)})
    assert (status, type(error)) == (0, AddressCollision)
    status, error = create_by_transaction(returning(b"\xef"))
    assert (status, type(error)) == (0, InvalidCode)


def test_a_transaction_with_too_much_init_code_is_refused() -> None:
    assert create_by_transaction(bytes(49_152))[0] == 1
    with pytest.raises(InitCodeTooLarge, match="49153"):
        create_by_transaction(bytes(49_153))


def test_selfdestruct_gives_the_balance_away_and_the_account_stays() -> None:
    result = run(assemble(int.from_bytes(OTHER, "big"), "SELFDESTRUCT"), balance=9, storage={0: 1})
    assert result.state[OTHER].balance == 9
    assert result.state[CONTRACT] == replace(AccountState(nonce=1, storage={0: 1}), code=result.state[CONTRACT].code)


def test_selfdestruct_to_itself_burns_nothing_that_is_older_than_the_transaction() -> None:
    assert run(assemble("ADDRESS SELFDESTRUCT"), balance=9).state[CONTRACT].balance == 9


@pytest.mark.parametrize(("end", "burnt"), [("ADDRESS", True), ("CALLER", False)])
def test_a_contract_that_ends_in_the_transaction_that_made_it_is_gone(end: str, burnt: bool) -> None:
    init_code = assemble(1, 0, "SSTORE") + assemble(end, "SELFDESTRUCT")
    result = run(creating(init_code, value=5), data=init_code, balance=9)
    assert created_address(CONTRACT, 1) not in result.state
    assert result.state[CONTRACT].balance == (4 if burnt else 9)
