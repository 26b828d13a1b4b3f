"""Key epochs: which key a study's hospitals encrypt under, and who holds it.

The coordinator opens the first epoch, any holder a later one: when a holder leaves or a key is compromised, nobody must
wait for one hospital. The opener knows the key, so the record must name it as a holder. A ledger can't check that
the key was wrapped well; holders do, by the commitment, and who opened an epoch is in its transaction.
"""

from __future__ import annotations

from consilium_chaincode.federation.bounds import smallest_cohort
from consilium_chaincode.federation.curve_points import check_public_key
from consilium_chaincode.federation.errors import Refused
from consilium_chaincode.federation.listings import check_sorted_unique
from consilium_chaincode.federation.study import participants
from consilium_proto.records import Consortium, CurrentEpoch, KeyEpoch, StudyTerms
from consilium_proto.refusals import RefusalCode


def holders(key_epoch: KeyEpoch) -> tuple[str, ...]:
    """Return who holds the epoch's key, sorted."""
    return tuple(wrapped.holder for wrapped in key_epoch.holders)


def check_opener(terms: StudyTerms, current: KeyEpoch | None, hospital: str) -> None:
    """Refuse anybody but the coordinator as the opener of a study's first epoch, and but a holder as a later one's.

    A removed holder could otherwise take itself in again: it would draw the next key, and so know it
    (`test_a_removed_holder_cannot_take_itself_in_again`).
    """
    if current is None and hospital != terms.coordinator:
        raise Refused(
            RefusalCode.FORBIDDEN, f"the first key epoch is opened by the study's coordinator, {terms.coordinator}"
        )
    if current is not None and hospital not in holders(current):
        raise Refused(
            RefusalCode.FORBIDDEN,
            f"{hospital} isn't a holder of key epoch {current.epoch}; a holder opens the next one",
        )


def open_epoch(
    terms: StudyTerms, consortium: Consortium, current: int, opener: str, proposed: KeyEpoch
) -> CurrentEpoch:
    """Return the number that becomes current, once the epoch is found to be the next and its holders enough.

    Raises:
        Refused: STALE_EPOCH when it isn't the next; FORBIDDEN for holders who aren't participants and hospitals of the
            consortium; UNSAFE_TERMS for fewer than max(3, T+2) of them; MALFORMED for an opener who isn't a holder and
            for encapsulated keys of low order.
    """
    if proposed.epoch != current + 1:
        raise Refused(RefusalCode.STALE_EPOCH, f"epoch {proposed.epoch} can't follow {current}; open {current + 1}")
    named = holders(proposed)
    check_sorted_unique(named, "holders")
    strangers = sorted(set(named) - (set(participants(terms)) & set(consortium.hospitals)))
    if strangers:
        raise Refused(RefusalCode.FORBIDDEN, f"{', '.join(strangers)} may not hold a key of study {terms.study}")
    least = smallest_cohort(terms.max_colluding)
    if len(named) < least:
        raise Refused(RefusalCode.UNSAFE_TERMS, f"{len(named)} holders; at least {least} must hold the key")
    if opener not in named:
        raise Refused(RefusalCode.MALFORMED, f"{opener} made this key and knows it, so it must be among the holders")
    for wrapped in proposed.holders:
        check_public_key(wrapped.encapsulated, f"the encapsulated key of {wrapped.holder}")
    return CurrentEpoch(epoch=proposed.epoch)
