import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consilium_proto.parameter_sets import PARAMETER_SETS
from consilium_proto.residues import reduce, reduce_once

moduli = st.one_of(st.sampled_from([chosen.modulus for chosen in PARAMETER_SETS.values()]), st.integers(1, 2**64 - 1))
words = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40)


@given(words=words, modulus=moduli, quotients=st.lists(st.integers(0, 2**64), max_size=20))
def test_every_word_becomes_its_remainder(words: list[int], modulus: int, quotients: list[int]) -> None:
    # Where a quotient changes is where an approximation would be off by one.
    steps = [quotient % (2**64 // modulus + 1) * modulus + step for quotient in quotients for step in (-1, 0, 1)]
    values = words + [0, 2**64 - 1] + [word for word in steps if 0 <= word < 2**64]
    found = np.array(values, dtype=np.uint64)
    reduce(found, modulus)
    assert found.tolist() == [value % modulus for value in values]


@given(modulus=st.integers(1, 2**63), data=st.data())
def test_one_subtraction_is_enough_below_twice_the_modulus(modulus: int, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(st.integers(0, 2 * modulus - 1), max_size=40))
    values = [*drawn, 0, modulus - 1, modulus, 2 * modulus - 1]
    found = np.array(values, dtype=np.uint64)
    reduce_once(found, modulus)
    assert found.tolist() == [value % modulus for value in values]
