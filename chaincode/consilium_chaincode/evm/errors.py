"""Why an execution stops, and why a transaction is refused."""

from __future__ import annotations


class EvmError(Exception):
    """Everything that goes wrong in the EVM."""


class CorruptState(EvmError):
    """A value that the ledger gave isn't one that the EVM writes."""


class ExceptionalHalt(EvmError):
    """A frame ends, its effects are undone and all its gas is gone (yellow paper, 9.4.2)."""


class StackUnderflow(ExceptionalHalt):
    """An instruction takes more words than the stack holds."""


class StackOverflow(ExceptionalHalt):
    """The stack would hold more than 1024 words."""


class OutOfGas(ExceptionalHalt):
    """The frame's gas doesn't pay for what it does next, or a limit that acts as such is passed."""


class InvalidOpcode(ExceptionalHalt):
    """Osaka gives this byte no meaning."""


class InvalidJump(ExceptionalHalt):
    """A jump that doesn't lead to a JUMPDEST."""


class WriteInStaticCall(ExceptionalHalt):
    """A frame below a STATICCALL tries to change something (EIP-214)."""


class ReturnDataOutOfBounds(ExceptionalHalt):
    """RETURNDATACOPY reads past the end of what was returned (EIP-211)."""


class InvalidCode(ExceptionalHalt):
    """A created contract's code begins with 0xEF (EIP-3541)."""


class AddressCollision(ExceptionalHalt):
    """The address of a new contract is taken (EIP-684, EIP-7610)."""


class PrecompileFailure(ExceptionalHalt):
    """A precompiled contract refuses its input."""


class Reverted(EvmError):
    """REVERT: a frame ends, its effects are undone, what gas is left goes back to the caller (EIP-140)."""


class InvalidTransaction(EvmError):
    """A transaction that can't be part of a block: nothing is executed and nothing changes."""


class MalformedTransaction(InvalidTransaction):
    """The bytes aren't a transaction in its one valid form."""


class UnsupportedTransaction(InvalidTransaction):
    """A transaction of a type that this ledger doesn't take."""


class InvalidSignature(InvalidTransaction):
    """The signature names no sender, or is of another chain."""


class WrongNonce(InvalidTransaction):
    """The nonce isn't the sender's next one."""


class GasLimitTooLow(InvalidTransaction):
    """The gas limit doesn't pay for the transaction itself, before anything runs."""


class GasLimitTooHigh(InvalidTransaction):
    """The gas limit is above what a transaction (EIP-7825) or the block may use."""


class InsufficientFunds(InvalidTransaction):
    """The sender's balance doesn't cover gas limit times price plus value."""


class FeeTooLow(InvalidTransaction):
    """The price per unit of gas is below the base fee, or its parts contradict each other (EIP-1559)."""


class InitCodeTooLarge(InvalidTransaction):
    """The init code of a creation is above its limit (EIP-3860)."""


class SenderIsContract(InvalidTransaction):
    """The sender has code that isn't a delegation (EIP-3607)."""


class InvalidAuthorizations(InvalidTransaction):
    """A transaction of type 4 without an authorisation or without a recipient (EIP-7702)."""
