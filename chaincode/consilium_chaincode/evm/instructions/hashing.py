"""Hashing memory."""

from __future__ import annotations

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame, Operation
from consilium_chaincode.evm.gas import GAS_KECCAK256, GAS_KECCAK256_WORD
from consilium_chaincode.evm.keccak import keccak256
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import from_bytes, words_of


def keccak(frame: Frame) -> None:
    """KECCAK256: the hash of a range of memory."""
    # STACK
    stack, memory = frame.stack, frame.memory
    offset, size = stack.pop(), stack.pop()

    # GAS
    expansion = memory_ranges.expansion_cost(memory, (offset, size))
    charge_gas(frame, GAS_KECCAK256 + GAS_KECCAK256_WORD * words_of(size) + expansion)
    memory_ranges.expand(memory, (offset, size))

    # OPERATION
    stack.append(from_bytes(keccak256(memory_ranges.read(memory, offset, size))))

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {Opcode.KECCAK256: keccak}
