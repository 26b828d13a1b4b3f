"""A frame's memory: bytes, in whole words, that grow when they are touched and cost gas as they do."""

from __future__ import annotations

from consilium_chaincode.evm.gas import memory_cost
from consilium_chaincode.evm.words import words_of


def expansion_cost(memory: bytearray, *ranges: tuple[int, int]) -> int:
    """Return what growing the memory to hold all ranges (offset, size) costs; ranges of size 0 touch nothing."""
    end = 0
    for offset, size in ranges:
        if size and offset + size > end:
            end = offset + size
    if end <= len(memory):
        return 0
    return memory_cost(words_of(end)) - memory_cost(len(memory) >> 5)


def expand(memory: bytearray, *ranges: tuple[int, int]) -> None:
    """Grow the memory to hold all ranges (offset, size), after that was paid for."""
    for offset, size in ranges:
        if size and offset + size > len(memory):
            memory.extend(bytes((words_of(offset + size) << 5) - len(memory)))


def read(memory: bytearray, offset: int, size: int) -> bytes:
    """Return a range that the memory holds."""
    return bytes(memory[offset : offset + size])


def write(memory: bytearray, offset: int, data: bytes) -> None:
    """Write bytes to a range that the memory holds."""
    if data:
        memory[offset : offset + len(data)] = data


def padded(data: bytes, offset: int, size: int) -> bytes:
    """Return a range of call data or code, which go on with zeros for ever."""
    return data[offset : offset + size].ljust(size, b"\0")
