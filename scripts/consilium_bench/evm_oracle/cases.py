"""Random cases: a state, a block, a signed transaction. One seed and number always make the same case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

from consilium_bench.evm_oracle.assembler import assemble
from consilium_bench.evm_oracle.keys import Key, sign_transaction
from consilium_bench.evm_oracle.precompile_inputs import QUICK, SLOW, precompile_input
from consilium_bench.evm_oracle.programs import ProgramWriter
from consilium_chaincode.evm.delegation import Authorization
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.execution import AccountState
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.transactions.forms import Access, Transaction, TransactionType

CHAIN_ID = 1337
_NUMBER = 1_000
_KEYS = [Key.of_number(number) for number in (101, 102, 103)]
_CONTRACTS = [bytes([0xC0 + number]) * 20 for number in range(4)]
_PRECOMPILES = [number.to_bytes(20, "big") for number in (1, 2, 3, 4, 5, 9, 0x100)]
_NOBODY = bytes([0xDD]) * 20
_COINBASE = bytes([0xFE]) * 20
_ADDRESSES = [*_CONTRACTS, *_CONTRACTS, *(key.address for key in _KEYS), *_PRECOMPILES, _NOBODY, _COINBASE]
_SHARE_OF_PRECOMPILES = 0.12
_SHARE_OF_SLOW_ONES = 0.06


@dataclass(frozen=True)
class Case:
    """What both sides execute."""

    name: str
    state: dict[bytes, AccountState]
    environment: Environment
    raw: bytes

    def document(self) -> dict[str, Any]:
        """Return it as the specification's program reads it."""
        block = self.environment
        return {
            "state": dump_state(self.state),
            "environment": {
                "chain_id": block.chain_id,
                "number": block.number,
                "timestamp": block.timestamp,
                "gas_limit": block.gas_limit,
                "base_fee": block.base_fee,
                "coinbase": block.coinbase.hex(),
                "prev_randao": block.prev_randao.hex(),
            },
            "raw": self.raw.hex(),
        }


def dump_state(state: Any) -> dict[str, Any]:
    """Return accounts as both sides write them down."""
    return {
        address.hex(): {
            "nonce": account.nonce,
            "balance": account.balance,
            "code": account.code.hex(),
            "storage": {str(slot): word for slot, word in account.storage.items()},
        }
        for address, account in state.items()
    }


def make_case(seed: int, number: int) -> Case:
    """Return a case."""
    random = Random(f"{seed}/{number}")
    environment = Environment(
        chain_id=CHAIN_ID,
        number=_NUMBER,
        timestamp=random.randrange(2**32),
        base_fee=random.choice((0, 0, 7)),
        coinbase=random.choice((_COINBASE, _COINBASE, _CONTRACTS[1], _KEYS[0].address)),
        prev_randao=random.randbytes(32),
        block_hash=lambda wanted: keccak256(wanted.to_bytes(32, "big")),
    )
    writer = ProgramWriter(random, _ADDRESSES, _NUMBER)
    state = _state(random, writer)
    transaction = _transaction(random, writer, state, environment)
    if random.random() < _SHARE_OF_PRECOMPILES:
        state, transaction = _precompile_call(random, state, transaction)
    key = random.choice(_KEYS[:2])
    account = state.get(key.address, AccountState())
    nonce = account.nonce if random.random() < 0.98 else account.nonce + 1
    raw = sign_transaction(key, replace(transaction, nonce=nonce), CHAIN_ID)
    if random.random() < 0.01:
        raw = raw[:-1] if random.random() < 0.5 else raw[:20] + bytes([raw[20] ^ 1]) + raw[21:]
    return Case(f"seed {seed}, case {number}", state, environment, raw)


def _state(random: Random, writer: ProgramWriter) -> dict[bytes, AccountState]:
    state = {
        address: AccountState(
            nonce=1,
            balance=random.choice((0, 5, 10**18)),
            code=writer.program(),
            storage={slot: random.choice((1, 2, 2**255)) for slot in range(4) if random.random() < 0.5},
        )
        for address in _CONTRACTS
    }
    for key in _KEYS[:2]:
        state[key.address] = AccountState(
            nonce=random.randint(0, 3), balance=10**18 if random.random() < 0.97 else 10**6
        )
    if random.random() < 0.5:
        delegate = random.choice((*_CONTRACTS, _PRECOMPILES[0], _KEYS[2].address))
        code = b"\xef\x01\x00" + delegate if random.random() < 0.9 else b"\x00"
        state[_KEYS[2].address] = AccountState(nonce=random.randint(0, 2), balance=random.choice((0, 9)), code=code)
    return state


def _transaction(
    random: Random, writer: ProgramWriter, state: dict[bytes, AccountState], environment: Environment
) -> Transaction:
    kind = random.choice([each for each in TransactionType if each is not TransactionType.BLOB])
    creates = random.random() < 0.1 and (kind is not TransactionType.SET_CODE or random.random() < 0.1)
    odd = random.random()
    base_fee = environment.base_fee
    max_fee = base_fee - 1 if base_fee and odd < 0.02 else base_fee + random.choice((0, 3, 10))
    priority_fee = max_fee if kind < TransactionType.FEE_MARKET else random.choice((0, min(1, max_fee), max_fee))
    gas = random.choice((60_000, 100_000, 200_000, 1_000_000)) + 25_000 * (kind is TransactionType.SET_CODE)
    if random.random() < 0.06:
        gas = random.choice((21_000, 21_100, 2**24, 2**24, 2**24 + 1))
    return Transaction(
        to=None if creates else random.choice((_CONTRACTS[0], _CONTRACTS[0], _CONTRACTS[0], *_ADDRESSES)),
        gas=gas,
        data=writer.program() if creates else random.randbytes(random.choice((0, 4, 36, 100))) + bytes(8),
        value=random.choice((0, 0, 0, 1, 10**17)) if odd < 0.98 else 10**18,
        max_fee=max_fee,
        max_priority_fee=max_fee + 1 if 0.02 < odd < 0.03 else priority_fee,
        access_list=_access_list(random) if kind else (),
        authorizations=_authorizations(random, state) if kind is TransactionType.SET_CODE else (),
        type=kind,
    )


def _access_list(random: Random) -> tuple[Access, ...]:
    return tuple(
        Access(
            random.choice(_ADDRESSES), tuple(random.choice((0, 1, 2, 2**256 - 1)) for _ in range(random.randint(0, 2)))
        )
        for _ in range(random.choice((0, 0, 1, 2)))
    )


def _authorizations(random: Random, state: dict[bytes, AccountState]) -> tuple[Authorization, ...]:
    made = []
    for _ in range(random.choice((1, 1, 1, 2, 3)) if random.random() < 0.97 else 0):
        key = random.choice(_KEYS)
        nonce = state.get(key.address, AccountState()).nonce
        # The sender's own nonce is counted up before the authorisations are looked at.
        nonce += random.choice((0, 0, 0, 1, 2))
        chain_id = random.choice((0, CHAIN_ID, CHAIN_ID, CHAIN_ID, 1))
        delegate = random.choice((*_CONTRACTS, *_CONTRACTS, _PRECOMPILES[3], bytes(20), _KEYS[0].address))
        authorization = key.authorize(chain_id, delegate, nonce)
        if random.random() < 0.05:
            authorization = replace(authorization, nonce=random.choice((nonce + 1, 2**64 - 1)))
        made.append(authorization)
    return tuple(made)


def _precompile_call(
    random: Random, state: dict[bytes, AccountState], transaction: Transaction
) -> tuple[dict[bytes, AccountState], Transaction]:
    """Return a transaction whose data go to a precompiled contract, through a contract that returns what came back."""
    number = random.choice(SLOW if random.random() < _SHARE_OF_SLOW_ONES else QUICK)
    name = random.choice(("CALL", "STATICCALL", "DELEGATECALL", "CALLCODE"))
    value = [random.choice((0, 1))] if name in ("CALL", "CALLCODE") else []
    gas: list[int | str] = ["GAS"] if random.random() < 0.9 else [random.choice((0, 100, 3000, 7000))]
    code = assemble(
        *("CALLDATASIZE PUSH0 PUSH0 CALLDATACOPY", random.choice((0, 32, 64)), 0, "CALLDATASIZE PUSH0"),
        *(*value, number, *gas, name),
        *(0, "SSTORE RETURNDATASIZE PUSH0 PUSH0 RETURNDATACOPY RETURNDATASIZE PUSH0 RETURN"),
    )
    target = _CONTRACTS[0]
    called = replace(
        transaction,
        to=number.to_bytes(20, "big") if random.random() < 0.1 else target,
        data=precompile_input(random, number),
        gas=random.choice((200_000, 2_000_000)),
    )
    return {**state, target: replace(state[target], code=code)}, called
