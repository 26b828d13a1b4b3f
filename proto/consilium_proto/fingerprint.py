"""Fingerprints of ciphertext vectors: small, linear, and impossible to aim at in advance. Needs numpy.

The challenge of a publication gives each row k a vector b_k (2N words) and for each chunk j a factor a_kj, uniform
modulo the prime q. A vector of chunks c_j (both polynomials, so 2N words) has the fingerprint, for rows k = 0 and 1,

    f_k = Σ_j a_kj ⟨b_k, c_j⟩  mod q.

Soundness. Let d = (d_j) be a published sum less the true sum, not zero. For a chunk with d_j ≠ 0, ⟨b_k, d_j⟩ is zero
for one in q of the b_k (b_k is uniform and q prime: fix all its words but one where d_j isn't zero). If some of the
⟨b_k, d_j⟩ aren't zero, Σ_j a_kj ⟨b_k, d_j⟩ is zero for one in q of the a_k, by the same argument (Schwartz 1980,
Zippel 1979, for degree one in each of two groups). So a row misses a wrong sum with probability at most 2/q, both
rows, which are drawn independently, with at most 4/q². Over the at most four publications of a round that is 16/q²,
about 2^-108 for the smallest q in use, just below 2^56. A sum published before the challenge is drawn is the premise:
`reveal_chain` says why it holds.

The dot products are exact in floating point: words in two limbs of 30 bits and weights in six of 10, so that the sum of
2N = 8192 products of 40 bits stays below 2^53, in whatever order a processor adds them. Few limbs of words, for words
are split anew for each vector, and weights once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from consilium_proto.chunk_tree import VectorContext, encode_fields
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.records.scalars import FingerprintValue
from consilium_proto.residues import reduce

ROWS = 2
Value = tuple[int, int]
"""A fingerprint: one number below q for each row."""

_WORD_LIMBS, _WORD_LIMB_BITS = 2, 30
_WEIGHT_LIMBS, _WEIGHT_LIMB_BITS = 6, 10
_MAX_WORDS = 1 << 53 - _WORD_LIMB_BITS - _WEIGHT_LIMB_BITS
_MAX_MODULUS_BITS = min(_WORD_LIMBS * _WORD_LIMB_BITS, _WEIGHT_LIMBS * _WEIGHT_LIMB_BITS)
# The bits of the float64 2^52: an integer below 2^52 in its mantissa makes the float64 2^52 + that integer.
_FLOATING, _FLOATING_BITS = float(1 << 52), np.uint64(0x433 << 52)


class FingerprintError(WireError):
    """A fingerprint with a number that isn't below q, or words of another shape than chunks have."""


def challenge_seed(
    published: VectorContext, publication: int, roots: Sequence[str], published_root: str, values: Sequence[str]
) -> str:
    """Return the challenge (32 bytes, hex) of a publication.

    It binds all that a colluder could choose, each of which is fixed before the last value is known.

    Args:
        published: the context of the published sum, which names channel, study, epoch, round, attempt and publisher.
        publication: the publication's number in the round, from 1.
        roots: the anchored roots (hex), in the order of the participants.
        published_root: the sum's root (hex).
        values: the revealed values (hex), in the order of the participants.
    """
    fields: list[str | int | bytes] = [published.encode(), publication, len(roots), *roots, published_root, *values]
    return hashlib.shake_256(encode_fields("consilium/challenge/1", *fields)).hexdigest(32)


class Challenge:
    """One publication's challenge, expanded for vectors of `chunks` chunks. Holds 2N words a row, and work space."""

    def __init__(self, seed: str, parameter_set: ParameterSet, chunks: int) -> None:
        self._modulus = parameter_set.modulus
        self._words = 2 * parameter_set.degree
        if self._words > _MAX_WORDS or self._modulus.bit_length() > _MAX_MODULUS_BITS:
            raise FingerprintError(
                f"chunks of {self._words} words of {self._modulus.bit_length()} bits can't be multiplied exactly; "
                f"{_MAX_WORDS} words of {_MAX_MODULUS_BITS} bits can"
            )
        inner = np.stack([_uniform(seed, "inner", row, self._words, self._modulus) for row in range(ROWS)])
        self._factors = [
            [int(factor) for factor in _uniform(seed, "outer", row, chunks, self._modulus)] for row in range(ROWS)
        ]
        limbs = np.empty((_WEIGHT_LIMBS, ROWS, self._words))
        _split(inner, limbs, _WEIGHT_LIMB_BITS)
        self._inner = np.ascontiguousarray(limbs.reshape(_WEIGHT_LIMBS * ROWS, self._words)).T
        self._space = np.empty((_WORD_LIMBS, 0, self._words))

    def chunk_values(self, words: NDArray[np.uint64], first: int) -> list[Value]:
        """Return the share a_kj ⟨b_k, c_j⟩ mod q of each chunk in its vector's fingerprint; `total` adds them up.

        Args:
            words: uint64[m, 2N], both polynomials of m chunks in a row, each word below q.
            first: the place in the vector of the first of them.

        Raises:
            FingerprintError: another shape.
        """
        if words.ndim != 2 or words.shape[1] != self._words:
            raise FingerprintError(f"chunks have {self._words} words, these are of shape {words.shape}")
        count = len(words)
        if self._space.shape[1] < count:
            self._space = np.empty((_WORD_LIMBS, count, self._words))
        limbs = self._space[:, :count]
        _split(words, limbs, _WORD_LIMB_BITS)
        products = limbs.reshape(_WORD_LIMBS * count, self._words) @ self._inner
        exact = products.reshape(_WORD_LIMBS, count, _WEIGHT_LIMBS, ROWS).astype(np.uint64).tolist()
        return [self._value(exact, chunk, first) for chunk in range(count)]

    def total(self, values: Iterable[Value]) -> Value:
        """Return the sum of fingerprints modulo q: of chunks, or of vectors."""
        first, second = 0, 0
        for value in values:
            first, second = first + value[0], second + value[1]
        return first % self._modulus, second % self._modulus

    def _value(self, exact: list[list[list[list[int]]]], chunk: int, first: int) -> Value:
        first_row, second_row = (self._factors[row][first + chunk] * _joined(exact, chunk, row) for row in range(ROWS))
        return first_row % self._modulus, second_row % self._modulus


def to_record(value: Value) -> FingerprintValue:
    """Return a fingerprint as records carry it."""
    return f"{value[0]:016x}", f"{value[1]:016x}"


def from_record(written: FingerprintValue, parameter_set: ParameterSet) -> Value:
    """Read a fingerprint.

    Raises:
        FingerprintError: a number isn't below q; one value would have several forms.
    """
    value = int(written[0], 16), int(written[1], 16)
    for number in value:
        if number >= parameter_set.modulus:
            raise FingerprintError(f"fingerprint {number:016x} isn't below q = {parameter_set.modulus:016x}")
    return value


def add(values: Iterable[Value], parameter_set: ParameterSet) -> Value:
    """Return the sum of fingerprints modulo q."""
    columns = list(zip(*values, strict=True)) or [(0,), (0,)]
    return sum(columns[0]) % parameter_set.modulus, sum(columns[1]) % parameter_set.modulus


def _uniform(seed: str, purpose: str, row: int, count: int, modulus: int) -> NDArray[np.uint64]:
    """Return `count` numbers uniform below the modulus, from SHAKE-256; those that would bias it are rejected."""
    stream = hashlib.shake_256(encode_fields("consilium/challenge-expansion/1", bytes.fromhex(seed), purpose, row))
    limit = (1 << 64) - (1 << 64) % modulus
    asked = count + 64
    while True:
        drawn = np.frombuffer(stream.digest(8 * asked), dtype="<u8").astype(np.uint64)
        accepted = drawn[drawn <= np.uint64(limit - 1)]
        if len(accepted) >= count:
            reduce(accepted, modulus)
            return accepted[:count]
        asked *= 2


def _split(words: NDArray[np.uint64], limbs: NDArray[np.float64], bits: int) -> None:
    """Write limbs of `bits` bits, lowest first, of words of any shape into limbs, float64[limbs, *shape]."""
    mask, written = np.uint64((1 << bits) - 1), limbs.view(np.uint64)
    for place, limb in enumerate(written):
        np.right_shift(words, np.uint64(bits * place), out=limb)
        limb &= mask
    # What a conversion would give, in vector registers.
    written |= _FLOATING_BITS
    limbs -= _FLOATING


def _joined(exact: list[list[list[list[int]]]], chunk: int, row: int) -> int:
    return sum(
        exact[left][chunk][right][row] << _WORD_LIMB_BITS * left + _WEIGHT_LIMB_BITS * right
        for left in range(_WORD_LIMBS)
        for right in range(_WEIGHT_LIMBS)
    )
