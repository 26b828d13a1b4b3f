"""Rényi differential privacy in integers: the same epsilon, to the last bit, on every machine and in every language.

The mechanism is the Gaussian one on a Poisson sample. At an integer order a, with sample rate q and noise multiplier s,
one step costs (Mironov, Talwar, Zhang 2019, "Rényi Differential Privacy of the Sampled Gaussian Mechanism", 3.3)

    RDP(a) = ln( Σ_k C(a,k) (1-q)^(a-k) q^k exp((k²-k) / 2s²) ) / (a-1)

steps add up, and the best order gives (Balle and others 2020, "Hypothesis Testing Interpretations", theorem 21)

    epsilon = min_a  RDP(a) + ln((a-1)/a) - (ln delta + ln a) / (a-1).

Numbers are fixed-point with 192 fractional bits. Wherever one is rounded it is rounded so that epsilon can only grow.

Orders are tried from the lowest. RDP never falls as the order grows, and ln((a-1)/a) - ln(a)/(a-1) >= -ln 4, so once
the RDP alone is 2 above the best epsilon found, no higher order can give a better one. That, and a noise multiplier of
at least `MIN_NOISE_MILLI`, keeps the numbers short: without either, exp((k²-k) / 2s²) has a million digits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb

ORDERS = (*range(2, 65), 80, 96, 128, 192, 256)
MICRO = 1_000_000
MIN_NOISE_MILLI = 300
"""The least noise that is accounted. Below it a single step costs an epsilon in the tens: it protects nobody."""

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
    """Return the epsilon of all steps together at that delta, in millionths, rounded up; 0 when nothing is spent.

    Sample rates lie between 0 and 1 and noise multipliers are at least `MIN_NOISE_MILLI`; callers see to that. A
    mechanism that is new to this process takes at most 50 ms.
    """
    mechanisms = [mechanism for mechanism in spent if mechanism.steps]
    if not mechanisms:
        return 0
    inverse_delta = _logarithm(_divide_up(delta_denominator << FRACTION_BITS, delta_numerator))
    best: int | None = None
    for order in ORDERS:
        cost = sum(mechanism.steps * _step(order, mechanism) for mechanism in mechanisms)
        if best is not None and cost - 2 * _ONE >= best:
            break
        epsilon = _epsilon(order, cost, inverse_delta)
        best = epsilon if best is None else min(best, epsilon)
    assert best is not None
    return _divide_up(max(best, 0) * MICRO, _ONE)


def _epsilon(order: int, cost: int, inverse_delta: int) -> int:
    """Convert the Rényi divergence at one order, with ln(1/delta) as `inverse_delta`."""
    return cost + _divide_up(inverse_delta, order - 1) - _relief(order)


@functools.cache
def _relief(order: int) -> int:
    """Return ln(a)/(a-1) - ln((a-1)/a) of the conversion, rounded down."""
    ln_order = _logarithm_below(order << FRACTION_BITS)
    ln_ratio = _logarithm_below(_divide_down(order << FRACTION_BITS, order - 1))
    return _divide_down(ln_order, order - 1) + ln_ratio


def _step(order: int, mechanism: GaussianSteps) -> int:
    return _step_cost(
        order,
        mechanism.sample_rate_numerator,
        mechanism.sample_rate_denominator,
        mechanism.noise_multiplier_milli,
    )


@functools.lru_cache(maxsize=2**15)
def _step_cost(order: int, numerator: int, denominator: int, noise_milli: int) -> int:
    """Return the cost of one step at one order, rounded up."""
    if numerator >= denominator:  # every row in every batch: the plain Gaussian mechanism, a / 2s²
        return _divide_up(order * MICRO << FRACTION_BITS, 2 * noise_milli**2)
    powers = _exponentials(1 << (order - 1).bit_length(), noise_milli)
    terms = (
        comb(order, k) * (denominator - numerator) ** (order - k) * numerator**k * powers[k] for k in range(order + 1)
    )
    moment = _divide_up(sum(terms), denominator**order)
    return _divide_up(_logarithm(max(moment, _ONE)), order - 1)


@functools.lru_cache(maxsize=256)
def _exponentials(highest: int, noise_milli: int) -> tuple[int, ...]:
    """Return exp((k²-k) / 2s²) for k from 0 to `highest`, rounded up: each is the one before times exp((k-1)/s²)."""
    unit = _exponential(MICRO, noise_milli**2)
    powers, factor = [_ONE, _ONE], _ONE
    for _ in range(2, highest + 1):
        factor = _multiply_up(factor, unit)
        powers.append(_multiply_up(powers[-1], factor))
    return tuple(powers)


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
