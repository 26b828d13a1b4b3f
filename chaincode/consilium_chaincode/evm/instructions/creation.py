"""Creating contracts and ending them: CREATE, CREATE2, SELFDESTRUCT."""

from __future__ import annotations

from consilium_chaincode.evm import memory as memory_ranges
from consilium_chaincode.evm.addresses import created_address, salted_address
from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import OutOfGas, WriteInStaticCall
from consilium_chaincode.evm.frame import CALL_DEPTH_LIMIT, Frame, Message, Outcome, StateOperation
from consilium_chaincode.evm.gas import (
    COLD_ACCOUNT_ACCESS_COST,
    GAS_CREATE,
    GAS_KECCAK256_WORD,
    GAS_NEW_ACCOUNT,
    MAX_INITCODE_SIZE,
    SELFDESTRUCT_GAS,
    all_but_one_64th,
    init_code_cost,
)
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.state_keys import Reading
from consilium_chaincode.evm.words import from_bytes, to_address, to_bytes, words_of

_MAX_NONCE = (1 << 64) - 1


def create(frame: Frame) -> Reading[None]:
    """CREATE: a contract at an address that follows from the creator's nonce."""
    # STACK
    value, offset, size = frame.stack.pop(), frame.stack.pop(), frame.stack.pop()

    # GAS
    init_code = _charge_init_code(frame, offset, size, GAS_CREATE)

    # OPERATION
    creator = yield from frame.context.journal.account(frame.message.target)
    yield from _send_creation(frame, created_address(frame.message.target, creator.nonce), value, init_code)

    # PROGRAM COUNTER
    frame.pc += 1


def create2(frame: Frame) -> Reading[None]:
    """CREATE2: a contract at an address that follows from a salt and the init code (EIP-1014)."""
    # STACK
    value, offset, size, salt = (frame.stack.pop() for _ in range(4))

    # GAS
    init_code = _charge_init_code(frame, offset, size, GAS_CREATE + GAS_KECCAK256_WORD * words_of(size))

    # OPERATION
    yield from _send_creation(frame, salted_address(frame.message.target, to_bytes(salt), init_code), value, init_code)

    # PROGRAM COUNTER
    frame.pc += 1


def self_destruct(frame: Frame) -> Reading[None]:
    """SELFDESTRUCT: give the balance away and end; the account goes if it is of this transaction (EIP-6780)."""
    # STACK
    journal, own = frame.context.journal, frame.message.target
    beneficiary = to_address(frame.stack.pop())
    if frame.message.is_static:
        raise WriteInStaticCall("SELFDESTRUCT below a STATICCALL")

    # GAS
    cost = SELFDESTRUCT_GAS + (0 if journal.warm_address(beneficiary) else COLD_ACCOUNT_ACCESS_COST)
    balance = (yield from journal.account(own)).balance
    if balance and (yield from journal.account(beneficiary)).is_empty:
        cost += GAS_NEW_ACCOUNT
    charge_gas(frame, cost)

    # OPERATION
    yield from journal.move(own, beneficiary, balance)
    if own in journal.created:
        # A contract that names itself burns what it had.
        account = yield from journal.account(own)
        journal.set_account(own, account._replace(balance=0))
        journal.doom(own)
    frame.running = False

    # PROGRAM COUNTER: stays


def _charge_init_code(frame: Frame, offset: int, size: int, price: int) -> bytes:
    """Charge for a creation; return its init code."""
    memory = frame.memory
    charge_gas(frame, price + init_code_cost(size) + memory_ranges.expansion_cost(memory, (offset, size)))
    if size > MAX_INITCODE_SIZE:
        raise OutOfGas(f"{size} bytes of init code; at most {MAX_INITCODE_SIZE} are allowed (EIP-3860)")
    if frame.message.is_static:
        raise WriteInStaticCall("a contract is created below a STATICCALL")
    memory_ranges.expand(memory, (offset, size))
    return memory_ranges.read(memory, offset, size)


def _send_creation(frame: Frame, address: bytes, value: int, init_code: bytes) -> Reading[None]:
    """Have the init code run, unless depth, balance or nonce forbid it."""
    journal, creator = frame.context.journal, frame.message.target
    frame.return_data = b""
    account = yield from journal.account(creator)
    if account.balance < value or account.nonce == _MAX_NONCE or frame.message.depth >= CALL_DEPTH_LIMIT:
        frame.stack.append(0)
        return
    gas = all_but_one_64th(frame.gas)
    frame.gas -= gas
    journal.warm_address(address)
    yield from journal.increment_nonce(creator)
    if (yield from journal.is_taken(address)):
        # The gas that went along is lost.
        frame.stack.append(0)
        return

    def resume(frame: Frame, outcome: Outcome) -> None:
        frame.gas += outcome.gas_left
        frame.return_data = outcome.output if outcome.error else b""
        frame.stack.append(0 if outcome.error else from_bytes(address))

    message = Message(
        caller=creator,
        target=address,
        gas=gas,
        value=value,
        data=b"",
        code=init_code,
        code_address=None,
        depth=frame.message.depth + 1,
    )
    frame.send(message, resume)


STATE_OPERATIONS: dict[int, StateOperation] = {
    Opcode.CREATE: create,
    Opcode.CREATE2: create2,
    Opcode.SELFDESTRUCT: self_destruct,
}
