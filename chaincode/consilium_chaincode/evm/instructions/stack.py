"""The stack: push, pop, duplicate, swap."""

from __future__ import annotations

from consilium_chaincode.evm.errors import StackOverflow
from consilium_chaincode.evm.frame import STACK_LIMIT, Frame, Operation, push
from consilium_chaincode.evm.gas import GAS_BASE, GAS_VERY_LOW
from consilium_chaincode.evm.opcodes import Opcode


def pop(frame: Frame) -> None:
    """POP: one word less."""
    # STACK
    frame.stack.pop()

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION: nothing

    # PROGRAM COUNTER
    frame.pc += 1


def push_zero(frame: Frame) -> None:
    """PUSH0 (EIP-3855)."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, 0)

    # PROGRAM COUNTER
    frame.pc += 1


def push_n(size: int) -> Operation:
    """Return PUSH1 to PUSH32: the word of `size` bytes that follows in the code."""

    def push_immediate(frame: Frame) -> None:
        # STACK
        stack = frame.stack
        if len(stack) >= STACK_LIMIT:
            raise StackOverflow(f"the stack holds {STACK_LIMIT} words")

        # GAS
        frame.gas -= GAS_VERY_LOW

        # OPERATION
        stack.append(frame.code.immediates[frame.pc])

        # PROGRAM COUNTER
        frame.pc += step

    step = 1 + size
    return push_immediate


def dup_n(depth: int) -> Operation:
    """Return DUP1 to DUP16: the word at that depth once more on top."""

    def duplicate(frame: Frame) -> None:
        # STACK
        stack = frame.stack
        if len(stack) >= STACK_LIMIT:
            raise StackOverflow(f"the stack holds {STACK_LIMIT} words")

        # GAS
        frame.gas -= GAS_VERY_LOW

        # OPERATION
        stack.append(stack[-depth])

        # PROGRAM COUNTER
        frame.pc += 1

    return duplicate


def swap_n(depth: int) -> Operation:
    """Return SWAP1 to SWAP16: the top word and the one that many below change places."""

    def swap(frame: Frame) -> None:
        # STACK
        stack = frame.stack

        # GAS
        frame.gas -= GAS_VERY_LOW

        # OPERATION
        stack[place], stack[-1] = stack[-1], stack[place]

        # PROGRAM COUNTER
        frame.pc += 1

    place = -1 - depth
    return swap


OPERATIONS: dict[int, Operation] = {
    Opcode.POP: pop,
    Opcode.PUSH0: push_zero,
    **{Opcode.PUSH1 + size - 1: push_n(size) for size in range(1, 33)},
    **{Opcode.DUP1 + depth - 1: dup_n(depth) for depth in range(1, 17)},
    **{Opcode.SWAP1 + depth - 1: swap_n(depth) for depth in range(1, 17)},
}
