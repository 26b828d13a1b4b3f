"""Rewards in whole tokens and in the smallest unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilium_proto.errors import WireError
from consilium_proto.ethereum.amounts import amount_of_tokens, tokens_of_amount
from consilium_proto.ethereum.scalars import as_quantity


@pytest.mark.parametrize(
    ("tokens", "units"),
    [
        ("0", 0),
        ("1", 10**18),
        ("1000", 10**21),
        ("0.25", 25 * 10**16),
        ("0.000000000000000001", 1),
        ("79228162514.264337593543950335", 2**96 - 1),
    ],
)
def test_tokens_have_eighteen_places(tokens: str, units: int) -> None:
    assert amount_of_tokens(tokens) == as_quantity(units)
    assert tokens_of_amount(as_quantity(units)) == tokens


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e3", "1.", ".5", "1,5", "0x10", " 1", "1\n", "0.0000000000000000001", "79228162514.3", "٣"],
)
def test_what_is_no_number_of_tokens_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="number of tokens"):
        amount_of_tokens(text)


@given(st.integers(0, 2**96 - 1))
def test_both_ways_lead_to_the_same_amount(units: int) -> None:
    assert amount_of_tokens(tokens_of_amount(as_quantity(units))) == as_quantity(units)
