"""Words of 256 bits: the stack's numbers, as integers from 0 to 2^256 − 1."""

from __future__ import annotations

WORD_BYTES = 32
WORD_MODULUS = 1 << 256
MAX_WORD = WORD_MODULUS - 1
SIGN_BIT = 1 << 255
_ADDRESS_MASK = (1 << 160) - 1


def to_signed(word: int) -> int:
    """Return the number that a word stands for in two's complement."""
    return word - WORD_MODULUS if word & SIGN_BIT else word


def from_signed(number: int) -> int:
    """Return the word that stands for a number in two's complement."""
    return number & MAX_WORD


def to_address(word: int) -> bytes:
    """Return the address (20 bytes) in a word's lower bits; the upper ones are ignored."""
    return (word & _ADDRESS_MASK).to_bytes(20, "big")


def from_bytes(data: bytes | bytearray) -> int:
    """Return the number that at most 32 bytes, big-endian, stand for."""
    return int.from_bytes(data, "big")


def to_bytes(word: int) -> bytes:
    """Return a word's 32 bytes, big-endian."""
    return word.to_bytes(WORD_BYTES, "big")


def words_of(size: int) -> int:
    """Return how many words `size` bytes take."""
    return (size + 31) >> 5
