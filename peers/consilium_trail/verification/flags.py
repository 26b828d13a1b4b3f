"""Step 7: every transaction's validation code is computed anew, since orderers don't sign the codes in a block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from consilium_trail.blocks.block import Block
from consilium_trail.blocks.transactions import ENDORSER_TRANSACTION, Transaction, decode_envelope
from consilium_trail.errors import MalformedTransactionError
from consilium_trail.validation_codes import VALID, code_name
from consilium_trail.verification.findings import Place, Step, UnsoundError
from consilium_trail.verification.transactions import Outcome

_ID_BYTES = 16  # of an id that is a SHA-256, so much is remembered; 128 bits don't collide


class UsedIds:
    """The ids of all transactions so far; an id commits once, whatever became of it."""

    def __init__(self) -> None:
        self._used: set[bytes] = set()

    def __contains__(self, tx_id: object) -> bool:
        return isinstance(tx_id, str) and _short(tx_id) in self._used

    def add(self, block: Block, transactions: Sequence[Transaction | None]) -> None:
        """Remember a block's ids, once it has been judged; also of transactions that can't be decoded to their end."""
        for raw, transaction in zip(block.envelopes, transactions, strict=True):
            try:
                envelope = transaction.envelope if transaction else decode_envelope(raw)
            except MalformedTransactionError:
                continue
            if envelope.kind == ENDORSER_TRANSACTION:
                self._used.add(_short(envelope.tx_id))


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
    if flag == outcome.code:
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
    return tx_id.encode()[: 2 * _ID_BYTES]
