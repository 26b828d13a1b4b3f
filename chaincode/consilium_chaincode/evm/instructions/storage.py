"""Storage that stays, and storage that lasts as long as the transaction."""

from __future__ import annotations

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import OutOfGas, WriteInStaticCall
from consilium_chaincode.evm.frame import Frame, Operation, StateOperation
from consilium_chaincode.evm.gas import (
    COLD_SLOAD_COST,
    SSTORE_CLEARS_SCHEDULE,
    SSTORE_RESET_GAS,
    SSTORE_SENTRY_GAS,
    SSTORE_SET_GAS,
    TRANSIENT_STORAGE_COST,
    WARM_STORAGE_READ_COST,
)
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.state_keys import Reading


def sload(frame: Frame) -> Reading[None]:
    """SLOAD: the word in a slot."""
    # STACK
    stack, journal, address = frame.stack, frame.context.journal, frame.message.target
    slot = stack.pop()

    # GAS
    charge_gas(frame, WARM_STORAGE_READ_COST if journal.warm_slot(address, slot) else COLD_SLOAD_COST)

    # OPERATION
    stack.append((yield from journal.slot(address, slot)))

    # PROGRAM COUNTER
    frame.pc += 1


def sstore(frame: Frame) -> Reading[None]:
    """SSTORE: write a word to a slot (EIP-2200, with the prices of EIP-2929 and the refunds of EIP-3529)."""
    # STACK
    journal, address = frame.context.journal, frame.message.target
    slot, word = frame.stack.pop(), frame.stack.pop()
    if frame.gas <= SSTORE_SENTRY_GAS:
        raise OutOfGas(f"SSTORE needs more than {SSTORE_SENTRY_GAS} gas, {frame.gas} left")
    if frame.message.is_static:
        raise WriteInStaticCall("a write to storage below a STATICCALL")

    # GAS
    present = yield from journal.slot(address, slot)
    original = journal.original_slot(address, slot)
    access = 0 if journal.warm_slot(address, slot) else COLD_SLOAD_COST
    charge_gas(frame, access + _change_cost(original, present, word))

    # OPERATION
    if word != present:
        journal.refund += _refund(original, present, word)
        journal.set_slot(address, slot, word)

    # PROGRAM COUNTER
    frame.pc += 1


def _change_cost(original: int, present: int, word: int) -> int:
    """Return what a write costs besides the access: the first change of a slot in a transaction is dear."""
    if present != original or word == present:
        return WARM_STORAGE_READ_COST
    return SSTORE_RESET_GAS if original else SSTORE_SET_GAS


def _refund(original: int, present: int, word: int) -> int:
    """Return what a change gives back, or takes back that an earlier one in the transaction gave."""
    refund = 0
    if original:
        if word == 0:
            refund += SSTORE_CLEARS_SCHEDULE
        elif present == 0:
            refund -= SSTORE_CLEARS_SCHEDULE
    if word == original:
        refund += (SSTORE_RESET_GAS if original else SSTORE_SET_GAS) - WARM_STORAGE_READ_COST
    return refund


def tload(frame: Frame) -> None:
    """TLOAD: the word in a transient slot (EIP-1153)."""
    # STACK
    stack = frame.stack
    slot = stack.pop()

    # GAS
    frame.gas -= TRANSIENT_STORAGE_COST

    # OPERATION
    stack.append(frame.context.journal.transient(frame.message.target, slot))

    # PROGRAM COUNTER
    frame.pc += 1


def tstore(frame: Frame) -> None:
    """TSTORE: write a word to a transient slot (EIP-1153)."""
    # STACK
    slot, word = frame.stack.pop(), frame.stack.pop()

    # GAS
    charge_gas(frame, TRANSIENT_STORAGE_COST)

    # OPERATION
    if frame.message.is_static:
        raise WriteInStaticCall("a write to transient storage below a STATICCALL")
    frame.context.journal.set_transient(frame.message.target, slot, word)

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {Opcode.TLOAD: tload, Opcode.TSTORE: tstore}
STATE_OPERATIONS: dict[int, StateOperation] = {Opcode.SLOAD: sload, Opcode.SSTORE: sstore}
