"""Rewards as people write them: whole tokens with a decimal point, where the contracts count the smallest unit."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from fractions import Fraction

from consilium_proto.errors import WireError

DECIMALS = 18
"""As ERC-20 tokens have it unless they say otherwise, and `RewardLedger` and the bridge's token don't."""


def from_tokens(text: str) -> int:
    """Return a number of tokens, such as 12.5, in the smallest unit.

    Raises:
        WireError: not a number, not above 0, or with more decimals than the unit has.
    """
    try:
        tokens = Decimal(text)
    except InvalidOperation:
        raise WireError(f"{text!r} isn't a number of tokens") from None
    if not tokens.is_finite() or tokens <= 0:
        raise WireError(f"{text!r} isn't a number of tokens above 0")
    units = Fraction(tokens) * 10**DECIMALS
    if units.denominator != 1:
        raise WireError(f"{text!r} has more than {DECIMALS} decimals")
    return int(units.numerator)


def as_tokens(units: int) -> str:
    """Return an amount in the smallest unit as a number of tokens, without zeros at its end."""
    whole, rest = divmod(units, 10**DECIMALS)
    return f"{whole}.{rest:0{DECIMALS}}".rstrip("0").rstrip(".")
