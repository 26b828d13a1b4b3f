"""Quantised values side by side in plaintext coefficients ("slots"), and back.

The values of a chunk fill the lowest field of all its slots first, then the next field. What is left of the last
chunk is zero; after decryption it must be zero again, which shows masks that didn't cancel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consilium_client.errors import PackingError
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import PLAIN_BITS, ParameterSet


def pack(values: NDArray[np.uint32], parameter_set: ParameterSet) -> NDArray[np.uint64]:
    """Return slots, uint64[chunks, degree], each below t, of the values, uint32[P], each below 2^b.

    Raises:
        PackingError: another type or shape, no value, too many, or one that isn't below 2^b.
    """
    if values.dtype != np.uint32 or values.ndim != 1:
        raise PackingError(f"values must be uint32 of one dimension, not {values.dtype} of shape {values.shape}")
    chunks = _chunk_count(values.size, parameter_set)
    if int(values.max()) > parameter_set.largest_value:
        position = int(np.argmax(values > parameter_set.largest_value))
        raise PackingError(
            f"value {position} is {int(values[position])}, beyond {parameter_set.bits} bits of {parameter_set.name}"
        )
    fields, degree, width = parameter_set.fields, parameter_set.degree, np.uint64(parameter_set.field_width)
    slots = np.empty((chunks, degree), dtype=np.uint64)
    padded = np.zeros(fields * degree, dtype=np.uint64)
    for chunk in range(chunks):
        part = values[chunk * fields * degree : (chunk + 1) * fields * degree]
        padded[: part.size] = part
        padded[part.size :] = 0
        row = slots[chunk]
        row[:] = padded[(fields - 1) * degree :]
        for field in range(fields - 2, -1, -1):
            row <<= width
            row |= padded[field * degree : (field + 1) * degree]
    return slots


def unpack(slots: NDArray[np.uint64], parameter_set: ParameterSet, parameters: int) -> NDArray[np.uint64]:
    """Return the `parameters` fields, uint64[P], each below 2^w, of slots, uint64[chunks, degree].

    Raises:
        PackingError: another type or shape, a slot that isn't below t, or padding that isn't zero.
    """
    expected = (_chunk_count(parameters, parameter_set), parameter_set.degree)
    if slots.dtype != np.uint64 or slots.shape != expected:
        raise PackingError(f"slots must be uint64 of shape {expected}, not {slots.dtype} of shape {slots.shape}")
    check_slots(slots)
    fields, degree = parameter_set.fields, parameter_set.degree
    mask = np.uint64((1 << parameter_set.field_width) - 1)
    values = np.empty((slots.shape[0], fields, degree), dtype=np.uint64)
    for field in range(fields):
        np.right_shift(slots, np.uint64(field * parameter_set.field_width), out=values[:, field])
        values[:, field] &= mask
    flat = values.reshape(-1)
    if flat[parameters:].any():
        raise PackingError(
            "the padding after the last coordinate isn't zero: the sum is wrong or its masks didn't cancel"
        )
    return flat[:parameters]


def check_slots(slots: NDArray[np.uint64]) -> None:
    """Check that every slot is below t = 2^48.

    Raises:
        PackingError: one isn't; the message names it.
    """
    if slots.size and int(slots.max()) >= 1 << PLAIN_BITS:
        position = int(np.argmax(slots.reshape(-1) >= 1 << PLAIN_BITS))
        raise PackingError(f"slot {position} is {int(slots.reshape(-1)[position])}, not below 2^{PLAIN_BITS}")


def _chunk_count(parameters: int, parameter_set: ParameterSet) -> int:
    try:
        return parameter_set.chunk_count(parameters)
    except WireError as error:
        raise PackingError(str(error)) from None
