"""Lists of organisations in records: sorted and without duplicates, so that equal sets are equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from consilium_chaincode.federation.errors import Refused
from consilium_proto.refusals import RefusalCode


def check_sorted_unique(names: Sequence[str], what: str) -> None:
    """Refuse a list that isn't in strictly ascending order, naming the first pair that breaks it."""
    for before, after in pairwise(names):
        if before >= after:
            problem = "is named twice" if before == after else f"stands behind {before}"
            raise Refused(RefusalCode.MALFORMED, f"{what} must be sorted and without duplicates, but {after} {problem}")
