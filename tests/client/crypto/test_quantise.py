import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from consilium_client.errors import QuantisationError
from consilium_client.quantise import clipped_count, dequantise_sum, quantise
from consilium_proto.parameter_sets import PARAMETER_SETS, parameter_set

EVERY_SET = pytest.mark.parametrize("name", PARAMETER_SETS)
BYTE = parameter_set("bfv4096-q58-b8")
Update = NDArray[np.float64]
finite_updates = arrays(np.float64, st.integers(1, 50), elements=st.floats(allow_nan=False, allow_infinity=False))
bounds = st.floats(1e-300, 1e300)


def test_known_values_round_half_to_even() -> None:
    # With bound 127 a level of the 8-bit set is exactly 1.
    update = np.array([0, 0.5, 1.5, 2.5, -0.5, -1.5, 126.49, 127, 128, -127, -1e308, -0.0])
    assert quantise(update, 127.0, BYTE).tolist() == [128, 128, 130, 130, 128, 126, 254, 255, 255, 1, 1, 128]
    assert clipped_count(update, 127.0) == 2


def ties(levels: int, bound: float) -> list[float]:
    """Coordinates on a level, between two and next to that, from one end to the other."""
    middles = [
        step / 2 * (bound / levels) for step in (-2 * levels, 1 - 2 * levels, -3, -1, 0, 1, 3, 5, 2 * levels - 1)
    ]
    return [near for middle in middles for near in (np.nextafter(middle, -1), middle, np.nextafter(middle, 1))]


@EVERY_SET
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@given(update=finite_updates, bound=st.one_of(bounds, st.integers(1, 2**20).map(float)))
def test_each_is_scaled_clipped_and_rounded_by_itself(
    name: str, dtype: type[np.floating], update: Update, bound: float
) -> None:
    """As the formula says it, one IEEE operation after another in Python's floats."""
    chosen = parameter_set(name)
    offset = 1 << chosen.bits - 1
    levels = offset - 1
    with np.errstate(over="ignore"):
        given_one = np.concatenate([update, ties(levels, bound)]).astype(dtype)
    given_one = given_one[np.isfinite(given_one)]
    scale = np.float64(levels) / np.float64(bound)
    with np.errstate(over="ignore"):
        scaled = [float(np.float64(value) * scale) for value in given_one]
    expected = [round(max(-levels, min(levels, value))) + offset for value in scaled]
    assert quantise(given_one, bound, chosen).tolist() == expected


@EVERY_SET
@given(update=finite_updates, bound=bounds)
def test_integers_are_in_range_and_deterministic(name: str, update: Update, bound: float) -> None:
    chosen = parameter_set(name)
    values = quantise(update, bound, chosen)
    assert values.dtype == np.uint32
    assert values.min() >= 1
    assert values.max() <= chosen.largest_value
    assert (values == quantise(update.copy(), bound, chosen)).all()
    assert clipped_count(update, bound) == sum(abs(value) > bound for value in update.tolist())


@EVERY_SET
@given(updates=st.lists(arrays(np.float64, 20, elements=st.floats(-1, 1)), min_size=3, max_size=16))
def test_a_sum_is_off_by_at_most_half_a_level_per_hospital(name: str, updates: list[Update]) -> None:
    chosen = parameter_set(name)
    updates = updates[: chosen.max_hospitals]
    sums = sum(quantise(update, 1.0, chosen).astype(np.uint64) for update in updates)
    assert isinstance(sums, np.ndarray)
    restored = dequantise_sum(sums, len(updates), 1.0, chosen)
    half_level = 1 / (2 ** (chosen.bits) - 2)
    assert np.abs(restored - np.sum(updates, axis=0)).max() <= len(updates) * half_level * (1 + 1e-9)


def test_blocks_make_no_difference() -> None:
    update = np.random.default_rng(1).normal(0, 1, 600_000)
    whole = quantise(update, 1.0, BYTE)
    assert (whole[590_000:] == quantise(update[590_000:].copy(), 1.0, BYTE)).all()
    assert clipped_count(update, 1.0) == int((np.abs(update) > 1).sum()) > 0
    assert dequantise_sum(whole.astype(np.uint64), 1, 1.0, BYTE)[-1] == (int(whole[-1]) - 128) / 127


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 3, 299_999])
def test_what_is_not_finite_is_named_with_its_position(bad: float, position: int) -> None:
    update = np.zeros(300_000)
    update[position] = bad
    with pytest.raises(QuantisationError, match=f"coordinate {position} of the update is {bad}"):
        quantise(update, 1.0, BYTE)
    with pytest.raises(QuantisationError, match=f"coordinate {position}"):
        clipped_count(update, 1.0)


@pytest.mark.parametrize(
    ("update", "why"),
    [
        (np.zeros(3, np.float16), "float64, not float16"),
        (np.zeros(3, np.int64), "float64, not int64"),
        (np.zeros((3, 1)), r"one dimension.*\(3, 1\)"),
        (np.zeros(0), r"at least one coordinate.*\(0,\)"),
        ([0.0], "float64, not list"),
    ],
)
def test_wrong_types_and_shapes_are_named(update: Update, why: str) -> None:
    with pytest.raises(QuantisationError, match=why):
        quantise(update, 1.0, BYTE)


@pytest.mark.parametrize("bound", [0.0, -1.0, np.nan, np.inf])
def test_a_bound_is_a_finite_number_above_zero(bound: float) -> None:
    with pytest.raises(QuantisationError, match=f"not {bound}"):
        quantise(np.zeros(1), bound, BYTE)
    with pytest.raises(QuantisationError, match=f"not {bound}"):
        dequantise_sum(np.zeros(1, np.uint64), 3, bound, BYTE)


@EVERY_SET
def test_fields_beyond_the_hospitals_largest_sum_are_refused(name: str) -> None:
    chosen = parameter_set(name)
    largest = 5 * chosen.largest_value
    sums = np.array([0, largest, largest], dtype=np.uint64)
    assert dequantise_sum(sums.copy(), 5, 1.0, chosen)[1] == 5
    sums[1] += np.uint64(1)
    with pytest.raises(QuantisationError, match=f"coordinate 1 of the sum is {largest + 1}, beyond {largest}"):
        dequantise_sum(sums.copy(), 5, 1.0, chosen)


def test_more_hospitals_than_are_exact_are_refused() -> None:
    with pytest.raises(QuantisationError, match="at most 16 hospitals"):
        dequantise_sum(np.zeros(1, np.uint64), 17, 1.0, BYTE)


def test_single_precision_gives_the_integers_of_the_same_numbers_in_double_precision() -> None:
    single = np.random.default_rng(3).normal(0, 0.5, 50_000).astype(np.float32)
    assert (quantise(single, 1.0, BYTE) == quantise(single.astype(np.float64), 1.0, BYTE)).all()
