"""Comparisons: 1 for yes, 0 for no."""

from __future__ import annotations

from consilium_chaincode.evm.frame import Frame, Operation
from consilium_chaincode.evm.gas import GAS_VERY_LOW
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import to_signed


def less_than(frame: Frame) -> None:
    """LT: whether the first word is less."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(1 if left < right else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def greater_than(frame: Frame) -> None:
    """GT: whether the first word is greater."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(1 if left > right else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def signed_less_than(frame: Frame) -> None:
    """SLT: whether the first word, signed, is less."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(1 if to_signed(left) < to_signed(right) else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def signed_greater_than(frame: Frame) -> None:
    """SGT: whether the first word, signed, is greater."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(1 if to_signed(left) > to_signed(right) else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def equal(frame: Frame) -> None:
    """EQ: whether both are the same."""
    # STACK
    stack = frame.stack
    left, right = stack.pop(), stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(1 if left == right else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def is_zero(frame: Frame) -> None:
    """ISZERO: whether the word is zero."""
    # STACK
    stack = frame.stack
    word = stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(0 if word else 1)

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {
    Opcode.LT: less_than,
    Opcode.GT: greater_than,
    Opcode.SLT: signed_less_than,
    Opcode.SGT: signed_greater_than,
    Opcode.EQ: equal,
    Opcode.ISZERO: is_zero,
}
