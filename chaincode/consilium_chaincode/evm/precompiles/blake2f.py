"""BLAKE2b's compression function F, 0x09 (EIP-152, RFC 7693). hashlib offers whole hashes only."""

from __future__ import annotations

import struct

from consilium_chaincode.evm.charging import charge_gas
from consilium_chaincode.evm.errors import PrecompileFailure
from consilium_chaincode.evm.frame import Frame
from consilium_chaincode.evm.gas import BLAKE2F_ROUND_GAS
from consilium_chaincode.evm.state_keys import Reading, Turn

_STATE = struct.Struct("<8Q")
_MESSAGE = struct.Struct("<16Q")
_OFFSETS = struct.Struct("<2Q")
_INPUT_BYTES = 213
_MASK = (1 << 64) - 1
# How many rounds run between two turns: some ten milliseconds' (round for round, a check costs next to nothing).
_STRIDE = 1_000
_INITIAL = (
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
)
# The order of the message's words in each round, and the words of the state that are mixed.
_SCHEDULE = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_MIXED = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def blake2f(frame: Frame) -> Reading[bytes]:
    """Read rounds (4 bytes, big-endian) ‖ state (64) ‖ message (128) ‖ offsets (16) ‖ whether final (1); return 64.

    Raises:
        PrecompileFailure: another length, or a last byte above 1.
    """
    # GAS
    data = frame.message.data
    if len(data) != _INPUT_BYTES:
        raise PrecompileFailure(f"{len(data)} bytes; {_INPUT_BYTES} are needed")
    rounds = int.from_bytes(data[:4], "big")
    charge_gas(frame, BLAKE2F_ROUND_GAS * rounds)

    # OPERATION
    if data[212] > 1:
        raise PrecompileFailure(f"the last byte is {data[212]}; it says whether the block is final: 0 or 1")
    state = _STATE.unpack_from(data, 4)
    message = _MESSAGE.unpack_from(data, 68)
    offsets = _OFFSETS.unpack_from(data, 196)
    return _STATE.pack(*(yield from compress(rounds, state, message, offsets, bool(data[212]))))


def compress(
    rounds: int, state: tuple[int, ...], message: tuple[int, ...], offsets: tuple[int, ...], is_final: bool
) -> Reading[list[int]]:
    """Return the next state of 8 words, from 8 words of state and 16 of message (RFC 7693, 3.2)."""
    v = [*state, *_INITIAL]
    v[12] ^= offsets[0]
    v[13] ^= offsets[1]
    if is_final:
        v[14] ^= _MASK
    for number in range(rounds):
        if number % _STRIDE == _STRIDE - 1:
            yield Turn()
        order = _SCHEDULE[number % len(_SCHEDULE)]
        for step, places in enumerate(_MIXED):
            _mix(v, places, message[order[2 * step]], message[order[2 * step + 1]])
    return [state[place] ^ v[place] ^ v[place + 8] for place in range(8)]


def _mix(v: list[int], places: tuple[int, int, int, int], x: int, y: int) -> None:
    """Mix two words of the message into four of the state (RFC 7693, 3.1)."""
    i, j, k, l = places  # noqa: E741
    a, b, c, d = v[i], v[j], v[k], v[l]
    a = (a + b + x) & _MASK
    d ^= a
    d = (d >> 32 | d << 32) & _MASK
    c = (c + d) & _MASK
    b ^= c
    b = (b >> 24 | b << 40) & _MASK
    a = (a + b + y) & _MASK
    d ^= a
    d = (d >> 16 | d << 48) & _MASK
    c = (c + d) & _MASK
    b ^= c
    b = (b >> 63 | b << 1) & _MASK
    v[i], v[j], v[k], v[l] = a, b, c, d
