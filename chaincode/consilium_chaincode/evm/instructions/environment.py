"""What the frame knows of itself: its addresses, value, call data, code, and what its last call returned."""

from __future__ import annotations

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import ReturnDataOutOfBounds
from consilium_chaincode.evm.frame import Frame, Operation, push
from consilium_chaincode.evm.gas import GAS_BASE, GAS_VERY_LOW, copy_cost
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import WORD_BYTES, from_bytes


def address(frame: Frame) -> None:
    """ADDRESS: whose storage this code works on."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, from_bytes(frame.message.target))

    # PROGRAM COUNTER
    frame.pc += 1


def origin(frame: Frame) -> None:
    """ORIGIN: who sent the transaction."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, from_bytes(frame.context.origin))

    # PROGRAM COUNTER
    frame.pc += 1


def caller(frame: Frame) -> None:
    """CALLER: who sent the message."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, from_bytes(frame.message.caller))

    # PROGRAM COUNTER
    frame.pc += 1


def call_value(frame: Frame) -> None:
    """CALLVALUE: the message's value in wei."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.message.value)

    # PROGRAM COUNTER
    frame.pc += 1


def call_data_load(frame: Frame) -> None:
    """CALLDATALOAD: the word of call data at an offset."""
    # STACK
    stack = frame.stack
    offset = stack.pop()

    # GAS
    frame.gas -= GAS_VERY_LOW

    # OPERATION
    stack.append(from_bytes(memory_ranges.padded(frame.message.data, offset, WORD_BYTES)))

    # PROGRAM COUNTER
    frame.pc += 1


def call_data_size(frame: Frame) -> None:
    """CALLDATASIZE: how many bytes of call data there are."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, len(frame.message.data))

    # PROGRAM COUNTER
    frame.pc += 1


def call_data_copy(frame: Frame) -> None:
    """CALLDATACOPY: call data to memory."""
    _copy_to_memory(frame, frame.message.data)


def code_size(frame: Frame) -> None:
    """CODESIZE: how many bytes the running code has."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, len(frame.code.plain))

    # PROGRAM COUNTER
    frame.pc += 1


def code_copy(frame: Frame) -> None:
    """CODECOPY: the running code to memory."""
    _copy_to_memory(frame, frame.code.plain)


def gas_price(frame: Frame) -> None:
    """GASPRICE: what the transaction pays for a unit of gas, in wei."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.context.gas_price)

    # PROGRAM COUNTER
    frame.pc += 1


def return_data_size(frame: Frame) -> None:
    """RETURNDATASIZE: how many bytes the last call returned (EIP-211)."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, len(frame.return_data))

    # PROGRAM COUNTER
    frame.pc += 1


def return_data_copy(frame: Frame) -> None:
    """RETURNDATACOPY: what the last call returned to memory; reading past its end halts (EIP-211)."""
    # STACK
    stack, memory = frame.stack, frame.memory
    destination, source, size = stack.pop(), stack.pop(), stack.pop()

    # GAS
    charge_gas(frame, GAS_VERY_LOW + copy_cost(size) + memory_ranges.expansion_cost(memory, (destination, size)))

    # OPERATION
    if source + size > len(frame.return_data):
        raise ReturnDataOutOfBounds(f"{size} bytes from {source} of {len(frame.return_data)} returned ones")
    memory_ranges.expand(memory, (destination, size))
    memory_ranges.write(memory, destination, frame.return_data[source : source + size])

    # PROGRAM COUNTER
    frame.pc += 1


def _copy_to_memory(frame: Frame, data: bytes) -> None:
    """Copy a range of bytes that zeros follow; the sections of CALLDATACOPY and CODECOPY."""
    # STACK
    stack, memory = frame.stack, frame.memory
    destination, source, size = stack.pop(), stack.pop(), stack.pop()

    # GAS
    charge_gas(frame, GAS_VERY_LOW + copy_cost(size) + memory_ranges.expansion_cost(memory, (destination, size)))
    memory_ranges.expand(memory, (destination, size))

    # OPERATION
    memory_ranges.write(memory, destination, memory_ranges.padded(data, source, size))

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {
    Opcode.ADDRESS: address,
    Opcode.ORIGIN: origin,
    Opcode.CALLER: caller,
    Opcode.CALLVALUE: call_value,
    Opcode.CALLDATALOAD: call_data_load,
    Opcode.CALLDATASIZE: call_data_size,
    Opcode.CALLDATACOPY: call_data_copy,
    Opcode.CODESIZE: code_size,
    Opcode.CODECOPY: code_copy,
    Opcode.GASPRICE: gas_price,
    Opcode.RETURNDATASIZE: return_data_size,
    Opcode.RETURNDATACOPY: return_data_copy,
}
