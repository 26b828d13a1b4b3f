"""Encryptions of zero that were prepared ahead, to which plaintexts are then added.

Adding the scaled plaintext to the first polynomial of an encryption of zero is what SEAL does when it encrypts, so the
result is an encryption like any other. Each is used for one plaintext: two under one would give away their difference.
They are in memory only; who takes one takes it out.
"""

from __future__ import annotations

import queue

import numpy as np
from numpy.typing import NDArray

from consilium_proto.chunks import UpdateChunk
from consilium_proto.parameter_sets import ParameterSet

Words = NDArray[np.uint64]

# Splits a coefficient so that its product with q's distance from a multiple of t fits a word.
_HALF_BITS = 24
_HALF = np.uint64((1 << _HALF_BITS) - 1)


def add_plaintext(chosen: ParameterSet, zero: Words, slots: Words) -> Words:
    """Return the first polynomial, uint64[degree], of the encryption of slots that an encryption of zero becomes.

    SEAL (`multiply_add_plain_with_scaling_variant`) adds round(q m / t) = ⌊(q m + ⌊(t+1)/2⌋) / t⌋ to each coefficient.
    With D = ⌊q/t⌋ + 1 and r = D t − q, which is small for the primes in use, that is D m + ⌊(⌊(t+1)/2⌋ − r m) / t⌋.
    """
    bits = chosen.plain_bits
    quotient = (chosen.modulus >> bits) + 1
    lacking = np.uint64((quotient << bits) - chosen.modulus)
    # r m in two parts: high · 2^24 + low.
    low = (slots & _HALF) * lacking
    high = (slots >> np.uint64(_HALF_BITS)) * lacking + (low >> np.uint64(_HALF_BITS))
    borrowed = (low & _HALF) != 0
    rounding = ((1 << (bits - 1)) >> _HALF_BITS) - high.astype(np.int64) - borrowed
    rounding >>= bits - _HALF_BITS
    total = slots * np.uint64(quotient) + rounding.astype(np.uint64)
    total += zero
    reduced: Words = np.where(total >= chosen.modulus, total - np.uint64(chosen.modulus), total)
    return reduced


class PreparedZeros:
    """Encryptions of zero as they come from the process that makes them."""

    def __init__(self) -> None:
        self._ready: queue.SimpleQueue[UpdateChunk] = queue.SimpleQueue()

    def add(self, zero: UpdateChunk) -> None:
        """Put one in."""
        self._ready.put(zero)

    def take(self) -> UpdateChunk | None:
        """Take one out, for good; None when none is ready: then the caller encrypts by itself, beside the other."""
        try:
            return self._ready.get_nowait()
        except queue.Empty:
            return None

    def __len__(self) -> int:
        """How many are ready."""
        return self._ready.qsize()
