"""Rewards as people write them, in whole tokens, and as records do, in the token's smallest unit."""

from __future__ import annotations

import re

from consilium_proto.errors import WireError
from consilium_proto.ethereum.scalars import Amount, as_quantity, from_quantity

DECIMALS = 18
"""As the contracts' `decimals()` says: a token has 10^18 smallest units."""

_LARGEST = 2**96 - 1
_TOKENS = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,18}))?")


def amount_of_tokens(text: str) -> Amount:
    """Return an amount from whole tokens in decimal notation, such as "100" or "0.25".

    Raises:
        WireError: not such a number, more than 18 places behind the point, or more than 96 bits hold.
    """
    found = _TOKENS.fullmatch(text)
    amount = int(found[1]) * 10**DECIMALS + int((found[2] or "").ljust(DECIMALS, "0")) if found else -1
    if not 0 <= amount <= _LARGEST:
        raise WireError(
            f"{text!r} is no number of tokens: digits, at most {DECIMALS} more behind a point, up to "
            f"{_LARGEST // 10**DECIMALS} tokens"
        )
    return as_quantity(amount)


def tokens_of_amount(amount: Amount) -> str:
    """Return an amount in whole tokens, without zeros that say nothing."""
    whole, rest = divmod(from_quantity(amount), 10**DECIMALS)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")
