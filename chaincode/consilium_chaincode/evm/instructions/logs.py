"""Logs: what a contract tells the world outside."""

from __future__ import annotations

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import WriteInStaticCall
from consilium_chaincode.evm.frame import Frame, Operation
from consilium_chaincode.evm.gas import GAS_LOG, GAS_LOG_DATA, GAS_LOG_TOPIC
from consilium_chaincode.evm.journal import Log
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import to_bytes


def log_n(count: int) -> Operation:
    """Return LOG0 to LOG4: a range of memory as data, under that many topics."""

    def log(frame: Frame) -> None:
        # STACK
        stack, memory = frame.stack, frame.memory
        offset, size = stack.pop(), stack.pop()
        topics = tuple(to_bytes(stack.pop()) for _ in range(count))

        # GAS
        expansion = memory_ranges.expansion_cost(memory, (offset, size))
        charge_gas(frame, GAS_LOG + GAS_LOG_DATA * size + GAS_LOG_TOPIC * count + expansion)
        memory_ranges.expand(memory, (offset, size))

        # OPERATION
        if frame.message.is_static:
            raise WriteInStaticCall("a log below a STATICCALL")
        data = memory_ranges.read(memory, offset, size)
        frame.context.journal.logs.append(Log(frame.message.target, topics, data))

        # PROGRAM COUNTER
        frame.pc += 1

    return log


OPERATIONS: dict[int, Operation] = {Opcode.LOG0 + count: log_n(count) for count in range(5)}
