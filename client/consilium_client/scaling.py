"""BFV's scaling by q/t, in numpy: what SEAL does around the polynomial arithmetic when it encrypts and decrypts.

Encryption adds the plaintext m, scaled to round(q m / t), to the first polynomial of an encryption of zero; decryption
scales c0 + c1·s, the scaled plaintext with its noise, back. SEAL does both for any number of primes, with residues.
With one prime just below a power of two the exact roundings are a few shifts. They are integers throughout, and equal
to SEAL's for every word, honest or not: `tests/client/crypto/test_scaling.py` compares them with SEAL and with exact
fractions.

Below, q = 2^c − δ and t = 2^k. SEAL's number-theoretic transform wants q = 1 modulo 2N, so δ = 2N u − 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consilium_client.errors import EncryptionError
from consilium_proto.parameter_sets import ParameterSet
from consilium_proto.residues import reduce_once

Words = NDArray[np.uint64]

_WORD_BITS = 64


class Scaling:
    """The scaling of one parameter set. Holds work space for one array; for one thread at a time."""

    def __init__(self, chosen: ParameterSet) -> None:
        """Check that all that is computed fits words.

        Raises:
            EncryptionError: a set whose q isn't a prime that SEAL can use, or lies too far below a power of two.
        """
        self._modulus = chosen.modulus
        self._bits = chosen.modulus.bit_length()
        self._plain_bits = chosen.plain_bits
        self._lacking = (1 << self._bits) - chosen.modulus
        self._order_bits = (2 * chosen.degree).bit_length() - 1
        self._multiple, rest = divmod(self._lacking + 1, 2 * chosen.degree)
        # What a word of 2q loses before its product with δ fits 64 bits.
        self._lost_bits = max(0, self._bits + 1 + self._lacking.bit_length() - _WORD_BITS)
        fits = (
            rest == 0
            and self._bits + 3 <= _WORD_BITS
            and self._order_bits < self._plain_bits < self._bits
            and (self._multiple + 1) << self._plain_bits < 1 << _WORD_BITS - 1
            and (self._lacking << self._lost_bits) + 2 * self._lacking**2 <= 1 << self._bits
        )
        if not fits:
            raise EncryptionError(
                f"{chosen.name}: q = {chosen.modulus} and t = 2^{chosen.plain_bits} can't be scaled exactly in words; "
                f"q must be 1 modulo {2 * chosen.degree} and just below a power of two"
            )
        self._space = np.empty(0, dtype=np.uint64)

    def add_plain(self, zero: Words, slots: Words) -> Words:
        """Return the first polynomial, uint64[degree], of the encryption of slots that an encryption of zero becomes.

        SEAL (`multiply_add_plain_with_scaling_variant`) adds ⌊(q m + ⌊(t+1)/2⌋) / t⌋ to each coefficient, which is
        2^(c−k) m − ⌊(δ m + t/2 − 1) / t⌋. With δ m = 2N u m − m the last one is

            ⌊(u m − ⌊m / 2N⌋ − 1 + t/4N) / (t/2N)⌋.

        Args:
            zero: the first polynomial of the encryption of zero, uint64[degree], below q; it stays as it is.
            slots: uint64[degree], below t.
        """
        rest_bits = self._plain_bits - self._order_bits
        rounding = slots * np.uint64(self._multiple)
        rounding -= slots >> np.uint64(self._order_bits)
        rounding += np.uint64((1 << rest_bits - 1) - 1)
        rounding >>= np.uint64(rest_bits)
        total = slots << np.uint64(self._bits - self._plain_bits)
        total -= rounding
        total += zero
        reduce_once(total, self._modulus)
        return total

    def remove(self, phase: Words) -> None:
        """Replace c0 + c1·s, uint64 of any shape, each below 2q, by its plaintext: round(t x / q) modulo t.

        t x / q is (x + δ x / q) / 2^(c−k), and no fraction of it is a half, for q is odd. δ x / q is taken from the
        upper bits of x, with 2^c for q, which gives its whole part or one less. That one matters only where the bits
        that are then shifted out are all ones, which no sum of few enough encryptions has; there it is decided in
        full.
        """
        if self._space.size < phase.size:
            self._space = np.empty(phase.size, dtype=np.uint64)
        space = self._space[: phase.size].reshape(phase.shape)
        shift = self._bits - self._plain_bits
        ones = (1 << shift) - 1
        np.right_shift(phase, np.uint64(self._lost_bits), out=space)
        space *= np.uint64(self._lacking)
        space >>= np.uint64(self._bits - self._lost_bits)
        space += phase
        space += np.uint64(1 << shift - 1)
        near = np.bitwise_and(space, np.uint64(ones))
        undecided = np.flatnonzero(near == ones) if int(near.max()) == ones else ()
        exact = [self._exact(int(phase.flat[place])) for place in undecided]
        np.right_shift(space, np.uint64(shift), out=phase)
        phase &= np.uint64((1 << self._plain_bits) - 1)
        for place, value in zip(undecided, exact, strict=True):
            phase.flat[place] = value

    def _exact(self, word: int) -> int:
        return ((word << self._plain_bits) + self._modulus // 2) // self._modulus % (1 << self._plain_bits)
