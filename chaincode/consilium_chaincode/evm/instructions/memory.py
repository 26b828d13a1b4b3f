"""Reading and writing the frame's memory."""

from __future__ import annotations

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame, Operation, push
from consilium_chaincode.evm.gas import GAS_BASE, GAS_VERY_LOW, copy_cost
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import WORD_BYTES, from_bytes, to_bytes


def mload(frame: Frame) -> None:
    """MLOAD: the word at an offset."""
    # STACK
    stack, memory = frame.stack, frame.memory
    offset = stack.pop()

    # GAS
    end = offset + WORD_BYTES
    if end > len(memory):
        charge_gas(frame, GAS_VERY_LOW + memory_ranges.expansion_cost(memory, (offset, WORD_BYTES)))
        memory_ranges.expand(memory, (offset, WORD_BYTES))
    else:
        frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(from_bytes(memory[offset:end]))

    # PROGRAM COUNTER
    frame.pc += 1


def mstore(frame: Frame) -> None:
    """MSTORE: write a word at an offset."""
    # STACK
    stack, memory = frame.stack, frame.memory
    offset, word = stack.pop(), stack.pop()

    # GAS
    end = offset + WORD_BYTES
    if end > len(memory):
        charge_gas(frame, GAS_VERY_LOW + memory_ranges.expansion_cost(memory, (offset, WORD_BYTES)))
        memory_ranges.expand(memory, (offset, WORD_BYTES))
    else:
        frame.gas -= GAS_VERY_LOW

    # OPERATION
    memory[offset:end] = to_bytes(word)

    # PROGRAM COUNTER
    frame.pc += 1


def mstore8(frame: Frame) -> None:
    """MSTORE8: write a word's lowest byte at an offset."""
    # STACK
    memory = frame.memory
    offset, word = frame.stack.pop(), frame.stack.pop()

    # GAS
    charge_gas(frame, GAS_VERY_LOW + memory_ranges.expansion_cost(memory, (offset, 1)))
    memory_ranges.expand(memory, (offset, 1))

    # OPERATION
    memory[offset] = word & 0xFF

    # PROGRAM COUNTER
    frame.pc += 1


def msize(frame: Frame) -> None:
    """MSIZE: how many bytes of memory were touched, in whole words."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, len(frame.memory))

    # PROGRAM COUNTER
    frame.pc += 1


def mcopy(frame: Frame) -> None:
    """MCOPY: copy within memory; the ranges may overlap (EIP-5656)."""
    # STACK
    stack, memory = frame.stack, frame.memory
    destination, source, size = stack.pop(), stack.pop(), stack.pop()

    # GAS
    touched = (source, size), (destination, size)
    charge_gas(frame, GAS_VERY_LOW + copy_cost(size) + memory_ranges.expansion_cost(memory, *touched))
    memory_ranges.expand(memory, *touched)

    # OPERATION
    memory_ranges.write(memory, destination, memory_ranges.read(memory, source, size))

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {
    Opcode.MLOAD: mload,
    Opcode.MSTORE: mstore,
    Opcode.MSTORE8: mstore8,
    Opcode.MSIZE: msize,
    Opcode.MCOPY: mcopy,
}
