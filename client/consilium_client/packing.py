"""Quantised values side by side in plaintext coefficients ("slots"), and back.

The values of a chunk are the lowest digits of all its slots first, then the next digits, and so on. What is left of the
last chunk is zero; after decryption it must be zero again, which shows masks that didn't cancel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consilium_client.errors import PackingError
from consilium_proto.errors import WireError
from consilium_proto.parameter_sets import ParameterSet


def pack(values: NDArray[np.uint32], parameter_set: ParameterSet) -> NDArray[np.uint64]:
    """Return slots, uint64[chunks, degree], each below t, of the values, uint32[P], each below 2^b.

    Raises:
        PackingError: another type or shape, no value, too many, one that isn't below 2^b, or a set whose digits don't
            fit its slots.
    """
    if values.dtype != np.uint32 or values.ndim != 1:
        raise PackingError(f"values must be uint32 of one dimension, not {values.dtype} of shape {values.shape}")
    chunks = _chunk_count(values.size, parameter_set)
    if int(values.max()) > parameter_set.largest_value:
        position = int(np.argmax(values > parameter_set.largest_value))
        raise PackingError(
            f"value {position} is {int(values[position])}, beyond {parameter_set.bits} bits of {parameter_set.name}"
        )
    slots = np.empty((chunks, parameter_set.degree), dtype=np.uint64)
    size = parameter_set.values_per_chunk
    for chunk in range(chunks):
        part = values[chunk * size : (chunk + 1) * size]
        if part.size < size:
            part = np.concatenate([part, np.zeros(size - part.size, dtype=np.uint32)])
        _pack_chunk(part.reshape(parameter_set.fields, parameter_set.degree), slots[chunk], parameter_set.field_base)
    return slots


def _pack_chunk(digits: NDArray[np.uint32], slots: NDArray[np.uint64], base: int) -> None:
    """Evaluate a chunk's digits, uint32[fields, degree], into its slots, from the highest down (Horner)."""
    slots[:] = digits[-1]
    for digit in digits[-2::-1]:
        # A multiplication costs what a shift does.
        slots *= np.uint64(base)
        slots += digit


def unpack(slots: NDArray[np.uint64], parameter_set: ParameterSet, parameters: int) -> NDArray[np.uint64]:
    """Return the `parameters` fields, uint64[P], each below the fields' base, of slots, uint64[chunks, degree].

    Raises:
        PackingError: another type or shape, a slot that isn't below t, or padding that isn't zero.
    """
    expected = (_chunk_count(parameters, parameter_set), parameter_set.degree)
    if slots.dtype != np.uint64 or slots.shape != expected:
        raise PackingError(f"slots must be uint64 of shape {expected}, not {slots.dtype} of shape {slots.shape}")
    check_slots(slots, parameter_set.plain_bits)
    values = np.empty((slots.shape[0], parameter_set.fields, parameter_set.degree), dtype=np.uint64)
    for row, digits in zip(slots, values, strict=True):
        _unpack_chunk(row, digits, parameter_set.field_base)
    flat = values.reshape(-1)
    if flat[parameters:].any():
        raise PackingError(
            "the padding after the last coordinate isn't zero: the sum is wrong or its masks didn't cancel"
        )
    return flat[:parameters]


def _unpack_chunk(slots: NDArray[np.uint64], digits: NDArray[np.uint64], base: int) -> None:
    """Split a chunk's slots into its digits, uint64[fields, degree], lowest first."""
    rest = slots
    for digit in digits[:-1]:
        if base & (base - 1):
            quotient = rest // np.uint64(base)
            np.subtract(rest, quotient * np.uint64(base), out=digit)
            rest = quotient
        else:
            np.bitwise_and(rest, np.uint64(base - 1), out=digit)
            rest = rest >> np.uint64(base.bit_length() - 1)
    digits[-1] = rest


def check_slots(slots: NDArray[np.uint64], plain_bits: int) -> None:
    """Check that every slot is below t = 2^plain_bits.

    Raises:
        PackingError: one isn't; the message names it.
    """
    if slots.size and int(slots.max()) >= 1 << plain_bits:
        position = int(np.argmax(slots.reshape(-1) >= 1 << plain_bits))
        raise PackingError(f"slot {position} is {int(slots.reshape(-1)[position])}, not below 2^{plain_bits}")


def _chunk_count(parameters: int, parameter_set: ParameterSet) -> int:
    if parameter_set.field_base**parameter_set.fields > 1 << parameter_set.plain_bits:
        raise PackingError(
            f"{parameter_set.name}: {parameter_set.fields} digits in base {parameter_set.field_base} don't fit a slot "
            f"below 2^{parameter_set.plain_bits}"
        )
    try:
        return parameter_set.chunk_count(parameters)
    except WireError as error:
        raise PackingError(str(error)) from None
