"""The EVM's front door: a state, a block and a transaction in; state, logs, output, status and gas out.

```python
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.execution import AccountState, execute, execute_raw

state = {sender: AccountState(balance=10**18), token: AccountState(nonce=1, code=code, storage={0: 7})}
result = execute(state, Environment(chain_id=1, number=1, timestamp=0), transaction, sender)
result.status, result.gas_used, result.output, result.logs, result.state
```

`execute_raw` takes a signed transaction's bytes instead. On the ledger the same generator,
`transactions.processing.process_transaction`, is driven by the chaincode, which reads each key as it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.errors import EvmError
from consilium_chaincode.evm.journal import Log
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.state_keys import (
    Account,
    AccountKey,
    CodeKey,
    Reading,
    Result,
    SlotKey,
    StateKey,
    StoredKey,
    Turn,
    encode_slot,
)
from consilium_chaincode.evm.transactions.decoding import decode_transaction
from consilium_chaincode.evm.transactions.forms import Transaction
from consilium_chaincode.evm.transactions.processing import Receipt, process_transaction


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account as a whole. Storage maps slots to words; slots that hold zero may be left out."""

    nonce: int = 0
    balance: int = 0
    code: bytes = b""
    storage: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What a transaction left behind; the fields are those of `Receipt`, and the state."""

    status: int
    gas_used: int
    output: bytes
    logs: tuple[Log, ...]
    contract: bytes | None
    error: EvmError | None
    state: Mapping[bytes, AccountState]
    """The whole state after the transaction: accounts that nothing changed too, empty ones that it touched not."""
    receipt: Receipt


def execute(
    state: Mapping[bytes, AccountState], environment: Environment, transaction: Transaction, sender: bytes
) -> ExecutionResult:
    """Execute a transaction on a state, which stays as it is.

    Args:
        state: accounts by address (20 bytes).
        environment: the block; its `block_hash` is asked for the hashes of the 256 blocks before it.
        transaction: what to do.
        sender: whose it is (20 bytes).

    Raises:
        InvalidTransaction: a block can't hold it; nothing was executed.
    """
    receipt = answer_from(state, process_transaction(environment, transaction, sender))
    return ExecutionResult(
        status=receipt.status,
        gas_used=receipt.gas_used,
        output=receipt.output,
        logs=receipt.logs,
        contract=receipt.contract,
        error=receipt.error,
        state=apply_changes(state, receipt.changes),
        receipt=receipt,
    )


def execute_raw(state: Mapping[bytes, AccountState], environment: Environment, raw: bytes) -> ExecutionResult:
    """Execute a signed transaction from its bytes; the sender is who signed it.

    Raises:
        InvalidTransaction: the bytes, the signature or the transaction aren't valid; nothing was executed.
    """
    signed = decode_transaction(raw, environment.chain_id)
    return execute(state, environment, signed.transaction, signed.sender)


def answer_from(state: Mapping[bytes, AccountState], reading: Reading[Result]) -> Result:
    """Answer what a generator asks for from a state, to its end; return its result."""
    codes = {keccak256(account.code): account.code for account in state.values() if account.code}
    try:
        key = next(reading)
        while True:
            key = reading.send(_value(state, codes, key))
    except StopIteration as stopped:
        result: Result = stopped.value
        return result


def apply_changes(state: Mapping[bytes, AccountState], changes: Mapping[StoredKey, bytes]) -> dict[bytes, AccountState]:
    """Return a state with changes applied to it."""
    after = dict(state)
    codes = {b"": b""} | {keccak256(account.code): account.code for account in state.values() if account.code}
    codes |= {key.code_hash: value for key, value in changes.items() if isinstance(key, CodeKey)}
    for key, value in changes.items():
        if isinstance(key, AccountKey):
            account = Account.decode(value)
            if account.is_empty:
                after.pop(key.address, None)
                continue
            before = after.get(key.address, AccountState())
            after[key.address] = AccountState(account.nonce, account.balance, codes[account.code_hash], before.storage)
        elif isinstance(key, SlotKey):
            holder = after[key.address]
            storage = {**holder.storage, key.slot: int.from_bytes(value, "big")}
            after[key.address] = replace(holder, storage={slot: word for slot, word in storage.items() if word})
    return after


def _value(state: Mapping[bytes, AccountState], codes: Mapping[bytes, bytes], key: StateKey) -> bytes:
    if isinstance(key, Turn):
        return b""
    if isinstance(key, CodeKey):
        return codes.get(key.code_hash, b"")
    account = state.get(key.address)
    if account is None:
        return b""
    if isinstance(key, SlotKey):
        return encode_slot(account.storage.get(key.slot, 0))
    if isinstance(key, AccountKey):
        return Account(account.nonce, account.balance, keccak256(account.code) if account.code else b"").encode()
    return b"\x01" if any(account.storage.values()) else b""
