"""Real updates to small integers and back. The same update gives the same integers on every machine.

A coordinate in [−bound, bound] becomes round((2^(b−1) − 1) · x / bound) + 2^(b−1), rounded half to even; so it is
off by at most bound / (2^b − 2). Integers are summed exactly in any order, which floating point isn't, and every step
here is one IEEE operation per element, so all hospitals derive the same model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from consilium_client.errors import QuantisationError
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet

# Elements worked on at once: few enough that they stay in a core's own cache from one operation to the next.
_BLOCK = 1 << 15
# Around here float64 has the integers alone, 2^52 of them: what is added to this is rounded, half to even, and its low
# 32 bits are the integer's.
_INTEGERS = 1.5 * (1 << 52)


def quantise(
    update: NDArray[np.float64] | NDArray[np.float32], bound: float, parameter_set: ParameterSet
) -> NDArray[np.uint32]:
    """Return the integers, uint32[P], of an update, float64[P] or float32[P]. What lies beyond ±bound is clipped to it.

    `clipped_count` says how many coordinates that were.

    Raises:
        QuantisationError: another type or shape, no coordinate, one that isn't finite, or a bound that isn't a
            finite number above zero.
    """
    _check_update(update, bound)
    levels, offset = _levels(parameter_set)
    scale = np.float64(levels) / np.float64(bound)
    values = np.empty(update.shape, dtype=np.uint32)
    space = np.empty(min(_BLOCK, update.size))
    # What is finite may overflow when it is scaled, and is clipped then.
    with np.errstate(over="ignore"):
        for block in _blocks(update.size):
            part = update[block]
            _check_finite(part, block.start)
            scaled = space[: part.size]
            np.copyto(scaled, part)
            scaled *= scale
            np.clip(scaled, -levels, levels, out=scaled)
            # One addition rounds and offsets: both addends of the level are even, so half goes to even as it should.
            scaled += _INTEGERS + offset
            np.copyto(values[block], scaled.view(np.uint64), casting="unsafe")
    return values


def clipped_count(update: NDArray[np.float64], bound: float) -> int:
    """Return how many coordinates of an update, float64[P], `quantise` clips at this bound.

    Raises:
        QuantisationError: as `quantise`.
    """
    _check_update(update, bound)
    count = 0
    for block in _blocks(update.size):
        _check_finite(update[block], block.start)
        count += int(np.count_nonzero(np.abs(update[block]) > bound))
    return count


def dequantise_sum(
    sums: NDArray[np.uint64], hospitals: int, bound: float, parameter_set: ParameterSet
) -> NDArray[np.float64]:
    """Return the sum of the updates, float64[P], from the sums of their integers, uint64[P], over `hospitals`.

    The integers are used up: the result takes their memory, of which a large model has little to spare.

    Raises:
        QuantisationError: another type or shape, a sum beyond hospitals · (2^b − 1), which no honest set of hospitals
            has, a number of hospitals that the set isn't exact for, or a bound that isn't a finite number above zero.
    """
    _check_vector(sums, np.dtype(np.uint64), "sum")
    _check_bound(bound)
    try:
        parameter_set.check_exact(hospitals)
    except WireError as error:
        raise QuantisationError(str(error)) from None
    largest = hospitals * parameter_set.largest_value
    if int(sums.max()) > largest:
        position = int(np.argmax(sums > largest))
        raise QuantisationError(
            f"coordinate {position} of the sum is {int(sums[position])}, beyond {largest} for {hospitals} hospitals: "
            "the sum is wrong or its masks didn't cancel"
        )
    levels, offset = _levels(parameter_set)
    step = bound / levels
    updates = sums.view(np.float64)
    space = np.empty(min(_BLOCK, sums.size))
    for block in _blocks(sums.size):
        part = space[: sums[block].size]
        np.subtract(sums[block], hospitals * offset, out=part)
        np.multiply(part, step, out=updates[block])
    return updates


def _levels(parameter_set: ParameterSet) -> tuple[float, float]:
    """Return the largest magnitude of a signed level and the offset that makes levels positive."""
    offset = 1 << (parameter_set.bits - 1)
    return float(offset - 1), float(offset)


def _blocks(size: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, size)) for start in range(0, size, _BLOCK))


def _check_update(update: NDArray[np.float64] | NDArray[np.float32], bound: float) -> None:
    single = np.dtype(np.float32)
    _check_vector(update, single if getattr(update, "dtype", None) == single else np.dtype(np.float64), "update")
    _check_bound(bound)


def _check_finite(part: NDArray[np.float64] | NDArray[np.float32], start: int) -> None:
    """Check the coordinates of an update from `start` on."""
    # A coordinate that isn't finite is the least or the largest, and NaN is both.
    if not (math.isfinite(float(part.min())) and math.isfinite(float(part.max()))):
        place = int(np.argmin(np.isfinite(part)))
        raise QuantisationError(
            f"coordinate {start + place} of the update is {float(part[place])}, not a finite number; "
            "training has diverged: lower its learning rate"
        )


def _check_vector(vector: NDArray[np.generic], dtype: np.dtype[np.generic], name: str) -> None:
    if not isinstance(vector, np.ndarray) or vector.dtype != dtype:
        found = getattr(vector, "dtype", type(vector).__name__)
        raise QuantisationError(f"the {name} must be a numpy array of {dtype}, not {found}")
    if vector.ndim != 1 or vector.size == 0:
        raise QuantisationError(f"the {name} must have one dimension and at least one coordinate, not {vector.shape}")


def _check_bound(bound: float) -> None:
    if not (math.isfinite(bound) and bound > 0):
        raise QuantisationError(f"the update bound must be a finite number above zero, not {bound}")
