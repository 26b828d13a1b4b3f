"""Bytecode from names and numbers, for tests and random programs."""

from __future__ import annotations

from consilium_chaincode.evm.opcodes import Opcode

_FAMILIES = {"PUSH": Opcode.PUSH1, "DUP": Opcode.DUP1, "SWAP": Opcode.SWAP1}


def push(word: int) -> bytes:
    """Return the shortest PUSH of a word."""
    if word == 0:
        return bytes([Opcode.PUSH0])
    data = word.to_bytes((word.bit_length() + 7) // 8, "big")
    return bytes([Opcode.PUSH1 + len(data) - 1]) + data


def assemble(*parts: str | int | bytes) -> bytes:
    """Return code: words as PUSH, bytes as they are, and lines of instructions' names (DUP2, SWAP1, LOG3 too)."""
    code = b""
    for part in parts:
        if isinstance(part, int):
            code += push(part)
        elif isinstance(part, bytes):
            code += part
        else:
            code += b"".join(_instruction(name) for name in part.split())
    return code


def _instruction(name: str) -> bytes:
    if name in Opcode.__members__:
        return bytes([Opcode[name]])
    stem = name.rstrip("0123456789")
    number = int(name[len(stem) :])
    return bytes([Opcode.LOG0 + number if stem == "LOG" else _FAMILIES[stem] + number - 1])


def returning(data: bytes) -> bytes:
    """Return init code that makes `data` (at most 255 bytes) a contract's code."""
    copy = assemble(len(data), "DUP1")
    # PUSH1 offset, PUSH0, CODECOPY, PUSH0, RETURN follow the two instructions above.
    offset = len(copy) + 6
    return copy + bytes([Opcode.PUSH1, offset]) + assemble("PUSH0 CODECOPY PUSH0 RETURN") + data
