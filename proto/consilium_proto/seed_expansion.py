"""The second polynomial of a hospital's ciphertext, from its public seed: SEAL's expansion, without SEAL. Needs numpy.

SEAL fills the polynomial from its Blake2xb generator (4096 bytes for each count, keyed with the seed) and rejects words
from which a remainder modulo q would be biased (`sample_poly_uniform`, SEAL 4.x). hashlib computes BLAKE2X's root; its
leaves have an inner depth that hashlib refuses, so their one compression each (RFC 7693) is done here, for all leaves
at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from consilium_proto.residues import reduce

Words = NDArray[np.uint64]

REFILL_BYTES = 4096
_LEAF_BYTES = 64
_WORD_MAX = (1 << 64) - 1
_INITIAL = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    dtype=np.uint64,
)
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
_COLUMNS_THEN_DIAGONALS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)


def expand_seed(seed: bytes, degree: int, modulus: int) -> Words:
    """Return the polynomial, uint64[degree], each word below `modulus`, that SEAL expands a 64-byte seed to.

    `degree` is a multiple of 512, the words of one refill.
    """
    limit = np.uint64(acceptance_limit(modulus))
    refills = degree * 8 // REFILL_BYTES
    words = _refills(seed, range(refills)).reshape(-1)
    rejected = np.flatnonzero(words >= limit)
    if rejected.size:
        _draw_again(words, rejected, limit, seed, refills)
    reduce(words, modulus)
    return words


def acceptance_limit(modulus: int) -> int:
    """Return the number from which on SEAL rejects a word: those below it have unbiased remainders."""
    return _WORD_MAX - _WORD_MAX % modulus - 1


def _draw_again(words: Words, rejected: NDArray[np.intp], limit: np.uint64, seed: bytes, count: int) -> None:
    """Replace rejected words, in order, by the next accepted ones of the stream that goes on."""
    following: list[np.uint64] = []
    for place in rejected:
        while True:
            if not following:
                following = list(_refills(seed, [count])[0])
                count += 1
            drawn = following.pop(0)
            if drawn < limit:
                words[place] = drawn
                break


def _refills(seed: bytes, counts: Iterable[int]) -> Words:
    """Return BLAKE2Xb of each count under the seed, uint64[counts, 512]."""
    root_offset = REFILL_BYTES << 32
    roots = [
        hashlib.blake2b(count.to_bytes(8, "little"), digest_size=64, key=seed, node_offset=root_offset).digest()
        for count in counts
    ]
    hashes = np.frombuffer(b"".join(roots), dtype="<u8").astype(np.uint64).reshape(len(roots), 8)
    leaves = REFILL_BYTES // _LEAF_BYTES
    shape = (len(roots), leaves)
    message: list[Words | None] = [np.broadcast_to(hashes[:, word : word + 1], shape) for word in range(8)]
    message += [None] * 8  # A leaf's message is the root's 64 bytes; the rest of its block is zero.
    state = [np.broadcast_to(word, shape) for word in _INITIAL]
    # The leaf's parameter block: digest of 64 bytes, no key, leaf length 64; its offset and the stream's length; inner
    # length 64 at depth 0.
    state[0] = state[0] ^ np.uint64(64 | 64 << 32)
    state[1] = state[1] ^ (np.arange(leaves, dtype=np.uint64) | np.uint64(root_offset))
    state[2] = state[2] ^ np.uint64(64 << 8)
    mixed = _compress(state, message, shape)
    return np.stack(mixed, axis=-1).reshape(len(roots), leaves * 8)


def _compress(state: list[Words], message: list[Words | None], shape: tuple[int, int]) -> list[Words]:
    """Return BLAKE2b's compression of the one, last block of 64 bytes, for each leaf."""
    v = [word.copy() for word in state] + [np.broadcast_to(word, shape).copy() for word in _INITIAL]
    v[12] ^= np.uint64(_LEAF_BYTES)
    v[14] = ~v[14]
    for number in range(12):
        order = _SCHEDULE[number % len(_SCHEDULE)]
        for place, (a, b, c, d) in enumerate(_COLUMNS_THEN_DIAGONALS):
            _mix(v, a, b, c, d, message[order[2 * place]], message[order[2 * place + 1]])
    return [state[word] ^ v[word] ^ v[word + 8] for word in range(8)]


def _mix(v: list[Words], a: int, b: int, c: int, d: int, first: Words | None, second: Words | None) -> None:
    v[a] += v[b] if first is None else v[b] + first
    v[d] = _rotated(v[d] ^ v[a], 32)
    v[c] += v[d]
    v[b] = _rotated(v[b] ^ v[c], 24)
    v[a] += v[b] if second is None else v[b] + second
    v[d] = _rotated(v[d] ^ v[a], 16)
    v[c] += v[d]
    v[b] = _rotated(v[b] ^ v[c], 63)


def _rotated(word: Words, bits: int) -> Words:
    return (word >> np.uint64(bits)) | (word << np.uint64(64 - bits))
