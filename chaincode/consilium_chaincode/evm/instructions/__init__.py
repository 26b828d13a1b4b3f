"""The instructions, a file for each family: those that need no state, and those that may.

Each has the sections of the executable specification: what it takes off the stack, what it costs, what it does, and
where the program goes on.
"""

from __future__ import annotations

from typing import NoReturn

from consilium_chaincode.evm.errors import InvalidOpcode
from consilium_chaincode.evm.frame import Frame, Operation, StateOperation
from consilium_chaincode.evm.instructions import (
    accounts,
    arithmetic,
    bitwise,
    block,
    calls,
    comparison,
    control_flow,
    creation,
    environment,
    hashing,
    logs,
    memory,
    stack,
    storage,
)

__all__ = ["OPERATIONS", "STATE_OPERATIONS"]


def _invalid(frame: Frame) -> NoReturn:
    raise InvalidOpcode(f"0x{frame.code.padded[frame.pc]:02x} at {frame.pc}")


_BY_OPCODE: dict[int, Operation] = {}
for _family in (arithmetic, bitwise, block, comparison, control_flow, environment, hashing, logs, memory, stack):
    _BY_OPCODE.update(_family.OPERATIONS)
_BY_OPCODE.update(storage.OPERATIONS)

STATE_OPERATIONS: dict[int, StateOperation] = {
    **accounts.STATE_OPERATIONS,
    **calls.STATE_OPERATIONS,
    **creation.STATE_OPERATIONS,
    **storage.STATE_OPERATIONS,
}
"""Instructions that may need state, by opcode."""

OPERATIONS: list[Operation | None] = [
    None if opcode in STATE_OPERATIONS else _BY_OPCODE.get(opcode, _invalid) for opcode in range(256)
]
"""Each opcode's instruction if it needs no state, None if it may; a byte without meaning halts."""
