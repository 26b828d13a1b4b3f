"""Modular exponentiation, 0x05 (EIP-198), with the limits of EIP-7823 and the price of EIP-7883."""

from __future__ import annotations

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import PrecompileFailure
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import MODEXP_MIN_GAS
from consilium_chaincode.evm.memory import padded

_LONGEST = 1024
_SHORT = 32
_SHORT_COMPLEXITY = 16
_LONG_EXPONENT_FACTOR = 16


def modexp(frame: Frame) -> bytes:
    """Read three lengths of 32 bytes each, then base, exponent and modulus; return the power, as long as the modulus.

    Raises:
        PrecompileFailure: a length above 1024.
    """
    # GAS
    data = frame.message.data
    lengths = [int.from_bytes(padded(data, start, 32), "big") for start in (0, 32, 64)]
    if max(lengths) > _LONGEST:
        raise PrecompileFailure(f"numbers of {lengths} bytes; at most {_LONGEST} are allowed (EIP-7823)")
    base_length, exponent_length, modulus_length = lengths
    exponent_start = 96 + base_length
    exponent = int.from_bytes(padded(data, exponent_start, exponent_length), "big")
    charge_gas(frame, _price(base_length, exponent_length, modulus_length, exponent))

    # OPERATION
    base = int.from_bytes(padded(data, 96, base_length), "big")
    modulus = int.from_bytes(padded(data, exponent_start + exponent_length, modulus_length), "big")
    power = pow(base, exponent, modulus) if modulus else 0
    return power.to_bytes(modulus_length, "big")


def _price(base_length: int, exponent_length: int, modulus_length: int, exponent: int) -> int:
    """Return EIP-7883's price: complexity of a multiplication times the number of them, 500 at least."""
    longest = max(base_length, modulus_length)
    words = (longest + 7) // 8
    complexity = _SHORT_COMPLEXITY if longest <= _SHORT else 2 * words * words
    beyond = max(exponent_length - _SHORT, 0)
    head = exponent >> 8 * beyond
    iterations = _LONG_EXPONENT_FACTOR * beyond + max(head.bit_length() - 1, 0)
    return max(MODEXP_MIN_GAS, complexity * max(iterations, 1))
