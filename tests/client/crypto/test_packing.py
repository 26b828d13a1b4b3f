from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from consilium_client.errors import PackingError
from consilium_client.packing import check_slots, pack, unpack
from consilium_proto.parameter_sets import PARAMETER_SETS, ParameterSet, parameter_set

EVERY_SET = pytest.mark.parametrize("name", PARAMETER_SETS)
BYTE = parameter_set("bfv4096-q58-b8")


def values_of(chosen: ParameterSet, count: int, seed: int) -> NDArray[np.uint32]:
    return np.random.default_rng(seed).integers(0, 2**chosen.bits, count, dtype=np.uint32)


@EVERY_SET
@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 40_000), seed=st.integers(0, 2**32))
def test_what_is_packed_is_what_is_unpacked(name: str, count: int, seed: int) -> None:
    chosen = parameter_set(name)
    values = values_of(chosen, count, seed)
    slots = pack(values, chosen)
    assert slots.shape == (chosen.chunk_count(count), chosen.degree)
    assert (unpack(slots, chosen, count) == values).all()


@EVERY_SET
@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1), count=st.integers(1, 20_000), seed=st.integers(0, 2**32))
def test_the_sum_of_slots_is_the_slots_of_the_sum(name: str, share: float, count: int, seed: int) -> None:
    chosen = parameter_set(name)
    hospitals = max(1, round(share * min(16, chosen.max_hospitals)))
    updates = [values_of(chosen, count, seed + hospital) for hospital in range(hospitals)]
    updates[0][:] = chosen.largest_value
    slots: NDArray[np.uint64] = np.array([pack(values, chosen) for values in updates]).sum(axis=0)
    assert (unpack(slots, chosen, count) == np.sum(updates, axis=0, dtype=np.uint64)).all()


@EVERY_SET
def test_the_layout_stays_what_it_is(name: str) -> None:
    chosen = parameter_set(name)
    values = np.zeros(chosen.degree + 2, dtype=np.uint32)
    values[[0, 1, chosen.degree]] = 7, 9, 5
    slots = pack(values, chosen)
    assert slots[0, 0] == 7 + 5 * chosen.field_base
    assert slots[0, 1] == 9
    assert not slots[0, 2:].any()


@EVERY_SET
@pytest.mark.parametrize("count", [1, 4095, 4097])
def test_padding_that_is_not_zero_is_refused(name: str, count: int) -> None:
    chosen = parameter_set(name)
    slots = pack(values_of(chosen, count, 0), chosen)
    slots[-1, -1] |= np.uint64(1 << (chosen.plain_bits - 1))
    with pytest.raises(PackingError, match="padding"):
        unpack(slots, chosen, count)


def test_values_and_slots_out_of_range_are_named() -> None:
    values = np.zeros(10, dtype=np.uint32)
    values[4] = 256
    with pytest.raises(PackingError, match="value 4 is 256, beyond 8 bits"):
        pack(values, BYTE)
    slots = np.zeros((2, 4096), dtype=np.uint64)
    slots[1, 3] = 2**48
    with pytest.raises(PackingError, match=f"slot 4099 is {2**48}"):
        unpack(slots, BYTE, 20_000)
    slots[1, 3] -= np.uint64(1)
    check_slots(slots, BYTE.plain_bits)


@EVERY_SET
def test_a_set_whose_digits_dont_fit_its_slots_is_refused(name: str) -> None:
    """The largest values of all digits would reach beyond t, and be lost modulo t."""
    chosen = parameter_set(name)
    fits = chosen.plain_bits // chosen.fields
    widest = replace(chosen, field_base=1 << fits, plain_bits=fits * chosen.fields)
    largest = np.full(chosen.values_per_chunk, chosen.largest_value, dtype=np.uint32)
    assert (unpack(pack(largest, widest), widest, largest.size) == largest).all()
    for wrong in (replace(widest, field_base=(1 << fits) + 1), replace(widest, plain_bits=widest.plain_bits - 1)):
        with pytest.raises(PackingError, match=f"{chosen.fields} digits in base {wrong.field_base} don't fit a slot"):
            pack(largest, wrong)
        with pytest.raises(PackingError, match="don't fit a slot"):
            unpack(np.zeros((1, chosen.degree), dtype=np.uint64), wrong, largest.size)


def test_wrong_types_and_shapes_are_named() -> None:
    with pytest.raises(PackingError, match="not float64"):
        pack(np.zeros(3), BYTE)  # type: ignore[arg-type]
    with pytest.raises(PackingError, match=r"shape \(1, 3\)"):
        pack(np.zeros((1, 3), np.uint32), BYTE)
    with pytest.raises(PackingError, match="at least one parameter"):
        pack(np.zeros(0, np.uint32), BYTE)
    for shape in [(1, 4096), (3, 4096), (2, 4095), (8192,)]:
        with pytest.raises(PackingError, match=r"shape \(2, 4096\)"):
            unpack(np.zeros(shape, np.uint64), BYTE, 20_000)
    with pytest.raises(PackingError, match="not int64"):
        unpack(np.zeros((2, 4096), np.int64), BYTE, 20_000)
