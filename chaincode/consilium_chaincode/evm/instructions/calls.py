"""Calling other code: CALL, CALLCODE, DELEGATECALL, STATICCALL."""

from __future__ import annotations

from typing import NamedTuple

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.delegation import delegate_of
from consilium_chaincode.evm.errors import WriteInStaticCall
from consilium_chaincode.evm.frame import CALL_DEPTH_LIMIT, Frame, Message, Outcome, StateOperation
from consilium_chaincode.evm.gas import GAS_CALL_STIPEND, GAS_CALL_VALUE, GAS_NEW_ACCOUNT, all_but_one_64th
from consilium_chaincode.evm.instructions.accounts import account_access_cost
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.precompiles import PRECOMPILES
from consilium_chaincode.evm.state_keys import Reading
from consilium_chaincode.evm.words import to_address


class _Ranges(NamedTuple):
    """Where in memory the call data lies, and where the output goes: (offset, size)."""

    data: tuple[int, int]
    output: tuple[int, int]


class _Code(NamedTuple):
    """The code to run, where it lies, whether a delegation led there, and what looking for it cost."""

    code: bytes
    address: bytes
    is_delegated: bool
    access_cost: int


def call(frame: Frame) -> Reading[None]:
    """CALL: run an account's code as that account, and give it value."""
    # STACK
    requested, to, value = frame.stack.pop(), to_address(frame.stack.pop()), frame.stack.pop()
    ranges = _pop_ranges(frame)

    # GAS
    if value and frame.message.is_static:
        raise WriteInStaticCall("value moves below a STATICCALL")
    found = yield from _find_code(frame, to)
    extra = found.access_cost
    if value:
        extra += GAS_CALL_VALUE
        if (yield from frame.context.journal.account(to)).is_empty:
            extra += GAS_NEW_ACCOUNT
    gas = _charge_call(frame, requested, extra, ranges) + (GAS_CALL_STIPEND if value else 0)

    # OPERATION
    message = _message(frame, found, gas, ranges, caller=frame.message.target, target=to, value=value)
    yield from _send(frame, message, ranges)

    # PROGRAM COUNTER
    frame.pc += 1


def call_code(frame: Frame) -> Reading[None]:
    """CALLCODE: run an account's code on this contract's storage."""
    # STACK
    requested, to, value = frame.stack.pop(), to_address(frame.stack.pop()), frame.stack.pop()
    ranges = _pop_ranges(frame)

    # GAS
    found = yield from _find_code(frame, to)
    extra = found.access_cost + (GAS_CALL_VALUE if value else 0)
    gas = _charge_call(frame, requested, extra, ranges) + (GAS_CALL_STIPEND if value else 0)

    # OPERATION
    target = frame.message.target
    message = _message(frame, found, gas, ranges, caller=target, target=target, value=value)
    yield from _send(frame, message, ranges)

    # PROGRAM COUNTER
    frame.pc += 1


def delegate_call(frame: Frame) -> Reading[None]:
    """DELEGATECALL: run an account's code on this contract's storage, with this frame's caller and value (EIP-7)."""
    # STACK
    requested, to = frame.stack.pop(), to_address(frame.stack.pop())
    ranges = _pop_ranges(frame)

    # GAS
    found = yield from _find_code(frame, to)
    gas = _charge_call(frame, requested, found.access_cost, ranges)

    # OPERATION
    own = frame.message
    message = _message(frame, found, gas, ranges, caller=own.caller, target=own.target, value=own.value)
    message.transfers_value = False
    yield from _send(frame, message, ranges)

    # PROGRAM COUNTER
    frame.pc += 1


def static_call(frame: Frame) -> Reading[None]:
    """STATICCALL: run an account's code, which may change nothing (EIP-214)."""
    # STACK
    requested, to = frame.stack.pop(), to_address(frame.stack.pop())
    ranges = _pop_ranges(frame)

    # GAS
    found = yield from _find_code(frame, to)
    gas = _charge_call(frame, requested, found.access_cost, ranges)

    # OPERATION
    message = _message(frame, found, gas, ranges, caller=frame.message.target, target=to, value=0)
    message.is_static = True
    yield from _send(frame, message, ranges)

    # PROGRAM COUNTER
    frame.pc += 1


def _pop_ranges(frame: Frame) -> _Ranges:
    stack = frame.stack
    return _Ranges((stack.pop(), stack.pop()), (stack.pop(), stack.pop()))


def _find_code(frame: Frame, address: bytes) -> Reading[_Code]:
    """Return an account's code, or the one that it delegates to (EIP-7702)."""
    journal = frame.context.journal
    access = account_access_cost(frame, address)
    if address in PRECOMPILES:
        return _Code(b"", address, False, access)
    code = yield from journal.code(address)
    delegate = delegate_of(code)
    if delegate is None:
        return _Code(code, address, False, access)
    access += account_access_cost(frame, delegate)
    return _Code((yield from journal.code(delegate)), delegate, True, access)


def _charge_call(frame: Frame, requested: int, extra: int, ranges: _Ranges) -> int:
    """Charge for the call, its memory and the gas that it takes along; return the latter."""
    memory = frame.memory
    charge_gas(frame, extra + memory_ranges.expansion_cost(memory, ranges.data, ranges.output))
    gas = min(requested, all_but_one_64th(frame.gas))
    charge_gas(frame, gas)
    memory_ranges.expand(memory, ranges.data, ranges.output)
    return gas


def _message(
    frame: Frame, found: _Code, gas: int, ranges: _Ranges, *, caller: bytes, target: bytes, value: int
) -> Message:
    return Message(
        caller=caller,
        target=target,
        gas=gas,
        value=value,
        data=memory_ranges.read(frame.memory, *ranges.data),
        code=found.code,
        code_address=found.address,
        depth=frame.message.depth + 1,
        is_static=frame.message.is_static,
        is_delegated=found.is_delegated,
    )


def _send(frame: Frame, message: Message, ranges: _Ranges) -> Reading[None]:
    """Have the message run, unless it is too deep or its value isn't there: then it fails and its gas comes back."""
    frame.return_data = b""
    affordable = not (message.transfers_value and message.value)
    if not affordable:
        account = yield from frame.context.journal.account(frame.message.target)
        affordable = account.balance >= message.value
    if not affordable or message.depth > CALL_DEPTH_LIMIT:
        frame.gas += message.gas
        frame.stack.append(0)
        return

    def resume(frame: Frame, outcome: Outcome) -> None:
        frame.gas += outcome.gas_left
        frame.return_data = outcome.output
        frame.stack.append(0 if outcome.error else 1)
        offset, size = ranges.output
        memory_ranges.write(frame.memory, offset, outcome.output[:size])

    frame.send(message, resume)


STATE_OPERATIONS: dict[int, StateOperation] = {
    Opcode.CALL: call,
    Opcode.CALLCODE: call_code,
    Opcode.DELEGATECALL: delegate_call,
    Opcode.STATICCALL: static_call,
}
