"""Code as the interpreter runs it: where jumps may lead, and the words that PUSH instructions carry."""

from __future__ import annotations

from functools import lru_cache

_PUSH1, _PUSH32, _JUMPDEST = 0x60, 0x7F, 0x5B
_STOPS = bytes(33)
_CACHED_CODES = 128


class Code:
    """One contract's code, analysed once."""

    __slots__ = ("immediates", "jump_destinations", "padded", "plain")

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        # A program that runs off its end, by a PUSH32 at most, stops (STOP is 0).
        self.padded = plain + _STOPS
        # A byte for each of the code's, 1 where a jump may lead: a set would take seventy times the memory.
        destinations = bytearray(len(plain))
        self.immediates: dict[int, int] = {}
        place = 0
        while place < len(plain):
            opcode = plain[place]
            if opcode == _JUMPDEST:
                destinations[place] = 1
            elif _PUSH1 <= opcode <= _PUSH32:
                size = opcode - _PUSH1 + 1
                self.immediates[place] = int.from_bytes(plain[place + 1 : place + 1 + size].ljust(size, b"\0"), "big")
                place += size
            place += 1
        self.jump_destinations = bytes(destinations)


@lru_cache(maxsize=_CACHED_CODES)
def analyse(plain: bytes) -> Code:
    """Return the analysis of a contract's code; the latest ones are kept. Init code, which runs once, isn't for it."""
    return Code(plain)
