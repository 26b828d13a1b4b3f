"""Remainders of whole arrays. Needs numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def reduce(words: NDArray[np.uint64], modulus: int) -> None:
    """Replace words, uint64 of any shape and value, by their remainders modulo a number below 2^64.

    numpy divides by one number with a multiplication in vector registers, but takes remainders one by one with the
    processor's division; so the remainder is what the quotient leaves.
    """
    multiple = words // np.uint64(modulus)
    multiple *= np.uint64(modulus)
    words -= multiple


def reduce_once(words: NDArray[np.uint64], modulus: int) -> None:
    """The same for words below twice the modulus, which is below 2^63: what is below it wraps to a large number."""
    np.minimum(words, words - np.uint64(modulus), out=words)
