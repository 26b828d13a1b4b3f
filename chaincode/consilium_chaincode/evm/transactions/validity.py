"""When a transaction can't be part of a block: nothing runs then, and nothing changes."""

from __future__ import annotations

from consilium_chaincode.evm.delegation import delegate_of
from consilium_chaincode.evm.environment import Environment
from consilium_chaincode.evm.errors import (
    FeeTooLow,
    GasLimitTooHigh,
    GasLimitTooLow,
    InitCodeTooLarge,
    InsufficientFunds,
    InvalidAuthorizations,
    SenderIsContract,
    WrongNonce,
)
from consilium_chaincode.evm.gas import MAX_INITCODE_SIZE
from consilium_chaincode.evm.state_keys import Account
from consilium_chaincode.evm.transactions.forms import Transaction, TransactionType
from consilium_chaincode.evm.transactions.intrinsic import IntrinsicGas

_MAX_NONCE = (1 << 64) - 1


def check_form(transaction: Transaction, gas: IntrinsicGas, environment: Environment) -> None:
    """Refuse a transaction that no state of the ledger would make valid.

    Raises:
        InvalidTransaction: gas limit, size, fees or authorisations aren't as the rules want them.
    """
    least = max(gas)
    if transaction.gas < least:
        raise GasLimitTooLow(f"the gas limit is {transaction.gas}; the transaction itself costs {least}")
    if transaction.nonce is not None and transaction.nonce >= _MAX_NONCE:
        raise WrongNonce(f"nonce {transaction.nonce}; it has to stay below 2^64 − 1 (EIP-2681)")
    if transaction.to is None and len(transaction.data) > MAX_INITCODE_SIZE:
        raise InitCodeTooLarge(f"{len(transaction.data)} bytes of init code; at most {MAX_INITCODE_SIZE} are allowed")
    most = min(environment.transaction_gas_cap, environment.gas_limit)
    if transaction.gas > most:
        raise GasLimitTooHigh(f"the gas limit is {transaction.gas}; a transaction here may ask for {most}")
    if transaction.max_fee < transaction.max_priority_fee:
        raise FeeTooLow(
            f"a priority fee of {transaction.max_priority_fee} wei is above the most, {transaction.max_fee}"
        )
    if transaction.max_fee < environment.base_fee:
        raise FeeTooLow(f"it pays at most {transaction.max_fee} wei; the base fee is {environment.base_fee}")
    if transaction.type is TransactionType.SET_CODE:
        if transaction.to is None:
            raise InvalidAuthorizations("a transaction of type 4 can't create a contract")
        if not transaction.authorizations:
            raise InvalidAuthorizations("a transaction of type 4 needs an authorisation")


def check_sender(transaction: Transaction, sender: Account, code: bytes) -> None:
    """Refuse a transaction that its sender can't send now; a call that nobody signed may be a contract's.

    Raises:
        InvalidTransaction: nonce or balance don't fit, or the sender is a contract.
    """
    if transaction.nonce is not None and transaction.nonce != sender.nonce:
        raise WrongNonce(f"nonce {transaction.nonce}; the sender's next one is {sender.nonce}")
    most = transaction.gas * transaction.max_fee + transaction.value
    if sender.balance < most:
        raise InsufficientFunds(f"the sender has {sender.balance} wei; the transaction may take {most}")
    if transaction.nonce is not None and code and delegate_of(code) is None:
        raise SenderIsContract("the sender has code, and it isn't a delegation (EIP-3607)")
