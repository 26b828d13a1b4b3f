"""Operations on a word's bits."""

from __future__ import annotations

from consilium_chaincode.evm.frame import Frame, Operation
from consilium_chaincode.evm.gas import CLZ_GAS, GAS_VERY_LOW
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import MAX_WORD, from_signed, to_signed

_WORD_BITS = 256


def bitwise_and(frame: Frame) -> None:
    """AND: bits that both have."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(left & right)

    # PROGRAM COUNTER
    frame.pc += 1


def bitwise_or(frame: Frame) -> None:
    """OR: bits that either has."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(left | right)

    # PROGRAM COUNTER
    frame.pc += 1


def bitwise_xor(frame: Frame) -> None:
    """XOR: bits that one alone has."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(left ^ right)

    # PROGRAM COUNTER
    frame.pc += 1


def bitwise_not(frame: Frame) -> None:
    """NOT: bits that it doesn't have."""
    # STACK
    stack = frame.stack
    word = stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(word ^ MAX_WORD)

    # PROGRAM COUNTER
    frame.pc += 1


def byte(frame: Frame) -> None:
    """BYTE: the second word's byte of that place, from the most significant, 0; zero from 32 on."""
    # STACK
    stack = frame.stack
    place, word = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append((word >> 8 * (31 - place)) & 0xFF if place < 32 else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def shift_left(frame: Frame) -> None:
    """SHL: the second word shifted up (EIP-145)."""
    # STACK
    stack = frame.stack
    bits, word = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append((word << bits) & MAX_WORD if bits < _WORD_BITS else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def shift_right(frame: Frame) -> None:
    """SHR: the second word shifted down (EIP-145)."""
    # STACK
    stack = frame.stack
    bits, word = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(word >> bits if bits < _WORD_BITS else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def arithmetic_shift_right(frame: Frame) -> None:
    """SAR: the second word, signed, shifted down (EIP-145)."""
    # STACK
    stack = frame.stack
    bits, word = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(from_signed(to_signed(word) >> min(bits, _WORD_BITS)))

    # PROGRAM COUNTER
    frame.pc += 1


def count_leading_zeros(frame: Frame) -> None:
    """CLZ: zero bits before the first one bit, 256 for zero (EIP-7939)."""
    # STACK
    stack = frame.stack
    word = stack.pop()

    # GAS
    frame.gas -= CLZ_GAS

    # OPERATION
    stack.append(_WORD_BITS - word.bit_length())

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {
    Opcode.AND: bitwise_and,
    Opcode.OR: bitwise_or,
    Opcode.XOR: bitwise_xor,
    Opcode.NOT: bitwise_not,
    Opcode.BYTE: byte,
    Opcode.SHL: shift_left,
    Opcode.SHR: shift_right,
    Opcode.SAR: arithmetic_shift_right,
    Opcode.CLZ: count_leading_zeros,
}
