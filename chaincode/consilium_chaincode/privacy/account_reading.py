"""Which keys of the privacy ledger a transaction reads, each by name.

An anchor reads the account of its hospital's data set, which only that hospital's anchors write, and the state of each
round that is pending in it. So two anchors of one data set in one block can't both be valid, whatever their studies,
and the second must be proposed anew on the new account.
"""

from __future__ import annotations

from collections.abc import Sequence

from consilium_chaincode.federation import state_keys
from consilium_chaincode.federation.ledger_state import LedgerState
from consilium_chaincode.privacy.account import Spending, can_afford, refuse_unaffordable
from consilium_proto.privacy_account import empty_account, pending_rounds
from consilium_proto.records import Anchor, PrivacyAccount, PrivacyTerms, StudyPrivacy


async def read_account(ledger: LedgerState, hospital: str, data_set: str) -> PrivacyAccount:
    """Return the account of a hospital's data set; an empty one before its first anchor."""
    found = await ledger.read(PrivacyAccount, state_keys.privacy_account(hospital, data_set))
    return found or empty_account(data_set)


async def read_spending(ledger: LedgerState, hospital: str, anchor: Anchor, earlier: Anchor | None) -> Spending | None:
    """Read what an anchor's charge rests on; None for a retry, which is charged already, or without an entry."""
    if anchor.privacy is None or earlier is not None:
        return None
    newest = await ledger.read(StudyPrivacy, state_keys.study_privacy(anchor.study, hospital))
    return await _spending(ledger, hospital, anchor.privacy.data_set, newest)


async def require_affordable(
    ledger: LedgerState, study: str, terms: PrivacyTerms | None, participants: Sequence[str], least: int
) -> None:
    """Refuse to open a round that fewer than `least` of its participants could afford.

    It stops reading once so many are found, so that the accounts of the others can't conflict with the opening.
    """
    if terms is None:
        return
    able = 0
    for hospital in participants:
        newest = await ledger.read(StudyPrivacy, state_keys.study_privacy(study, hospital))
        if newest is None or can_afford(await _spending(ledger, hospital, newest.entry.data_set, newest), terms):
            able += 1
        if able >= least:
            return
    refuse_unaffordable(study, able, least)


async def _spending(ledger: LedgerState, hospital: str, data_set: str, newest: StudyPrivacy | None) -> Spending:
    account = await read_account(ledger, hospital, data_set)
    rounds = {(study, number): await ledger.round(study, number) for study, number in pending_rounds(account)}
    return Spending(hospital, account, rounds, newest)
