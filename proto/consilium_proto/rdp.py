"""Rényi differential privacy in integers: the same epsilon, to the last bit, on every machine and in every language.

The mechanism is the Gaussian one on a Poisson sample. At an integer order a, with sample rate q and noise multiplier s,
one step costs (Mironov, Talwar, Zhang 2019, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", 3.3)

    RDP(a) = ln( Σ_k C(a,k) (1-q)^(a-k) q^k exp((k²-k) / 2s²) ) / (a-1)

steps add up, and the best order gives (Balle and others 2020, "Hypothesis Testing Interpretations", theorem 21)

    epsilon = min_a  RDP(a) + ln((a-1)/a) - (ln delta + ln a) / (a-1).

Numbers are fixed-point with 192 fractional bits. Wherever one is rounded it is rounded so that epsilon can only grow.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256)
MICRO = 1_000_000

FRACTION_BITS = 192
_ONE = 1 << FRACTION_BITS
# A logarithm's upper bound is off by at most this for each halving of its argument, and once more for the series.
_LOGARITHM_ERROR = 1 << 12


@dataclass(frozen=True)
class GaussianSteps:
    """Steps of the sampled Gaussian mechanism: sample rate as a fraction, noise multiplier in thousandths."""

    sample_rate_numerator: int
    sample_rate_denominator: int
    noise_multiplier_milli: int
    steps: int


def epsilon_micro(spent: Iterable[GaussianSteps], delta_numerator: int, delta_denominator: int) -> int:
    """Return the epsilon of all steps together at that delta, in millionths, rounded up; 0 when nothing is spent."""
    total = [0] * len(ORDERS)
    for mechanism in spent:
        one = _step(
            mechanism.sample_rate_numerator, mechanism.sample_rate_denominator, mechanism.noise_multiplier_milli
        )
        total = [sum_ + mechanism.steps * cost for sum_, cost in zip(total, one, strict=True)]
    if not any(total):
        return 0
    inverse_delta = _logarithm(_divide_up(delta_denominator << FRACTION_BITS, delta_numerator))
    best = min(_epsilon(order, cost, inverse_delta) for order, cost in zip(ORDERS, total, strict=True))
    return _divide_up(max(best, 0) * MICRO, _ONE)


def _epsilon(order: int, cost: int, inverse_delta: int) -> int:
    """Convert the Rényi divergence at one order, with ln(1/delta) as `inverse_delta`."""
    ln_order = _logarithm_below(order << FRACTION_BITS)
    ln_ratio = _logarithm_below(_divide_down(order << FRACTION_BITS, order - 1))
    return cost + _divide_up(inverse_delta, order - 1) - _divide_down(ln_order, order - 1) - ln_ratio


@functools.lru_cache(maxsize=256)
def _step(numerator: int, denominator: int, noise_milli: int) -> tuple[int, ...]:
    """Return the cost of one step at each of `ORDERS`, rounded up."""
    if numerator >= denominator:  # every row in every batch: the plain Gaussian mechanism, a / 2s²
        return tuple(_divide_up(order * MICRO << FRACTION_BITS, 2 * noise_milli**2) for order in ORDERS)
    powers = _exponentials(max(ORDERS), noise_milli)
    return tuple(_order_cost(order, numerator, denominator, powers) for order in ORDERS)


def _order_cost(order: int, numerator: int, denominator: int, powers: list[int]) -> int:
    terms = (
        comb(order, k) * (denominator - numerator) ** (order - k) * numerator**k * powers[k] for k in range(order + 1)
    )
    moment = _divide_up(sum(terms), denominator**order)
    return _divide_up(_logarithm(max(moment, _ONE)), order - 1)


def _exponentials(highest: int, noise_milli: int) -> list[int]:
    """Return exp((k²-k) / 2s²) for k from 0 to `highest`, rounded up: each is the one before times exp((k-1)/s²)."""
    unit = _exponential(MICRO, noise_milli**2)
    powers, factor = [_ONE, _ONE], _ONE
    for _ in range(2, highest + 1):
        factor = _multiply_up(factor, unit)
        powers.append(_multiply_up(powers[-1], factor))
    return powers


# ---- fixed-point arithmetic


def _divide_up(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


def _divide_down(dividend: int, divisor: int) -> int:
    return dividend // divisor


def _multiply_up(left: int, right: int) -> int:
    return (left * right >> FRACTION_BITS) + 1


def _ln2_below() -> int:
    """Return ln 2 = Σ 1 / (k 2^k), too small by less than one unit per term."""
    return sum((_ONE >> k) // k for k in range(1, FRACTION_BITS + 1))


_LN2 = _ln2_below()


def _exponential(numerator: int, denominator: int) -> int:
    """Return an upper bound of exp(numerator/denominator) for a fraction of at least 0.

    The argument is reduced by a lower bound of ln 2, which leaves a remainder that is too large, if anything; each of
    the series' terms is rounded down by less than one unit, which the last line gives back.
    """
    halvings, rest = divmod(_divide_up(numerator << FRACTION_BITS, denominator), _LN2)
    term, total, k = _ONE, _ONE, 1
    while term:
        term = (term * rest >> FRACTION_BITS) // k
        total += term
        k += 1
    # Below its true value a term is by less than two units, itself and what it inherits; the tail is less than one.
    return (total + 2 * k + 8) << halvings


def _logarithm(value: int) -> int:
    """Return an upper bound of ln(value) for a fixed-point value of at least 1: ln m = 2 artanh((m-1)/(m+1))."""
    halvings = value.bit_length() - 1 - FRACTION_BITS
    mantissa = _divide_up(value, 1 << halvings)
    ratio = _divide_up((mantissa - _ONE) << FRACTION_BITS, mantissa + _ONE)
    square = _multiply_up(ratio, ratio)
    term, total, k = ratio, 0, 1
    while term > 1:
        total += _divide_up(term, k)
        term = _multiply_up(term, square)
        k += 2
    # What is cut off is less than a unit; 64 is ample.
    return 2 * total + 64 + halvings * (_LN2 + FRACTION_BITS)


def _logarithm_below(value: int) -> int:
    """Return a lower bound of ln(value): the upper bound less the most it can be off."""
    halvings = value.bit_length() - 1 - FRACTION_BITS
    return max(0, _logarithm(value) - (halvings + 1) * _LOGARITHM_ERROR)
