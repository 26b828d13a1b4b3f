"""Where the program goes on, and how it ends."""

from __future__ import annotations

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import InvalidJump, Reverted
from consilium_chaincode.evm.frame import Frame, Operation, push
from consilium_chaincode.evm.gas import GAS_BASE, GAS_HIGH, GAS_JUMPDEST, GAS_MID
from consilium_chaincode.evm.opcodes import Opcode


def stop(frame: Frame) -> None:
    """STOP: end without output."""
    # STACK: takes nothing

    # GAS: free

    # OPERATION
    frame.running = False

    # PROGRAM COUNTER: stays


def jump(frame: Frame) -> None:
    """JUMP: go on elsewhere."""
    # STACK
    destination = frame.stack.pop()

    # GAS
    frame.gas -= GAS_MID

    # OPERATION
    destinations = frame.code.jump_destinations
    if destination >= len(destinations) or not destinations[destination]:
        raise InvalidJump(f"no JUMPDEST at {destination}")

    # PROGRAM COUNTER
    frame.pc = destination


def jump_if(frame: Frame) -> None:
    """JUMPI: go on elsewhere, if the second word isn't zero."""
    # STACK
    destination, condition = frame.stack.pop(), frame.stack.pop()

    # GAS
    frame.gas -= GAS_HIGH

    # OPERATION
    destinations = frame.code.jump_destinations
    if condition and (destination >= len(destinations) or not destinations[destination]):
        raise InvalidJump(f"no JUMPDEST at {destination}")

    # PROGRAM COUNTER
    frame.pc = destination if condition else frame.pc + 1


def jump_destination(frame: Frame) -> None:
    """JUMPDEST: where jumps may lead."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_JUMPDEST

    # OPERATION: nothing

    # PROGRAM COUNTER
    frame.pc += 1


def program_counter(frame: Frame) -> None:
    """PC: this instruction's place in the code."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.pc)

    # PROGRAM COUNTER
    frame.pc += 1


def gas_left(frame: Frame) -> None:
    """GAS: what is left after this instruction."""
    # STACK: takes nothing

    # GAS
    charge_gas(frame, GAS_BASE)

    # OPERATION
    push(frame, frame.gas)

    # PROGRAM COUNTER
    frame.pc += 1


def return_output(frame: Frame) -> None:
    """RETURN: end with a range of memory as output."""
    # STACK
    memory = frame.memory
    offset, size = frame.stack.pop(), frame.stack.pop()

    # GAS
    charge_gas(frame, memory_ranges.expansion_cost(memory, (offset, size)))
    memory_ranges.expand(memory, (offset, size))

    # OPERATION
    frame.output = memory_ranges.read(memory, offset, size)
    frame.running = False

    # PROGRAM COUNTER: stays


def revert(frame: Frame) -> None:
    """REVERT: end with a range of memory as output, and undo what the frame did (EIP-140)."""
    # STACK
    memory = frame.memory
    offset, size = frame.stack.pop(), frame.stack.pop()

    # GAS
    charge_gas(frame, memory_ranges.expansion_cost(memory, (offset, size)))
    memory_ranges.expand(memory, (offset, size))

    # OPERATION
    frame.output = memory_ranges.read(memory, offset, size)
    raise Reverted

    # PROGRAM COUNTER: stays


OPERATIONS: dict[int, Operation] = {
    Opcode.STOP: stop,
    Opcode.JUMP: jump,
    Opcode.JUMPI: jump_if,
    Opcode.JUMPDEST: jump_destination,
    Opcode.PC: program_counter,
    Opcode.GAS: gas_left,
    Opcode.RETURN: return_output,
    Opcode.REVERT: revert,
}
