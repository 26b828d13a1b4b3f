"""What the chaincode and the peers say, as errors of JSON-RPC in the words that Ethereum's clients look for."""

from __future__ import annotations

from consilium_peers.errors import GatewayError
from consilium_peers.ethereum.rpc.errors import RevertError, RpcError, UnavailableError
from consilium_proto.ethereum.scalars import from_data
from consilium_proto.ethereum.transactions import Outcome
from consilium_proto.refusals import RefusalCode

REVERTED = "execution reverted"
# Refused for when it was asked, not for what was.
_PASSING = (RefusalCode.DEADLINE_PASSED, RefusalCode.CLOCK_SKEW, RefusalCode.BLOCK_SKEW, RefusalCode.NOT_YET)

# What the EVM calls a thing, and the words by which web3.py, ethers and Hardhat know it: geth's.
_KNOWN_WORDS = {
    "OutOfGas": "out of gas",
    "InsufficientFunds": "insufficient funds for gas * price + value",
    "GasLimitTooLow": "intrinsic gas too low",
    "GasLimitTooHigh": "exceeds block gas limit",
    "InvalidSignature": "invalid sender",
    "WrongNonce": "nonce too low",
    "UnsupportedTransaction": "transaction type not supported",
    "InitCodeTooLarge": "max initcode size exceeded",
    "SenderIsContract": "sender not an eoa",
    "FeeTooLow": "max fee per gas less than block base fee",
}
_ERROR_SELECTOR = bytes.fromhex("08c379a0")
_PANIC_SELECTOR = bytes.fromhex("4e487b71")
_WORD = 32
_PANICS = {
    0x01: "assert(false)",
    0x11: "arithmetic underflow or overflow",
    0x12: "division or modulo by zero",
    0x21: "enum overflow",
    0x22: "invalid encoded storage byte array accessed",
    0x31: "out-of-bounds array access; popping on an empty array",
    0x32: "out-of-bounds access of an array or bytesN",
    0x41: "out of memory",
    0x51: "uninitialized function",
}


def known_words(explanation: str) -> str:
    """Return an explanation of the EVM's with the words in front by which clients know it."""
    name, _, rest = explanation.partition(": ")
    return f"{_KNOWN_WORDS[name]}: {rest}" if name in _KNOWN_WORDS else explanation


def explanation_of(error: GatewayError) -> str:
    """Return the contract's sentence out of what the gateway made of it."""
    said = [*(detail.message for detail in error.details), error.reason]
    for code in RefusalCode:
        for text in said:
            _, found, rest = text.partition(f"{code.value}: ")
            if found:
                return rest
    return error.reason


def as_rpc_error(error: GatewayError) -> RpcError:
    """Return the error of a question that wasn't answered."""
    if error.refusal is not None and error.refusal not in _PASSING:
        return RpcError(known_words(explanation_of(error)))
    if error.refusal is not None or error.of_contract:
        return UnavailableError(f"the organisation's peer can't answer now: {explanation_of(error)}")
    return UnavailableError(f"the organisation's peer doesn't answer: {error.reason}; try again")


def failure_of(outcome: Outcome) -> RpcError:
    """Return the error of a call or an estimate whose outermost frame failed."""
    if outcome.error != REVERTED:
        return RpcError(known_words(outcome.error))
    reason = revert_reason(from_data(outcome.output))
    return RevertError(f"{REVERTED}: {reason}" if reason else REVERTED, outcome.output)


def revert_reason(output: bytes) -> str:
    """Return what Solidity's Error(string) or Panic(uint256) says; nothing for anything else."""
    selector, body = output[:4], output[4:]
    if selector == _PANIC_SELECTOR and len(body) == _WORD:
        code = int.from_bytes(body, "big")
        return f"panic: {_PANICS.get(code, 'unknown')} (0x{code:02x})"
    if selector == _ERROR_SELECTOR and len(body) >= 2 * _WORD and int.from_bytes(body[:_WORD], "big") == _WORD:
        length = int.from_bytes(body[_WORD : 2 * _WORD], "big")
        return body[2 * _WORD : 2 * _WORD + min(length, len(body))].decode(errors="replace")
    return ""
