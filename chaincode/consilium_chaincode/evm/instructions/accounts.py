"""What a contract sees of accounts: balance, code, its hash."""

from __future__ import annotations

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.frame import Frame, StateOperation, push
from consilium_chaincode.evm.gas import COLD_ACCOUNT_ACCESS_COST, SELFBALANCE_GAS, WARM_STORAGE_READ_COST, copy_cost
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.state_keys import Reading
from consilium_chaincode.evm.words import from_bytes, to_address


def account_access_cost(frame: Frame, address: bytes) -> int:
    """Return what touching an account costs, and note that it was touched (EIP-2929)."""
    return WARM_STORAGE_READ_COST if frame.context.journal.warm_address(address) else COLD_ACCOUNT_ACCESS_COST


def balance(frame: Frame) -> Reading[None]:
    """BALANCE: an account's balance in wei."""
    # STACK
    stack = frame.stack
    address = to_address(stack.pop())

    # GAS
    charge_gas(frame, account_access_cost(frame, address))

    # OPERATION
    stack.append((yield from frame.context.journal.account(address)).balance)

    # PROGRAM COUNTER
    frame.pc += 1


def self_balance(frame: Frame) -> Reading[None]:
    """SELFBALANCE: the running contract's balance in wei (EIP-1884)."""
    # STACK: takes nothing

    # GAS
    charge_gas(frame, SELFBALANCE_GAS)

    # OPERATION
    push(frame, (yield from frame.context.journal.account(frame.message.target)).balance)

    # PROGRAM COUNTER
    frame.pc += 1


def external_code_size(frame: Frame) -> Reading[None]:
    """EXTCODESIZE: how many bytes an account's code has; a delegation's own 23 (EIP-7702)."""
    # STACK
    stack = frame.stack
    address = to_address(stack.pop())

    # GAS
    charge_gas(frame, account_access_cost(frame, address))

    # OPERATION
    stack.append(len((yield from frame.context.journal.code(address))))

    # PROGRAM COUNTER
    frame.pc += 1


def external_code_copy(frame: Frame) -> Reading[None]:
    """EXTCODECOPY: an account's code to memory."""
    # STACK
    stack, memory = frame.stack, frame.memory
    address = to_address(stack.pop())
    destination, source, size = stack.pop(), stack.pop(), stack.pop()

    # GAS
    access = account_access_cost(frame, address)
    charge_gas(frame, access + copy_cost(size) + memory_ranges.expansion_cost(memory, (destination, size)))
    memory_ranges.expand(memory, (destination, size))

    # OPERATION
    code = yield from frame.context.journal.code(address)
    memory_ranges.write(memory, destination, memory_ranges.padded(code, source, size))

    # PROGRAM COUNTER
    frame.pc += 1


def external_code_hash(frame: Frame) -> Reading[None]:
    """EXTCODEHASH: the hash of an account's code, zero for an empty account (EIP-1052)."""
    # STACK
    stack = frame.stack
    address = to_address(stack.pop())

    # GAS
    charge_gas(frame, account_access_cost(frame, address))

    # OPERATION
    stack.append(from_bytes((yield from frame.context.journal.account(address)).external_code_hash))

    # PROGRAM COUNTER
    frame.pc += 1


STATE_OPERATIONS: dict[int, StateOperation] = {
    Opcode.BALANCE: balance,
    Opcode.SELFBALANCE: self_balance,
    Opcode.EXTCODESIZE: external_code_size,
    Opcode.EXTCODECOPY: external_code_copy,
    Opcode.EXTCODEHASH: external_code_hash,
}
