"""What the block says: number, time, hashes of those before, fees."""

from __future__ import annotations

from consilium_chaincode.evm.environment import BLOCK_HASH_WINDOW
from consilium_chaincode.evm.frame import Frame, Operation, push
from consilium_chaincode.evm.gas import GAS_BASE, GAS_BLOCK_HASH, HASH_OPCODE_GAS
from consilium_chaincode.evm.opcodes import Opcode
from consilium_chaincode.evm.words import from_bytes


def block_hash(frame: Frame) -> None:
    """BLOCKHASH: the hash of one of the 256 blocks before this one, else zero; the environment has the rule."""
    # STACK
    stack = frame.stack
    number = stack.pop()

    # GAS
    frame.gas -= GAS_BLOCK_HASH

    # OPERATION
    environment = frame.context.environment
    is_recent = environment.number - BLOCK_HASH_WINDOW <= number < environment.number
    stack.append(from_bytes(environment.block_hash(number)) if is_recent else 0)

    # PROGRAM COUNTER
    frame.pc += 1


def coinbase(frame: Frame) -> None:
    """COINBASE: who gets the fees."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, from_bytes(frame.context.environment.coinbase))

    # PROGRAM COUNTER
    frame.pc += 1


def timestamp(frame: Frame) -> None:
    """TIMESTAMP: seconds since 1970."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.context.environment.timestamp)

    # PROGRAM COUNTER
    frame.pc += 1


def number(frame: Frame) -> None:
    """NUMBER: the block's number."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.context.environment.number)

    # PROGRAM COUNTER
    frame.pc += 1


def prev_randao(frame: Frame) -> None:
    """PREVRANDAO: the environment's word for it (EIP-4399)."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, from_bytes(frame.context.environment.prev_randao))

    # PROGRAM COUNTER
    frame.pc += 1


def gas_limit(frame: Frame) -> None:
    """GASLIMIT: the block's."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.context.environment.gas_limit)

    # PROGRAM COUNTER
    frame.pc += 1


def chain_id(frame: Frame) -> None:
    """CHAINID: the chain's (EIP-1344)."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.context.environment.chain_id)

    # PROGRAM COUNTER
    frame.pc += 1


def base_fee(frame: Frame) -> None:
    """BASEFEE: wei per unit of gas (EIP-3198)."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.context.environment.base_fee)

    # PROGRAM COUNTER
    frame.pc += 1


def blob_hash(frame: Frame) -> None:
    """BLOBHASH: zero, for no transaction here carries blobs (EIP-4844)."""
    # STACK
    stack = frame.stack
    stack.pop()

    # GAS
    frame.gas -= HASH_OPCODE_GAS

    # OPERATION
    stack.append(0)

    # PROGRAM COUNTER
    frame.pc += 1


def blob_base_fee(frame: Frame) -> None:
    """BLOBBASEFEE: wei per unit of blob gas (EIP-7516)."""
    # STACK: takes nothing

    # GAS
    frame.gas -= GAS_BASE

    # OPERATION
    push(frame, frame.context.environment.blob_base_fee)

    # PROGRAM COUNTER
    frame.pc += 1


OPERATIONS: dict[int, Operation] = {
    Opcode.BLOCKHASH: block_hash,
    Opcode.COINBASE: coinbase,
    Opcode.TIMESTAMP: timestamp,
    Opcode.NUMBER: number,
    Opcode.PREVRANDAO: prev_randao,
    Opcode.GASLIMIT: gas_limit,
    Opcode.CHAINID: chain_id,
    Opcode.BASEFEE: base_fee,
    Opcode.BLOBHASH: blob_hash,
    Opcode.BLOBBASEFEE: blob_base_fee,
}
