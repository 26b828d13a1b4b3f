"""Running messages: a loop over instructions, and an explicit stack of frames, so that depth needs no recursion."""

from __future__ import annotations

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.code import Code, analyse
from consilium_chaincode.evm.errors import ExceptionalHalt, InvalidCode, OutOfGas, Reverted, StackUnderflow
from consilium_chaincode.evm.frame import Context, Frame, Message, Outcome
from consilium_chaincode.evm.gas import GAS_CODE_DEPOSIT, MAX_CODE_SIZE
from consilium_chaincode.evm.instructions import OPERATIONS, STATE_OPERATIONS
from consilium_chaincode.evm.precompiles import PRECOMPILES
from consilium_chaincode.evm.state_keys import Reading, Turn

_RESERVED_FIRST_BYTE = 0xEF
# How many instructions run between two turns: about a millisecond's.
_STRIDE = 2_000


def run(context: Context, message: Message) -> Reading[Outcome]:
    """Run a message and all that it calls; its effects are in the journal, unless the outcome has an error."""
    frames = [(yield from _enter(context, message))]
    while True:
        frame = frames[-1]
        outcome = yield from _advance(frame)
        if outcome is None:
            assert frame.child is not None
            frames.append((yield from _enter(context, frame.child)))
            yield Turn()
            continue
        frames.pop()
        if not frames:
            return outcome
        _resume(frames[-1], outcome)


def _enter(context: Context, message: Message) -> Reading[Frame]:
    """Return a frame for a message, with the value moved and, for a creation, the new account begun."""
    journal = context.journal
    code = Code(message.code) if message.is_creation else analyse(message.code)
    frame = Frame(context, message, code, journal.checkpoint())
    if message.is_creation:
        journal.created.add(message.target)
        yield from journal.increment_nonce(message.target)
    if message.transfers_value and message.value:
        yield from journal.move(message.caller, message.target, message.value)
    return frame


def _advance(frame: Frame) -> Reading[Outcome | None]:
    """Run a frame to its end and return its outcome, or None when it waits for a message that it sent."""
    try:
        if frame.message.code_address in PRECOMPILES:
            yield from _run_precompile(frame)
        else:
            yield from _run_code(frame)
        if frame.child is not None:
            return None
        if frame.message.is_creation:
            yield from _deposit_code(frame)
    except Reverted as reverted:
        frame.context.journal.rollback(frame.checkpoint)
        return Outcome(frame.gas, frame.output, reverted)
    except ExceptionalHalt as halt:
        frame.context.journal.rollback(frame.checkpoint)
        return Outcome(0, b"", halt)
    return Outcome(frame.gas, frame.output)


def _run_code(frame: Frame) -> Reading[None]:
    operations, code = OPERATIONS, frame.code.padded
    try:
        while frame.running:
            for _ in range(_STRIDE):
                opcode = code[frame.pc]
                operation = operations[opcode]
                if operation is not None:
                    operation(frame)
                else:
                    yield from STATE_OPERATIONS[opcode](frame)
                if frame.gas < 0:
                    raise OutOfGas(f"instruction 0x{opcode:02x} takes {-frame.gas} gas more than there was")
                if not frame.running:
                    return
            yield Turn()
    except IndexError:
        # Only the stack is ever read past its end: code is padded, memory grown, call data sliced.
        raise StackUnderflow(f"at {frame.pc}") from None


def _run_precompile(frame: Frame) -> Reading[None]:
    message = frame.message
    assert message.code_address is not None
    if not message.is_delegated:
        answer = PRECOMPILES[message.code_address](frame)
        frame.output = answer if isinstance(answer, bytes) else (yield from answer)


def _deposit_code(frame: Frame) -> Reading[None]:
    """Make what the init code returned the new contract's code (EIP-3541, EIP-170)."""
    code = frame.output
    if code and code[0] == _RESERVED_FIRST_BYTE:
        raise InvalidCode("the new contract's code begins with 0xEF (EIP-3541)")
    charge_gas(frame, GAS_CODE_DEPOSIT * len(code))
    if len(code) > MAX_CODE_SIZE:
        raise OutOfGas(f"{len(code)} bytes of code; at most {MAX_CODE_SIZE} are allowed (EIP-170)")
    yield from frame.context.journal.set_code(frame.message.target, code)


def _resume(frame: Frame, outcome: Outcome) -> None:
    assert frame.resume is not None
    frame.resume(frame, outcome)
    frame.child, frame.resume, frame.running = None, None, True
