"""Step 7: every transaction's validation code is computed anew, since orderers don't sign the codes in a block."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from consilium_trail.blocks.block import Block
from consilium_trail.blocks.transactions import indexed_id
from consilium_trail.validation_codes import VALID, code_name
from consilium_trail.verification.findings import Place, Step, UnsoundError
from consilium_trail.verification.transactions import Outcome

_ID_BYTES = 16
# Which of these a peer finds first depends on the order in which it looks at a transaction's namespaces.
_EITHER = ("ENDORSEMENT_POLICY_FAILURE", "INVALID_CHAINCODE")


class UsedIds:
    """The ids of all transactions so far; an id commits once, whatever became of it."""

    def __init__(self) -> None:
        self._used: set[bytes] = set()

    def __contains__(self, tx_id: object) -> bool:
        return isinstance(tx_id, str) and _short(tx_id) in self._used

    def add(self, block: Block) -> None:
        """Remember a block's ids, once it has been judged."""
        self._used.update(_short(indexed_id(raw)) for raw in block.envelopes)


def without_duplicates(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return a block's outcomes, with DUPLICATE_TXID for an id that a good transaction before it in the block has."""
    found: list[Outcome] = []
    here: set[str] = set()
    for each in outcomes:
        if each.code != VALID or each.transaction is None or each.transaction.invocation is None:
            found.append(each)
            continue
        tx_id = each.transaction.envelope.tx_id
        known = tx_id in here
        here.add(tx_id)
        found.append(replace(each, code="DUPLICATE_TXID", reason="its id was used before") if known else each)
    return found


def check_flag(block: Block, position: int, outcome: Outcome) -> None:
    """Compare a transaction's code in the block with the outcome, versions included.

    Raises:
        UnsoundError: they differ. When the block calls valid what isn't, the step is that of the check that failed.
    """
    flag = code_name(block.flags[position])
    place = place_of(block, position, outcome)
    if flag == outcome.code or (flag in _EITHER and outcome.code in _EITHER):
        return
    if outcome.transaction is None and VALID not in (flag, outcome.code):
        # What is wrong with it in several ways may be called by another of them.
        return
    because = f": {outcome.reason}" if outcome.reason else ""
    if flag == VALID:
        raise UnsoundError(outcome.step, place, f"it is marked valid and is {outcome.code}{because}")
    raise UnsoundError(Step.FLAGS, place, f"it is marked {flag} and is {outcome.code}{because}")


def place_of(block: Block, position: int, outcome: Outcome) -> Place:
    """Return where a transaction stands."""
    tx_id = outcome.transaction.envelope.tx_id if outcome.transaction else ""
    return Place(block.number, position, tx_id)


def _short(tx_id: str) -> bytes:
    """Return a digest: ids are whatever a client writes, and two that begin alike are two."""
    return hashlib.sha256(tx_id.encode()).digest()[:_ID_BYTES]
