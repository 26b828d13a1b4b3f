"""Arithmetic: whole numbers modulo 2^256, signed ones in two's complement."""

from __future__ import annotations

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame, Operation
from consilium_chaincode.evm.gas import EXP_BYTE_GAS, GAS_EXP, GAS_LOW, GAS_MID, GAS_VERY_LOW
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import MAX_WORD, WORD_MODULUS, from_signed, to_signed


def add(frame: Frame) -> None:
    """ADD: the sum."""
    # STACK
    stack = frame.stack
    augend, addend = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append((augend + addend) & MAX_WORD)

    # PROGRAM COUNTER
    frame.pc += 1


def mul(frame: Frame) -> None:
    """MUL: the product."""
    # STACK
    stack = frame.stack
    multiplicand, multiplier = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_LOW

    # OPERATION
    stack.append((multiplicand * multiplier) & MAX_WORD)

    # PROGRAM COUNTER
    frame.pc += 1


def sub(frame: Frame) -> None:
    """SUB: the difference."""
    # STACK
    stack = frame.stack
    minuend, subtrahend = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append((minuend - subtrahend) & MAX_WORD)

    # PROGRAM COUNTER
    frame.pc += 1


def div(frame: Frame) -> None:
    """DIV: the quotient, rounded down; zero when divided by zero."""
    # STACK
    stack = frame.stack
    dividend, divisor = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_LOW

    # OPERATION
    stack.append(dividend // divisor if divisor else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def sdiv(frame: Frame) -> None:
    """SDIV: the signed quotient, rounded towards zero; zero when divided by zero."""
    # STACK
    stack = frame.stack
    dividend, divisor = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_LOW

    # OPERATION
    signed_dividend, signed_divisor = to_signed(dividend), to_signed(divisor)
    magnitude = abs(signed_dividend) // abs(signed_divisor) if divisor else 0
    stack.append(from_signed(-magnitude if (signed_dividend < 0) != (signed_divisor < 0) else magnitude))

    # PROGRAM COUNTER
    frame.pc += 1


def mod(frame: Frame) -> None:
    """MOD: the remainder; zero when divided by zero."""
    # STACK
    stack = frame.stack
    dividend, divisor = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_LOW

    # OPERATION
    stack.append(dividend % divisor if divisor else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def smod(frame: Frame) -> None:
    """SMOD: the signed remainder, with the dividend's sign; zero when divided by zero."""
    # STACK
    stack = frame.stack
    dividend, divisor = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_LOW

    # OPERATION
    signed_dividend = to_signed(dividend)
    magnitude = abs(signed_dividend) % abs(to_signed(divisor)) if divisor else 0
    stack.append(from_signed(-magnitude if signed_dividend < 0 else magnitude))

    # PROGRAM COUNTER
    frame.pc += 1


def addmod(frame: Frame) -> None:
    """ADDMOD: the sum modulo the third word, without an overflow in between; zero modulo zero."""
    # STACK
    stack = frame.stack
    augend, addend, modulus = stack.pop(), stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_MID

    # OPERATION
    stack.append((augend + addend) % modulus if modulus else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def mulmod(frame: Frame) -> None:
    """MULMOD: the product modulo the third word, without an overflow in between; zero modulo zero."""
    # STACK
    stack = frame.stack
    multiplicand, multiplier, modulus = stack.pop(), stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_MID

    # OPERATION
    stack.append((multiplicand * multiplier) % modulus if modulus else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def exp(frame: Frame) -> None:
    """EXP: the power; costs more for each byte of the exponent (EIP-160)."""
    # STACK
    stack = frame.stack
    base, exponent = stack.pop(), stack.pop()

    # GAS
    charge_gas(frame, GAS_EXP + EXP_BYTE_GAS * ((exponent.bit_length() + 7) // 8))

    # OPERATION
    stack.append(pow(base, exponent, WORD_MODULUS))

    # PROGRAM COUNTER
    frame.pc += 1


def signextend(frame: Frame) -> None:
    """SIGNEXTEND: the second word's lowest bytes, as many as the first says and one, as a signed number."""
    # STACK
    stack = frame.stack
    last_byte, word = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_LOW

    # OPERATION
    if last_byte < 31:
        sign = 1 << (8 * last_byte + 7)
        low = word & (2 * sign - 1)
        word = from_signed(low - 2 * sign) if low & sign else low
    stack.append(word)

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {
    Opcode.ADD: add,
    Opcode.MUL: mul,
    Opcode.SUB: sub,
    Opcode.DIV: div,
    Opcode.SDIV: sdiv,
    Opcode.MOD: mod,
    Opcode.SMOD: smod,
    Opcode.ADDMOD: addmod,
    Opcode.MULMOD: mulmod,
    Opcode.EXP: exp,
    Opcode.SIGNEXTEND: signextend,
}
