"""The integer accountant: never below the truth, and as tight as a floating-point one."""

from __future__ import annotations

from decimal import Decimal, getcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilium_proto import rdp
from consilium_proto.rdp import FRACTION_BITS, MICRO, ORDERS, GaussianSteps, epsilon_micro

getcontext().prec = 90

CASES = [
    (1, 4, 1000, 40, 1, 1000),
    (1, 4, 2100, 40, 1, 1000),
    (1, 4, 4300, 40, 1, 1000),
    (1, 10, 1000, 30, 1, 1000),
    (1, 2, 5000, 30, 1, 1000),
    (1, 1, 10000, 20, 1, 1000),
    (1, 50, 800, 1500, 1, 10000),
    (1, 100, 600, 10000, 1, 100000),
    (7, 1000, 1100, 5000, 1, 100000),
]


@pytest.mark.parametrize(("numerator", "denominator", "noise", "steps", "delta_n", "delta_d"), CASES)
def test_epsilon_is_that_of_opacus_at_integer_orders(
    numerator: int, denominator: int, noise: int, steps: int, delta_n: int, delta_d: int
) -> None:
    from opacus.accountants.analysis import rdp as reference

    orders = list(ORDERS)
    costs = reference.compute_rdp(q=numerator / denominator, noise_multiplier=noise / 1000, steps=steps, orders=orders)
    expected, _ = reference.get_privacy_spent(orders=orders, rdp=costs, delta=delta_n / delta_d)
    found = epsilon_micro([GaussianSteps(numerator, denominator, noise, steps)], delta_n, delta_d)
    assert found / MICRO == pytest.approx(expected, rel=1e-6, abs=2e-6)
    assert found / MICRO >= expected - 1e-9


def test_steps_add_up_over_rounds_and_more_noise_costs_less() -> None:
    once = [GaussianSteps(1, 4, 2000, 4)]
    assert epsilon_micro(once * 10, 1, 1000) == epsilon_micro([GaussianSteps(1, 4, 2000, 40)], 1, 1000)
    assert epsilon_micro(once, 1, 1000) < epsilon_micro(once * 2, 1, 1000)
    assert epsilon_micro([GaussianSteps(1, 4, 2500, 4)], 1, 1000) < epsilon_micro(once, 1, 1000)
    assert epsilon_micro([], 1, 1000) == 0


@given(st.integers(1, 10**9), st.integers(1, 10**6))
@settings(max_examples=200, deadline=None)
def test_logarithms_are_bounds_on_both_sides(value: int, divisor: int) -> None:
    fixed = (max(value, divisor) << FRACTION_BITS) // divisor
    exact = (Decimal(fixed) / (1 << FRACTION_BITS)).ln() * (1 << FRACTION_BITS)
    assert rdp._logarithm_below(fixed) <= exact <= rdp._logarithm(fixed)


@given(st.integers(0, 10**6), st.integers(1, 10**5))
@settings(max_examples=200, deadline=None)
def test_exponentials_are_upper_bounds_and_tight(numerator: int, denominator: int) -> None:
    if numerator > 50 * denominator:
        numerator = numerator % (50 * denominator)
    exact = (Decimal(numerator) / denominator).exp() * (1 << FRACTION_BITS)
    found = rdp._exponential(numerator, denominator)
    assert exact <= found
    assert Fraction(found) / Fraction(exact) - 1 < Fraction(1, 2**150)
